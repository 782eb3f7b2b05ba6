//! `POST /logout/`.

use rstest::rstest;
use serde_json::json;

use crate::support::On;
use crate::support::app::TestApp;

#[rstest]
#[actix_web::test]
async fn a_logout_revokes_the_auth_token_that_it_was_sent_with(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let bob = app.user("bob").await;
    let kept = app.user("ada").await;
    for (body, path) in [("", "/logout/"), ("{}", "/logout"), (r#"{"everywhere":false}"#, "/logout/")] {
        let token = app.token("ada").await;
        let answer = app.request("POST", path).bearer(&token).body(body).send().await;
        answer.assert(200, r#"{"message":"Logged out"}"#);
        app.get("/balance/", &token).await.assert_error(401, "Unauthorized");
        app.chat(&token, "Hello").await.assert_error(401, "Unauthorized");
        app.request("POST", path).bearer(&token).body(body).send().await.assert_error(401, "Unauthorized");
    }
    assert_eq!((app.balance(&kept).await, app.balance(&bob).await), (4000, 4000));
}

#[rstest]
#[actix_web::test]
async fn a_logout_everywhere_revokes_all_auth_tokens_of_the_user(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (bob, first) = (app.user("bob").await, app.user("ada").await);
    let second = app.token("ada").await;
    let named = app.post("/auth-tokens/", &first, json!({ "name": "server" })).await;
    let named = named.json()["token"].as_str().unwrap().to_owned();
    let answer = app.post("/logout/", &second, json!({ "everywhere": true })).await;
    answer.assert(200, r#"{"message":"Logged out"}"#);
    for token in [first, second, named] {
        app.get("/balance/", &token).await.assert_error(401, "Unauthorized");
    }
    assert_eq!(app.balance(&bob).await, 4000);
    assert_eq!(app.balance(&app.token("ada").await).await, 4000, "the next login works");
}

/// A client whose request is ambiguous must not believe that it is logged out everywhere.
#[rstest]
#[actix_web::test]
async fn an_invalid_logout_revokes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let invalid =
        [r#"{"everywhere":"true"}"#, r#"{"everywhere":1}"#, r#"{"everywhere":null}"#, "[true]", "{", " "];
    for body in invalid {
        let answer = app.request("POST", "/logout/").bearer(&token).body(body).send().await;
        answer.assert_error(400, "Invalid everywhere");
    }
    let form = app.request("POST", "/logout/").bearer(&token).body("everywhere=true");
    let form = form.header("Content-Type", "application/x-www-form-urlencoded").send().await;
    form.assert_error(415, "Unsupported media type").assert_header("accept", "application/json");
    assert_eq!(app.balance(&token).await, 4000);
}
