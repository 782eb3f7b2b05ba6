//! The document describes the routes that the server has, no more and no less, and it is valid.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use tollgate::{api, pages};

use crate::support::On;
use crate::support::app::{GUEST, TestApp};
use crate::support::documented::{DOCUMENT, resolved};

/// The JSON Schema of documents of OpenAPI 3.1.
const OPENAPI: &str = include_str!("../../vendor/openapi/schema-3.1.json");

/// Returns the methods of each path of the document.
fn documented() -> BTreeMap<String, BTreeSet<String>> {
    let paths = DOCUMENT["paths"].as_object().unwrap();
    let methods = |item: &Value| item.as_object().unwrap().keys().map(|name| name.to_uppercase()).collect();
    paths.iter().map(|(path, item)| (path.clone(), methods(item))).collect()
}

/// Returns all operations of the document, each with its path and method.
fn operations() -> Vec<(String, &'static Value)> {
    let paths = DOCUMENT["paths"].as_object().unwrap().iter();
    let all = paths.flat_map(|(path, item)| {
        item.as_object()
            .unwrap()
            .iter()
            .map(move |(method, operation)| (format!("{method} {path}"), operation))
    });
    all.collect()
}

#[test]
fn every_route_of_the_api_has_a_description_and_every_description_a_route() {
    let mut routes: BTreeMap<String, BTreeSet<String>> = BTreeMap::new();
    for (path, methods) in api::ROUTES {
        for method in methods.iter() {
            assert!(method.operation().is_some(), "{} {path} has no description", method.name);
            let path = path.replace(":.+}", "}");
            routes.entry(path).or_default().insert(method.method().to_owned());
        }
    }
    for path in ["/openapi.json", "/.well-known/security.txt"] {
        routes.insert(path.to_owned(), BTreeSet::from(["GET".to_owned()]));
    }
    let documented = documented().into_iter().map(|(path, methods)| {
        let path = path.strip_suffix('/').unwrap_or(&path).to_owned();
        (path, methods)
    });
    assert_eq!(documented.collect::<BTreeMap<_, _>>(), routes);
    // Other pages are for people.
    let of_pages = pages::ROUTES.iter().flat_map(|(_, methods)| methods.iter());
    assert_eq!(of_pages.filter(|method| method.operation().is_some()).count(), 2);
}

/// What is registered in the app, and not only what is in the tables.
#[actix_web::test]
async fn the_server_serves_the_documented_methods_and_no_others() {
    let app = TestApp::spawn(On::Sqlite).await.expect("SQLite is built in");
    let all = documented();
    assert!(all.len() > 25, "only {} paths are checked", all.len());
    for (path, methods) in all {
        let path = path.replace("{id}", "1");
        let other = path.strip_suffix('/').map_or_else(|| format!("{path}/"), str::to_owned);
        for path in [path.clone(), other] {
            // No route has this method, so the response names those that it has.
            let answer = app.request("PUT", &path).bearer(GUEST).send().await;
            answer.assert_status(405);
            let allow = answer.header("allow").unwrap_or_default();
            let served = allow.split(", ").filter(|method| *method != "HEAD").map(str::to_owned);
            assert_eq!(served.collect::<BTreeSet<_>>(), methods, "{path}");
        }
    }
}

#[test]
fn the_document_is_valid() {
    let schema: Value = serde_json::from_str(OPENAPI).unwrap();
    let validator = jsonschema::validator_for(&schema).unwrap();
    let document: &Value = &DOCUMENT;
    let faults: Vec<String> = validator
        .iter_errors(document)
        .map(|error| format!("{} at {:?}", error, error.instance_path().to_string()))
        .collect();
    assert!(faults.is_empty(), "{faults:#?}");
    // It would accept anything if the wrong file was read.
    assert!(!validator.is_valid(&json!({ "openapi": "3.1.0", "info": {} })));
    for (name, schema) in DOCUMENT["components"]["schemas"].as_object().unwrap() {
        assert!(jsonschema::meta::is_valid(schema), "{name} is no JSON Schema: {schema}");
    }
}

/// Calls `look` with every object in a value.
fn walk(value: &'static Value, look: &mut dyn FnMut(&'static Value)) {
    look(value);
    match value {
        Value::Object(fields) => fields.values().for_each(|value| walk(value, look)),
        Value::Array(values) => values.iter().for_each(|value| walk(value, look)),
        _ => {}
    }
}

#[test]
fn every_reference_leads_to_a_component_and_every_component_is_used() {
    let mut used = BTreeSet::new();
    walk(&DOCUMENT, &mut |value| {
        if let Some(reference) = value.get("$ref").and_then(Value::as_str) {
            assert!(resolved(value).is_object(), "{reference}");
            used.insert(reference.to_owned());
        }
    });
    for kind in ["schemas", "headers", "responses"] {
        for name in DOCUMENT["components"][kind].as_object().unwrap().keys() {
            let reference = format!("#/components/{kind}/{name}");
            assert!(used.contains(&reference), "{reference} is not used");
        }
    }
}

#[test]
fn every_operation_says_what_it_does_and_has_an_id_of_its_own() {
    let mut ids = BTreeSet::new();
    for (name, operation) in operations() {
        assert!(
            ids.insert(operation["operationId"].as_str().unwrap()),
            "{name}: {}",
            operation["operationId"]
        );
        assert!(operation["summary"].as_str().is_some_and(|summary| summary.len() > 5), "{name}");
        let responses = operation["responses"].as_object().unwrap();
        let statuses: Vec<&String> = responses.keys().collect();
        assert!(statuses.iter().any(|status| status.starts_with('2')), "{name}: {statuses:?}");
        for status in ["405", "421", "431", "500"] {
            assert!(responses.contains_key(status), "{name} has no {status}");
        }
        let security = operation["security"].to_string();
        // An empty alternative means that a request without a token may succeed.
        let needs_a_token = security.contains("authToken") && !security.contains("{}");
        assert!(!needs_a_token || responses.contains_key("401"), "{name} has no 401");
        for (status, response) in responses {
            let response = resolved(response);
            assert!(!response["description"].as_str().unwrap().is_empty(), "{name} {status}");
            for content in response["content"].as_object().into_iter().flat_map(|contents| contents.values())
            {
                let examples = content["examples"].as_object();
                assert!(
                    examples.is_some_and(|examples| !examples.is_empty()),
                    "{name} {status} has no example"
                );
            }
        }
    }
}

#[actix_web::test]
async fn the_document_has_the_servers_own_address_and_a_model_on_offer() {
    let flags = ["--public-url", "https://chat.example"];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let answer = app.get("/openapi.json", GUEST).await;
    answer.assert_status(200).assert_header("content-type", "application/json");
    let document = answer.json();
    assert_eq!(document["servers"], json!([{ "url": "https://chat.example" }]));
    assert_eq!(document["info"]["version"], env!("CARGO_PKG_VERSION"));
    let request = &document["paths"]["/v1/chat/completions"]["post"]["requestBody"];
    assert_eq!(request["content"]["application/json"]["examples"]["hello"]["value"]["model"], "dummy");
    let own = TestApp::spawn(On::Sqlite).await.expect("SQLite is built in");
    let document = own.request("GET", "/openapi.json/").header("Host", "nas:8000").send().await.json();
    assert_eq!(document["servers"], json!([{ "url": "http://nas:8000" }]));
}

#[actix_web::test]
async fn a_client_that_has_the_document_gets_304() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let answer = app.get("/openapi.json", GUEST).await;
    answer.assert_header("cache-control", "public, max-age=300");
    let tag = answer.header("etag").expect("an ETag").to_owned();
    let again = app.request("GET", "/openapi.json").header("If-None-Match", &tag).send().await;
    again.assert(304, "").assert_header("etag", &tag);
    let other = app.request("GET", "/openapi.json").header("If-None-Match", "\"other\"").send().await;
    other.assert_status(200);
}
