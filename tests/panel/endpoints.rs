//! Chats by the endpoint that they came through. Embeddings are shown only on request.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::column;
use crate::support::panel::Browser;

/// The chats: user, message, endpoint, and state.
const CHATS: [(&str, &str, &str, &str); 9] = [
    ("ada", "apple one", "NULL", "complete"),
    ("ada", "apple two", "'chat'", "complete"),
    ("bob", "apple three", "'messages'", "complete"),
    ("ada", "apple four", "'embeddings'", "complete"),
    ("ada", "pear five", "'messages'", "complete"),
    ("bob", "pear six", "'embeddings'", "complete"),
    ("ada", "pear seven", "'responses'", "failed"),
    ("ada", "pear eight", "'embeddings'", "failed"),
    ("bob", "pear nine", "'of_the_future'", "complete"),
];

/// Adds the chats, and the superuser root. The id of each chat is its place, from 1 on.
async fn furnished(app: &TestApp) -> Browser<'_> {
    let tokens = [("ada", app.user("ada").await), ("bob", app.user("bob").await)];
    for (user, message, _, _) in CHATS {
        let (_, token) = tokens.iter().find(|(name, _)| *name == user).unwrap();
        app.chat(token, message).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    for (place, (_, _, endpoint, state)) in CHATS.into_iter().enumerate() {
        let id = place + 1;
        if state == "failed" {
            let reason = [("reason", "x")];
            root.submit(&format!("/admin/chats/{id}/refund/"), &reason).await.assert_status(303);
            app.sql(&format!("UPDATE chats SET state = 'failed', failure = 'stalled' WHERE id = {id}"));
        }
        app.sql(&format!(
            "UPDATE chats SET endpoint = {endpoint}, is_listed = {} WHERE id = {id}",
            if endpoint == "'embeddings'" { "FALSE" } else { "TRUE" }
        ));
    }
    root
}

async fn shown(root: &Browser<'_>, query: &str) -> Vec<String> {
    let page = root.get(&format!("/admin/chats/?{query}")).await;
    page.assert_status(200);
    let mut shown = column(&page.html(), "Chat");
    shown.sort();
    shown
}

#[rstest]
#[actix_web::test]
async fn embeddings_are_shown_only_if_the_filter_asks_for_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = furnished(&app).await;
    app.catch_up().await;
    for (query, expected) in [
        ("", &[1, 2, 3, 5, 7, 9][..]),
        ("endpoint=embeddings", &[4, 6, 8]),
        ("endpoint=messages", &[3, 5]),
        ("endpoint=none", &[1]),
        ("endpoint=all", &[1, 2, 3, 4, 5, 6, 7, 8, 9]),
        ("endpoint=all&user=ada", &[1, 2, 4, 5, 7, 8]),
        ("endpoint=all&user=ada&q=pear", &[5, 7, 8]),
        ("endpoint=all&state=failed&date=today", &[7, 8]),
        ("endpoint=all&state=failed&reason=stalled&date=today", &[7, 8]),
        ("endpoint=of_the_future", &[9]),
        ("endpoint=telepathy", &[]),
        ("user=ada", &[1, 2, 5, 7]),
        ("user=ada&endpoint=embeddings", &[4, 8]),
        ("user=bob&endpoint=messages", &[3]),
        ("user=ada&endpoint=none", &[1]),
        ("state=failed", &[7]),
        ("state=failed&endpoint=embeddings", &[8]),
        ("state=complete&endpoint=embeddings", &[4, 6]),
        ("state=complete&endpoint=none", &[1]),
        ("q=pear", &[5, 7, 9]),
        ("q=pear&endpoint=embeddings", &[6, 8]),
        ("q=pear&endpoint=embeddings&user=ada", &[8]),
        ("q=pear&endpoint=embeddings&user=ada&state=complete", &[]),
        ("q=apple&endpoint=none", &[1]),
        ("date=today", &[1, 2, 3, 5, 7, 9]),
        ("date=today&endpoint=embeddings", &[4, 6, 8]),
        ("date=today&endpoint=messages&q=pear", &[5]),
        ("date_to=2020-01-01&endpoint=embeddings", &[]),
        ("model=dummy", &[1, 2, 3, 5, 7, 9]),
        ("model=dummy&endpoint=embeddings&sort=id", &[4, 6, 8]),
        // An id names one chat, whatever it is.
        ("q=%234", &[4]),
        ("q=%234&endpoint=messages", &[]),
        ("q=%233&user=bob", &[3]),
    ] {
        let expected: Vec<String> = expected.iter().map(|id| format!("#{id}")).collect();
        assert_eq!(shown(&root, query).await, expected, "{query}");
    }
    root.get("/admin/chats/").await.assert_shows(&["6 chats"]);
    root.get("/admin/chats/?user=ada").await.assert_shows(&["4 of 6 chats"]);
    root.get("/admin/chats/?endpoint=embeddings").await.assert_shows(&["3 of 9 chats"]);
    let results = root.get("/admin/search/?q=pear").await;
    results.assert_shows(&["pear five", "pear seven", "pear nine"]);
    assert!(!results.answer.text().contains("pear six"), "embeddings are not among the results");
}

#[rstest]
#[actix_web::test]
async fn pending_embeddings_are_holds_and_no_chats_of_the_list(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let holds = [app.hold(&token).await, app.hold(&token).await];
    app.sql(&format!("UPDATE chats SET endpoint = 'embeddings', is_listed = FALSE WHERE id = {}", holds[0]));
    let root = app.superuser("root").await;
    let [embedding, chat] = holds.map(|id| format!("#{id}"));
    assert_eq!(shown(&root, "state=pending").await, [chat.as_str()]);
    assert_eq!(shown(&root, "state=pending&endpoint=embeddings").await, [embedding.as_str()]);
    assert_eq!(shown(&root, "state=pending&endpoint=embeddings&user=ada").await, [embedding.as_str()]);
    assert_eq!(column(&root.get("/admin/holds/").await.html(), "Chat"), [embedding, chat]);
}

#[rstest]
#[actix_web::test]
async fn pages_name_the_dialect_and_the_path(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = furnished(&app).await;
    let newest_first: Vec<&str> =
        vec!["of_the_future", "Responses", "Messages", "Messages", "Tollgate", "not recorded"];
    assert_eq!(column(&root.get("/admin/chats/").await.html(), "Endpoint"), newest_first);
    root.get("/admin/chats/3/").await.assert_shows(&["Dialect Messages", "Endpoint /v1/messages"]);
    root.get("/admin/chats/4/").await.assert_shows(&["Dialect Embeddings", "Endpoint /v1/embeddings"]);
    root.get("/admin/chats/1/").await.assert_shows(&["Dialect not recorded"]);
    let user = root.get(&format!("/admin/users/{}/?tab=chats", app.id_of("ada"))).await;
    user.assert_shows(&["Endpoint", "Responses", "Messages", "not recorded", "pear seven"]);
    assert!(!user.answer.text().contains("pear eight"), "embeddings are not among the latest chats");
}

#[rstest]
#[actix_web::test]
async fn users_see_the_path_of_each_chat_and_no_embeddings_in_the_list(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    drop(furnished(&app).await);
    let token = app.token("ada").await;
    let chats = app.get("/chats/", &token).await.json()["chats"].clone();
    let endpoints: Vec<_> =
        chats.as_array().unwrap().iter().map(|chat| (&chat["id"], &chat["endpoint"])).collect();
    let expected = serde_json::json!([[7, "/v1/responses"], [5, "/v1/messages"], [2, "/chat/"], [1, null]]);
    assert_eq!(serde_json::json!(endpoints), expected);
    let embedding = app.get("/chats/4/", &token).await.json();
    assert_eq!(embedding["endpoint"], "/v1/embeddings");
}
