use rstest::rstest;
use serde_json::{Value, json};

use super::super::super::upstream::spawn;
use crate::support::On;
use crate::support::app::{Answer, GUEST, TestApp};

async fn get(app: &TestApp, path: &str, token: &str) -> Answer {
    app.request("GET", path).bearer(token).header("anthropic-version", "2023-06-01").send().await
}

fn model(name: &str) -> Value {
    json!({ "type": "model", "id": name, "display_name": name, "created_at": "1970-01-01T00:00:00Z" })
}

#[actix_web::test]
async fn clients_of_anthropics_protocol_get_its_list_of_models() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let list = get(&app, "/v1/models?limit=1000", &token).await;
    let wanted = json!({ "data": [model("m"), model("vendor/other")], "has_more": false,
        "first_id": "m", "last_id": "vendor/other" });
    assert_eq!(list.assert_status(200).json(), wanted);
    assert_eq!(list.header("request-id"), list.header("x-request-id"));
    let one = get(&app, "/v1/models/vendor/other", &token).await;
    assert_eq!(one.assert_status(200).json(), model("vendor/other"));
    let missing = get(&app, "/v1/models/claude-9", &token).await.assert_status(404).json();
    assert_eq!((&missing["type"], &missing["error"]["type"]), (&json!("error"), &json!("not_found_error")));
    let guest = get(&app, "/v1/models", GUEST).await.assert_status(401).json();
    assert_eq!(guest["error"]["type"], "authentication_error");
    app.sql("UPDATE models SET is_withdrawn = TRUE");
    let none = json!({ "data": [], "has_more": false, "first_id": null, "last_id": null });
    assert_eq!(get(&app, "/v1/models", &token).await.json(), none);
}

#[rstest]
#[actix_web::test]
async fn the_list_has_aliases_and_pages(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, _upstream, token)) = spawn(on, &[]).await else { return };
    app.sql("UPDATE models SET aliases = 'claude-opus-5, claude-*, vendor/other' WHERE name = 'm'");
    app.sql("UPDATE models SET aliases = 'claude-haiku-5' WHERE name = 'vendor/other'");
    let alias = |name: &str, of: &str| {
        let mut alias = model(name);
        alias["display_name"] = of.into();
        alias
    };
    let all = [
        model("m"),
        alias("claude-opus-5", "m"),
        model("vendor/other"),
        alias("claude-haiku-5", "vendor/other"),
    ];
    for (query, page, has_more) in [
        ("", &all[..], false),
        ("?limit=3", &all[..3], true),
        ("?limit=2&after_id=m", &all[1..3], true),
        ("?after_id=vendor/other", &all[3..], false),
        ("?limit=1&before_id=vendor%2Fother", &all[1..2], true),
        ("?before_id=m", &all[..0], false),
    ] {
        let list = get(&app, &format!("/v1/models{query}"), &token).await.assert_status(200).json();
        let id = |model: Option<&Value>| model.map(|model| model["id"].clone());
        let wanted = json!({ "data": page, "has_more": has_more,
            "first_id": id(page.first()), "last_id": id(page.last()) });
        assert_eq!(list, wanted, "{query}");
    }
    // Every name of the list is good for a request, and is described as the model that it means.
    for name in all.iter().map(|model| model["id"].as_str().unwrap()) {
        let shown = get(&app, &format!("/v1/models/{name}"), &token).await.assert_status(200).json();
        let meant = all.iter().find(|model| model["id"] == name).unwrap()["display_name"].clone();
        assert_eq!(shown, model(meant.as_str().unwrap()));
    }
    for (query, param) in
        [("limit=0", "limit"), ("after_id=gpt-9", "after_id"), ("after_id=m&before_id=m", "before_id")]
    {
        let error = get(&app, &format!("/v1/models?{query}"), &token).await.assert_status(400).json();
        assert_eq!((&error["type"], &error["error"]["param"]), (&json!("error"), &json!(param)));
    }
}

#[actix_web::test]
async fn other_clients_get_the_list_of_openais_protocol() {
    let Some((app, _upstream, token)) = spawn(On::Sqlite, &[]).await else { return };
    let list = app.get("/v1/models", &token).await;
    assert_eq!((&list.json()["object"], list.header("request-id")), (&json!("list"), None));
}
