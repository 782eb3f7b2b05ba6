//! A chat's page: the conversation first, and what is known of its cost and usage.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Page;

/// Checks that the page has these texts, in this order.
#[track_caller]
fn assert_in_order(page: &Page, texts: &[&str]) {
    let shown = page.text();
    let mut from = 0;
    for text in texts {
        let place = shown[from..].find(text);
        from += place.unwrap_or_else(|| panic!("{text:?} is not where it should be: {shown}"));
    }
}

#[rstest]
#[actix_web::test]
async fn a_chat_on_hold_has_no_final_cost(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let hold = app.hold(&token).await;
    let page = root.get(&format!("/admin/chats/{hold}/")).await;
    page.assert_shows(&["Held 100, not settled yet", "Held \u{2212}100", "No answer yet"]);
    page.assert_hides(&["Net cost", "Charged", "Prompt tokens"]);
    let release = root.get(&format!("/admin/chats/{hold}/release/")).await;
    release.assert_shows(&["Held 100, not settled yet"]);
    root.submit(&format!("/admin/chats/{hold}/release/"), &[("reason", "it hangs")]).await.assert_status(303);
    let page = root.get(&format!("/admin/chats/{hold}/")).await;
    page.assert_shows(&[
        "Net cost 0",
        "Charged \u{2212}100",
        "Refunded +100",
        "by root: it hangs",
        "No answer",
    ]);
    page.assert_hides(&["not settled", "No answer yet"]);
}

/// A refund returns what the chat has cost, which may be less than was held.
#[rstest]
#[actix_web::test]
async fn the_refund_page_shows_the_net_cost(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.damages_its_books();
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let chat = app.number("SELECT max(id) AS value FROM chats");
    root.get(&format!("/admin/chats/{chat}/refund/")).await.assert_shows(&["Net cost 100"]);
    app.sql(&format!(
        "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, note, operation_id, created_at)
         VALUES ({}, 60, 3960, 'settlement', {chat}, '', {}, '2026-01-01 10:00:03')",
        app.id_of("ada"),
        if on == On::Sqlite { "randomblob(16)" } else { "decode('00112233445566778899aabbccddeeff', 'hex')" }
    ));
    root.get(&format!("/admin/chats/{chat}/refund/")).await.assert_shows(&["Net cost 40"]);
}

#[rstest]
#[actix_web::test]
async fn usage_is_shown_only_where_it_was_counted(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat(&token, &"long ".repeat(3_000)).await.assert_status(201);
    let chat = app.number("SELECT max(id) AS value FROM chats");
    let page = format!("/admin/chats/{chat}/");
    root.get(&page).await.assert_hides(&["Prompt tokens", "Answer tokens"]);
    let store = |model: &str, prompt: &str, answer: &str, estimated: &str| {
        app.sql(&format!(
            "UPDATE chats SET model = '{model}', prompt_tokens = {prompt}, completion_tokens = {answer},
                    usage_estimated = {estimated} WHERE id = {chat}"
        ));
    };
    // What is stored for the dummy that writes its answers slowly.
    store("dummy", "0", "4606", "TRUE");
    root.get(&page).await.assert_hides(&["Prompt tokens", "Answer tokens", "4,606"]);
    // An upstream that has not counted the prompt.
    store("small-1", "0", "4606", "FALSE");
    root.get(&page).await.assert_shows(&["Prompt tokens not counted", "Answer tokens 4,606"]);
    store("small-1", "3750", "NULL", "TRUE");
    root.get(&page).await.assert_shows(&["Prompt tokens 3,750 (estimated)", "Answer tokens not counted"]);
    store("small-1", "3750", "0", "FALSE");
    let shown = root.get(&page).await;
    shown.assert_shows(&["Prompt tokens 3,750 Answer tokens 0"]).assert_hides(&["estimated"]);
}

#[rstest]
#[actix_web::test]
async fn the_text_comes_first_and_the_facts_after_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    for number in 0..9 {
        app.chat(&token, &format!("question {number}.")).await.assert_status(201);
    }
    let user = app.id_of("ada");
    app.sql(&format!(
        "INSERT INTO conversations (id, user_id, title, created_at) VALUES (7, {user}, 'x', '2026-01-01 00:00:00')"
    ));
    let first = app.number("SELECT min(id) AS value FROM chats");
    app.sql("UPDATE chats SET conversation_id = 7");
    let chat = first + 7;
    app.sql(&format!(
        "UPDATE chats SET answer_extras =
             '{{\"message\":{{\"reasoning_content\":\"let me think\",\"tool_calls\":[{{\"id\":\"call-1\"}}]}}}}'
         WHERE id = {chat}"
    ));
    let page = root.get(&format!("/admin/chats/{chat}/")).await;
    assert_in_order(
        &page,
        &[
            "Earlier in this conversation (the last 5)",
            "question 2.",
            "question 6.",
            "Message question 7.",
            "Reasoning let me think",
            "Answer Response to question 7.",
            "Other parts of the answer",
            "call-1",
            &format!("Next in this conversation: #{}", chat + 1),
            "User ada State complete",
            "Net cost 100",
            "Charged \u{2212}100",
            "Model dummy",
            "Conversation 7",
            "History",
        ],
    );
    page.assert_hides(&["question 1.", "reasoning_content"]);
    let earlier = root.click(&page, &format!("#{}", first + 2)).await;
    earlier.assert_shows(&["Earlier in this conversation (2)", "question 0.", "Message question 2."]);
    let last = root.get(&format!("/admin/chats/{}/", first + 8)).await;
    last.assert_hides(&["Next in this conversation"]);
    // Actions that move money are not the page's main button.
    for tag in page.tags().iter().filter(|tag| tag.name == "a") {
        let class = tag.attribute("class").unwrap_or_default();
        assert!(!class.contains("primary"), "{tag:?}");
    }
    assert_eq!(page.link("Refund"), format!("/admin/chats/{chat}/refund/"));
}
