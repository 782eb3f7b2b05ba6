//! The outcome of chats (model, usage, timing, cost, reason of failure), on their pages, in lists
//! and on the home page.

use rstest::rstest;
use tollgate::clock;
use tollgate::db::DbConnection;
use tollgate::domain::{FailureReason, OperationId};
use tollgate::metering::{Ending, end_hold};

use super::models::UPSTREAM;
use crate::api::upstream::spawn;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Page;
use crate::support::upstream::status as upstream_status;

/// Makes a chat that failed for this reason. Returns its id.
async fn failed(app: &TestApp, token: &str, reason: FailureReason) -> i64 {
    let chat = app.hold(token).await;
    let end = move |conn: &mut DbConnection| {
        let (ending, now) = (Ending::failed(reason), clock::now());
        Ok(end_hold(conn, chat, &ending, OperationId::generate(), now)?)
    };
    app.services.db.write(tollgate::db::Scope::none(), end).await.unwrap();
    chat
}

/// Returns the text of the home page from this heading on, up to the recent actions.
fn section(page: &Page, head: &str) -> Option<String> {
    let text = page.text();
    let (_, rest) = text.split_once(head)?;
    Some(rest.split("Recent actions").next().unwrap_or_default().to_owned())
}

const FAILURES: &str = "Failures by reason, today and yesterday";

#[rstest]
#[actix_web::test]
async fn the_home_page_counts_the_failures_of_two_days_by_reason(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat(&token, "Hello").await.assert_status(201);
    app.hold(&token).await;
    assert_eq!(section(&root.get("/admin/").await, FAILURES), None, "nothing failed");
    let old = failed(&app, &token, FailureReason::Stalled).await;
    app.sql(&format!("UPDATE chats SET created_at = '2024-01-01 00:00:00' WHERE id <= {old}"));
    assert_eq!(section(&root.get("/admin/").await, FAILURES), None, "that was long ago");
    let mut silent = Vec::new();
    for _ in 0..2 {
        silent.push(failed(&app, &token, FailureReason::Stalled).await);
    }
    let other = failed(&app, &token, FailureReason::ServerError).await;
    let home = root.get("/admin/").await;
    assert_eq!(
        section(&home, FAILURES).map(|text| text.trim().to_owned()),
        Some("2 the model stopped sending 1 the model had an error".to_owned())
    );
    // Each reason leads to the list of the chats that failed because of it.
    let list = root.click(&home, "the model stopped sending").await;
    list.assert_shows(&["2 of ", "State: Failed", "Why it failed: the model stopped sending"]);
    let is_there =
        |chat: i64| list.links().iter().any(|link| link.starts_with(&format!("/admin/chats/{chat}/")));
    assert!(silent.iter().all(|chat| is_there(*chat)) && !is_there(other), "{:?}", list.links());
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn chats_are_found_by_reason_combined_with_other_filters(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    let root = app.superuser("root").await;
    let silent = failed(&app, &ada, FailureReason::Stalled).await;
    let other = failed(&app, &ada, FailureReason::ServerError).await;
    let theirs = failed(&app, &bob, FailureReason::Stalled).await;
    app.catch_up().await;
    let found = async |query: &str| {
        let page = root.get(&format!("/admin/chats/?reason=stalled&{query}")).await;
        let links = page.assert_status(200).links();
        [silent, other, theirs]
            .map(|chat| links.iter().any(|link| link.starts_with(&format!("/admin/chats/{chat}/"))))
    };
    assert_eq!(found("").await, [true, false, true]);
    assert_eq!(found("user=ada").await, [true, false, false]);
    assert_eq!(found("user=ada&state=failed&date=today").await, [true, false, false]);
    assert_eq!(found("user=ada&state=complete").await, [false; 3]);
    assert_eq!(found("q=hi").await, [true, false, true]);
    assert_eq!(found("q=nothing").await, [false; 3]);
    let cut = root.get("/admin/chats/?reason=server_error&q=hi&rows=1").await;
    cut.assert_shows(&["No match so far"]);
    let further = root.click(&cut, "Look further").await;
    assert!(further.links().iter().any(|link| link.starts_with(&format!("/admin/chats/{other}/"))));
}

#[rstest]
#[actix_web::test]
async fn a_chats_page_shows_model_usage_timing_and_cost(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let chat = app.number("SELECT max(id) AS value FROM chats");
    let path = format!("/admin/chats/{chat}/");
    root.get(&path).await.assert_shows(&["Net cost 100", "Charged −100"]);
    let user = app.id_of("ada");
    app.sql(&format!(
        "INSERT INTO conversations (id, user_id, title, created_at) VALUES (4711, {user}, 'x', '2026-01-01 00:00:00')"
    ));
    let extras = r#"{"finish_reason":"tool_calls","message":{"tool_calls":[{"id":"<b>call</b>"}]}}"#;
    app.sql(&format!(
        "UPDATE chats SET model = 'small-1', prompt_tokens = 1200, completion_tokens = 34, usage_estimated = TRUE,
                created_at = '2026-01-01 10:00:00', first_byte_at = '2026-01-01 10:00:00.250',
                finished_at = '2026-01-01 10:00:03.500', conversation_id = 4711, answer_extras = '{extras}' WHERE id = {chat}"
    ));
    // The settlement that a price by usage would have made.
    app.sql(&format!(
        "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, note, operation_id, created_at)
         VALUES ({user}, 60, 3960, 'settlement', {chat}, '', {}, '2026-01-01 10:00:03')",
        if on == On::Sqlite { "randomblob(16)" } else { "decode('00112233445566778899aabbccddeeff', 'hex')" }
    ));
    app.sql(&format!("UPDATE users SET tokens = 3960 WHERE id = {user}"));
    let page = root.get(&path).await;
    page.assert_shows(&[
        "State complete",
        "Model small-1",
        "First token 250 ms",
        "Done 3.5 s",
        "Conversation 4711",
        "Prompt tokens 1,200 (estimated)",
        "Answer tokens 34 (estimated)",
        "Finish reason tool_calls",
        "Net cost 40",
        "Charged −100",
        "Settled by usage +60",
        "Other parts of the answer",
    ]);
    page.assert_hides(&["<b>call</b>"]);
    root.get("/admin/chats/").await.assert_shows(&["≈ 1,200 + 34 3.5 s"]);
    app.sql(&format!("UPDATE chats SET usage_estimated = FALSE WHERE id = {chat}"));
    root.get(&path).await.assert_hides(&["estimated"]);
    root.submit(&format!("{path}refund/"), &[("reason", "sorry")]).await.assert_status(303);
    root.get(&path).await.assert_shows(&["Net cost 0", "Settled by usage +60", "Refunded +40"]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_page_of_a_failed_or_pending_chat_says_so(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let chat = failed(&app, &token, FailureReason::Stalled).await;
    let page = root.get(&format!("/admin/chats/{chat}/")).await;
    page.assert_shows(&["State failed", "Why it failed the model stopped sending", "Net cost 0"]);
    root.get("/admin/chats/").await.assert_shows(&["the model stopped sending failed"]);
    let hold = app.hold(&token).await;
    let page = root.get(&format!("/admin/chats/{hold}/")).await;
    page.assert_shows(&["State pending", "Deadline", "Held 100, not settled yet"]);
    app.sql(&format!(
        "UPDATE chats SET state = 'cancelled', failure = 'client_disconnected', deadline = NULL WHERE id = {hold}"
    ));
    root.get(&format!("/admin/chats/{hold}/")).await.assert_shows(&["Why it ended the client disconnected"]);
}

#[rstest]
#[actix_web::test]
async fn the_home_page_shows_the_upstreams_status(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    root.get("/admin/").await.assert_hides(&["Upstream"]);
    let Some(app) = TestApp::spawn_with(on, &UPSTREAM).await else { return };
    let (root, token) = (app.superuser("root").await, app.user("ada").await);
    root.get("/admin/").await.assert_shows(&[
        "Models, as seen by this node Model State Last answer Last failure Why it failed \
         small-1 no answer yet \u{2013} \u{2013} \u{2013} big/2? no answer yet",
        "Upstream State no answer yet Calls in flight 0 Calls waiting 0",
    ]);
    let answer = app.chat(&token, "Hello").await;
    assert!(answer.status >= 500, "{}", answer.text());
    let home = root.get("/admin/").await;
    home.assert_shows(&["Upstream State failing", "the model could not be reached big/2? no answer yet"]);
    assert_eq!(
        section(&home, FAILURES).map(|text| text.trim().to_owned()),
        Some("1 the model could not be reached".to_owned())
    );
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_home_page_says_for_each_model_what_the_operator_must_fix(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, upstream, token)) = spawn(on, &[]).await else { return };
    let root = app.superuser("root").await;
    let admin = app.token("root").await;
    let status = async || app.get("/readyz", &admin).await.json()["upstream"]["models"].clone();
    assert_eq!(status().await[1]["model"], "vendor/other");
    let ask = async |model: &str| {
        let message = serde_json::json!({ "role": "user", "content": "hi" });
        app.post("/v1/chat/completions", &token, serde_json::json!({ "model": model, "messages": [message] }))
            .await
    };
    let key = "m: the upstream rejects the key: check --upstream-key-file";
    let missing = "vendor/other: the upstream does not offer this model to this server: check its name";
    root.get("/admin/").await.assert_hides(&[key, missing]);
    upstream.next(upstream_status(401, &[], ""));
    ask("m").await.assert_status(502);
    upstream.next(upstream_status(404, &[], ""));
    ask("vendor/other").await.assert_status(502);
    let home = root.get("/admin/").await;
    home.assert_shows(&[key, missing, "m failing", "vendor/other failing"]);
    let seen = status().await;
    assert_eq!(seen[0]["last_failure"]["code"], "key_rejected");
    assert!(seen[1]["to_fix"].as_str().unwrap().starts_with("the upstream does not offer this model"));
    // A good answer shows that it is fixed.
    ask("m").await.assert_status(200);
    let home = root.get("/admin/").await;
    home.assert_hides(&[key]);
    home.assert_shows(&[missing, "m healthy"]);
    assert!(status().await[0]["to_fix"].is_null());
    // What is withdrawn needs no fixing.
    app.sql("UPDATE models SET is_withdrawn = TRUE WHERE name = 'vendor/other'");
    root.get("/admin/").await.assert_hides(&[missing, "vendor/other"]);
}

/// A code that this version does not know, as a newer one may store it, is shown and found as it
/// is.
#[rstest]
#[actix_web::test]
async fn a_reason_of_another_version_is_shown_and_found_as_it_is(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let known = failed(&app, &token, FailureReason::Stalled).await;
    let unknown = failed(&app, &token, FailureReason::Stalled).await;
    app.sql(&format!("UPDATE chats SET failure = 'on_fire' WHERE id = {unknown}"));
    app.sql("UPDATE audit_log SET action = 'juggle', object_kind = 'ball' WHERE id = 1");
    let home = root.get("/admin/").await;
    let list = root.click(&home, "on_fire").await;
    list.assert_shows(&["1 of ", "Why it failed: on_fire"]);
    assert!(list.html().contains("<option value=\"on_fire\" selected>on_fire</option>"), "{}", list.html());
    let is_there =
        |chat: i64| list.links().iter().any(|link| link.starts_with(&format!("/admin/chats/{chat}/")));
    assert!(is_there(unknown) && !is_there(known), "{:?}", list.links());
    root.get(&format!("/admin/chats/{unknown}/")).await.assert_shows(&["Why it failed on_fire"]);
    let list = root.get("/admin/chats/?reason=stalled").await;
    let selected = "<option value=\"stalled\" selected>the model stopped sending</option>";
    assert!(list.html().contains(selected) && is_there(unknown), "{}", list.html());
    root.get("/admin/history/?action=juggle").await.assert_shows(&["1 of ", "juggle", "ball"]);
    let chat = app.get(&format!("/chats/{unknown}/"), &token).await.json();
    assert_eq!((&chat["failure"], &chat["failure_code"]), (&"on_fire".into(), &"on_fire".into()));
    let chat = app.get(&format!("/chats/{known}/"), &token).await.json();
    assert_eq!(chat["failure"], FailureReason::Stalled.text());
    assert_eq!(chat["failure_code"], FailureReason::Stalled.code());
}
