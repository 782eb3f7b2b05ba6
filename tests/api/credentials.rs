//! How a request carries its auth token, and which requests are served.

use rstest::rstest;
use serde_json::{Value, json};

use crate::support::On;
use crate::support::app::{Answer, GUEST, TestApp};

/// Routes that need a user, each with a request that would succeed. Those of conversations and of
/// `/v1` are tested in `conversations.rs` and in `v1/`.
const ROUTES: [(&str, &str, &str); 12] = [
    ("POST", "/chat/", r#"{"message":"Hello"}"#),
    ("GET", "/tokens/", ""),
    ("GET", "/balance/", ""),
    ("GET", "/me/", ""),
    ("GET", "/chats/", ""),
    ("GET", "/chats/CHAT/", ""),
    ("GET", "/ledger/", ""),
    ("GET", "/auth-tokens/", ""),
    ("POST", "/auth-tokens/", r#"{"name":"laptop"}"#),
    ("DELETE", "/auth-tokens/TOKEN/", ""),
    (
        "POST",
        "/password/",
        r#"{"old_password":"a plain pass phrase 7","new_password":"other horse battery"}"#,
    ),
    ("POST", "/logout/", ""),
];

/// A user with a chat and a spare auth token. Their ids replace `CHAT` and `TOKEN` in paths.
struct Somebody {
    token: String,
    chat_id: String,
    spare_id: String,
}

impl Somebody {
    async fn new(app: &TestApp, name: &str) -> Somebody {
        let token = app.user(name).await;
        let chat_id = app.chat(&token, "Hello").await.header("x-chat-id").unwrap().to_owned();
        let spare = app.post("/auth-tokens/", &token, json!({ "name": "spare" })).await;
        Somebody { token, chat_id, spare_id: spare.json()["id"].to_string() }
    }
}

async fn send(
    app: &TestApp,
    (method, path, body): (&str, &str, &str),
    owner: &Somebody,
    token: &str,
) -> Answer {
    let path = path.replace("CHAT", &owner.chat_id).replace("TOKEN", &owner.spare_id);
    app.request(method, &path).bearer(token).body(body).send().await
}

/// Returns the text of a path's 401. `GET /tokens/` has its own.
fn refusal(path: &str) -> &'static str {
    if path == "/tokens/" { "Unauthorized Token Not Found" } else { "Unauthorized" }
}

#[rstest]
#[actix_web::test]
async fn every_route_serves_its_user(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let ada = Somebody::new(&app, "ada").await;
    let mut statuses = Vec::new();
    for route in ROUTES {
        statuses.push(send(&app, route, &ada, &ada.token).await.status);
    }
    assert_eq!(statuses, [201, 200, 200, 200, 200, 200, 200, 200, 201, 204, 200, 200]);
}

#[rstest]
#[actix_web::test]
async fn every_route_refuses_requests_without_a_live_auth_token(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let ada = Somebody::new(&app, "ada").await;
    let inactive = app.user("inactive").await;
    app.sql("UPDATE users SET is_active = FALSE WHERE username = 'inactive'");
    let expired = app.user("expired").await;
    app.sql(
        "UPDATE auth_tokens SET expires_at = '2020-01-01 00:00:00'
         WHERE user_id = (SELECT id FROM users WHERE username = 'expired')",
    );
    let revoked = app.user("revoked").await;
    app.post("/logout/", &revoked, json!({})).await.assert_status(200);
    let (chats, passwords) = (app.count("chats"), app.text("SELECT max(password) AS value FROM users"));
    for route @ (method, path, _) in ROUTES {
        for token in [GUEST, "tg_nobody", &inactive, &expired, &revoked] {
            let answer = send(&app, route, &ada, token).await;
            assert_eq!((answer.status, answer.error()), (401, refusal(path).to_owned()), "{method} {path}");
            answer.assert_header("www-authenticate", "Bearer realm=\"tollgate\"");
        }
    }
    assert_eq!(app.count("chats"), chats);
    assert_eq!(app.text("SELECT max(password) AS value FROM users"), passwords);
    assert_eq!(app.balance(&ada.token).await, 3900, "a refused request changes nothing");
}

#[rstest]
#[actix_web::test]
async fn what_belongs_to_another_user_is_not_found(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let ada = Somebody::new(&app, "ada").await;
    let eve = Somebody::new(&app, "eve").await;
    for route @ (_, path, _) in ROUTES {
        if path.contains("CHAT") || path.contains("TOKEN") {
            send(&app, route, &ada, &eve.token).await.assert_error(404, "Not found");
        }
    }
    let listed = app.get("/auth-tokens/", &ada.token).await.json();
    assert_eq!(listed["auth_tokens"].as_array().unwrap().len(), 2, "eve revoked nothing");
    let chats = app.get("/chats/", &eve.token).await.json()["chats"].clone();
    assert_eq!((chats[0]["id"].to_string(), &chats[1]), (eve.chat_id, &Value::Null));
    let entries = app.get("/ledger/", &eve.token).await.json()["entries"].clone();
    assert_eq!((&entries[0]["chat_id"], entries.as_array().unwrap().len()), (&chats[0]["id"], 2));
    let tokens = app.get("/auth-tokens/", &eve.token).await.json()["auth_tokens"].clone();
    assert_eq!((tokens[0]["id"].to_string(), tokens.as_array().unwrap().len()), (eve.spare_id, 2));
}

#[rstest]
#[actix_web::test]
async fn an_invalid_id_is_not_found(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for id in ["0", "-1", "x", "1.5", "9223372036854775808", "99999999999999999999", "%00", "1%20OR%201=1"] {
        app.get(&format!("/chats/{id}/"), &token).await.assert_error(404, "Not found");
        app.delete(&format!("/auth-tokens/{id}/"), &token).await.assert_error(404, "Not found");
        app.get(&format!("/chats/{id}"), GUEST).await.assert_error(401, "Unauthorized");
    }
}

#[rstest]
#[actix_web::test]
async fn the_header_has_three_forms_with_the_scheme_in_any_case(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for scheme in ["", "Token ", "Bearer ", "token ", "BEARER ", "bEaReR ", "Bearer   "] {
        let value = format!("{scheme}{token}");
        let balance = app.request("GET", "/balance/").header("Authorization", &value).send().await;
        balance.assert(200, r#"{"tokens":4000}"#);
        let me = app.request("GET", "/me/").header("authorization", &value).send().await;
        assert_eq!(me.json()["username"], "ada");
    }
    for value in ["", "Bearer", "Token", &format!("Basic {token}"), &format!("Bearer {token} {token}")] {
        let refused = app.request("GET", "/balance/").header("Authorization", value).send().await;
        assert_eq!((refused.status, value), (401, value));
    }
    let cut = app.request("GET", "/balance/").bearer(&token[..token.len() - 1]).send().await;
    cut.assert_error(401, "Unauthorized");
    let twice = app.request("GET", "/balance/").bearer(&token).bearer(&token).send().await;
    twice.assert_error(401, "Unauthorized");
}

#[rstest]
#[actix_web::test]
async fn a_token_in_the_body_counts_only_for_chats_and_only_without_a_header(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let in_body = json!({ "message": "Hello", "token": ada });
    app.post("/chat/", GUEST, in_body.clone()).await.assert_status(201);
    app.post("/chat/", &bob, in_body.clone()).await.assert_status(201);
    assert_eq!((app.balance(&ada).await, app.balance(&bob).await), (3900, 3900), "the header pays");
    app.post("/chat/", "tg_nobody", in_body.clone()).await.assert_error(401, "Unauthorized");
    let empty = app.request("POST", "/chat/").header("Authorization", "").json(&in_body);
    empty.send().await.assert_error(401, "Unauthorized");
    for token in [json!(5), json!(null), json!([ada]), json!(format!("Bearer {ada}"))] {
        let answer = app.post("/chat/", GUEST, json!({ "message": "Hello", "token": token })).await;
        answer.assert_error(401, "Unauthorized");
    }
    for path in ["/logout/", "/auth-tokens/", "/password/"] {
        let answer = app.post(path, GUEST, json!({ "token": ada, "name": "n" })).await;
        answer.assert_error(401, "Unauthorized");
    }
    assert_eq!((app.balance(&ada).await, app.count("chats")), (3900, 2));
}

#[rstest]
#[actix_web::test]
async fn an_auth_token_in_the_url_or_in_a_cookie_is_ignored(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for name in ["token", "auth_token", "access_token", "api_key"] {
        app.get(&format!("/balance/?{name}={token}"), GUEST).await.assert_error(401, "Unauthorized");
        let cookie = format!("{name}={token}; sessionid={token}");
        let answer = app.request("GET", "/balance/").header("Cookie", &cookie).send().await;
        answer.assert_error(401, "Unauthorized");
        let path = format!("/chat/?{name}={token}");
        app.post(&path, GUEST, json!({ "message": "Hello" })).await.assert_error(401, "Unauthorized");
    }
}

#[rstest]
#[actix_web::test]
async fn the_auth_token_of_a_login_lives_as_long_as_the_setting_says(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn_with(on, &["--auth-token-days", "30"]).await else { return };
    let token = app.user("ada").await;
    let listed = app.get("/auth-tokens/", &token).await.json();
    let time = |field: &str| {
        let text = listed["auth_tokens"][0][field].as_str().unwrap();
        chrono::DateTime::parse_from_rfc3339(text).unwrap()
    };
    assert_eq!((time("expires_at") - time("created_at")).num_days(), 30);
}
