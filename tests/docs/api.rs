//! `docs/api.md` lists every request.

use std::collections::{BTreeMap, BTreeSet};

use super::{code, rows};
use crate::house::source::below;
use crate::support::On;
use crate::support::app::{GUEST, TestApp};

const DOCUMENT: &str = include_str!("../../docs/api.md");

/// Returns the methods of each documented path, without its trailing slash.
fn documented() -> BTreeMap<&'static str, BTreeSet<&'static str>> {
    let mut methods: BTreeMap<_, BTreeSet<_>> = BTreeMap::new();
    let (_, requests) = DOCUMENT.split_once("\n## Requests\n").expect("a section with the requests");
    let requests = requests.split("\n## ").next().unwrap();
    for row in rows(requests) {
        let (method, path) = code(row[0]).and_then(|request| request.split_once(' ')).expect("METHOD PATH");
        methods.entry(path.trim_end_matches('/')).or_default().insert(method);
    }
    methods
}

/// Returns the paths in the code of the API: texts that begin with a slash, with `{id}` for any
/// parameter.
fn paths(code: &str) -> Vec<String> {
    let mut paths = Vec::new();
    for rest in code.split("\"/").skip(1) {
        let path = rest.split(['"', '?', ' ']).next().unwrap().trim_end_matches('/');
        let segments = path.split('/').map(|part| if part.starts_with('{') { "{id}" } else { part });
        paths.push(format!("/{}", segments.collect::<Vec<_>>().join("/")));
    }
    paths
}

#[test]
fn every_path_of_the_api_is_in_the_document() {
    let documented = documented();
    let mut found = BTreeSet::new();
    for source in below("src/api") {
        for path in paths(&source.code) {
            assert!(
                documented.contains_key(path.as_str()),
                "{} has {path}, docs/api.md does not",
                source.path
            );
            found.insert(path);
        }
    }
    let documented: BTreeSet<String> = documented.into_keys().map(str::to_owned).collect();
    assert_eq!(found, documented, "docs/api.md has a path that the API does not have");
}

#[actix_web::test]
async fn every_documented_path_serves_the_documented_methods() {
    let app = TestApp::spawn(On::Sqlite).await.expect("SQLite is built in");
    for (path, methods) in documented() {
        let path = path.replace("{id}", "1");
        for path in [path.clone(), format!("{path}/")] {
            // No route has this method, so the response names those that it has.
            let answer = app.request("PUT", &path).bearer(GUEST).send().await;
            assert_eq!(answer.status, 405, "{path}");
            let allow = answer.header("allow").unwrap_or_default();
            // Every GET serves HEAD, too.
            let served: BTreeSet<&str> = allow.split(", ").filter(|method| *method != "HEAD").collect();
            assert_eq!(served, methods, "{path}");
        }
    }
}

#[test]
fn paths_are_found_in_code() {
    let code = r#"a("/x/{id:.+}", "y/z"); format!("/x/{}/?limit={limit}"); b("/v1/x")"#;
    assert_eq!(paths(code), ["/x/{id}", "/x/{id}", "/v1/x"]);
}
