//! Chats with texts far larger than any that are stored today. Older versions stored whatever an
//! upstream sent.

use rstest::rstest;

use crate::support::On;
use crate::support::app::{Answer, TestApp};

/// The size of the giant's response, in bytes.
const GIANT: usize = 20_000_000;

/// Returns an SQL expression for a text of this length in bytes.
fn repeated(on: On, bytes: usize) -> String {
    match on {
        On::Sqlite => format!("replace(hex(zeroblob({})), '00', 'ab')", bytes / 2),
        On::Postgres => format!("repeat('ab', {})", bytes / 2),
    }
}

fn size(answer: &Answer) -> usize {
    answer.text().len()
}

#[rstest]
#[actix_web::test]
async fn a_chat_of_any_size_is_shown_in_part_and_never_read_as_a_whole(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat_with_key(&token, "Hello", "key").await.assert_status(201);
    app.catch_up().await;
    let giant = repeated(on, GIANT);
    app.sql(&format!(
        "UPDATE chats SET message = {giant}, response = {giant},
                answer_extras = '{{\"finish_reason\":\"length\",\"message\":{{\"x\":\"' || {giant} || '\"}}}}'"
    ));
    let chat = app.number("SELECT max(id) AS value FROM chats");

    let page = root.get(&format!("/admin/chats/{chat}/")).await;
    page.assert_status(200).assert_shows(&["Only the first 65,536 characters of 20.0 MB are shown."]);
    assert!(size(&page.answer) < 300_000, "{} bytes", size(&page.answer));
    let user = app.id_of("ada");
    for path in ["/admin/chats/".to_owned(), format!("/admin/users/{user}/"), "/admin/".to_owned()] {
        let page = root.get(&path).await;
        page.assert_status(200);
        assert!(size(&page.answer) < 200_000, "{path}: {} bytes", size(&page.answer));
    }

    let own = app.get(&format!("/chats/{chat}/"), &token).await;
    own.assert_status(200);
    assert!(size(&own) < 5_000_000, "{} bytes", size(&own));
    let again = app.chat_with_key(&token, "Hello", "key").await;
    again.assert_status(201).assert_header("Idempotency-Replayed", "true");
    assert!(size(&again) < 5_000_000, "{} bytes", size(&again));
}

#[rstest]
#[actix_web::test]
async fn a_chat_of_usual_size_is_shown_completely_without_a_note(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let message = "äöü ".repeat(8000);
    app.chat(&token, message.trim()).await.assert_status(201);
    let chat = app.number("SELECT max(id) AS value FROM chats");
    let page = root.get(&format!("/admin/chats/{chat}/")).await;
    page.assert_status(200).assert_hides(&["Only the first"]);
    assert_eq!(page.html().matches("äöü").count(), 16_000, "in message and response");
}
