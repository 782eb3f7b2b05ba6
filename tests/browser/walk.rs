//! What an administrator does on the first day, from the first-run link on: with JavaScript and
//! without, on a wide screen and on a phone.

use rstest::rstest;
use serde_json::json;
use thirtyfour::prelude::*;

use super::tour::first_run_link;
use super::visitor::{Screen, Visitor, patiently};
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::{On, TestDatabase};

const ADMINISTRATOR: &str = "rosalind";
const REASON: &str = "Apology for the outage";

/// Users whose balance falls below 1,000 tokens during the test.
const POOR: [&str; 3] = ["poor.one", "poor.two", "poor.three"];

#[rstest]
#[case::on_a_wide_screen(On::Sqlite, true, Screen::Wide)]
#[case::on_a_phone(On::Sqlite, true, Screen::Phone)]
#[case::without_scripts(On::Sqlite, false, Screen::Wide)]
#[case::without_scripts_on_a_phone(On::Sqlite, false, Screen::Phone)]
#[case::on_postgres(On::Postgres, true, Screen::Wide)]
#[tokio::test]
async fn an_administrator_gets_through_the_first_day(
    #[case] on: On,
    #[case] has_scripts: bool,
    #[case] screen: Screen,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), has_scripts, screen).await else { return };
    make_the_first_superuser(&visitor, &server).await;
    let token = server.user("amelia.hart");
    let chat = server.chat(&token, "How long do I boil an egg?");
    let chat = chat.header("X-Chat-Id").expect("a chat has an id").to_owned();
    adjust_a_balance(&visitor).await;
    assert_eq!(server.tokens(&token), 4400);
    refund_a_chat(&visitor, &chat).await;
    assert_eq!(server.tokens(&token), 4500);
    let made = make_an_auth_token(&visitor).await;
    assert_eq!(server.tokens(&made), 4500);
    revoke_it(&visitor).await;
    assert_eq!(server.client().get("/tokens/", &made).unwrap().status, 401);
    adjust_many_balances(&visitor, &server).await;
    edit_a_user(&visitor).await;
    sign_out(&visitor).await;
    assert_eq!(visitor.console().await, Vec::<String>::new());
    drop(server);
    assert_verified(&database);
}

async fn make_the_first_superuser(visitor: &Visitor, server: &Server) {
    let link = first_run_link(server);
    visitor.open(&link).await;
    visitor.fill(&[("username", ADMINISTRATOR), ("password", PASSWORD), ("again", PASSWORD)]).await;
    visitor.press("Create and sign in").await;
    visitor.sees("Recent actions").await;
    assert_eq!(visitor.path().await, "/admin/");
    visitor.sees(ADMINISTRATOR).await;
    visitor.open(&link).await;
    visitor.sees("This link has already been used").await;
    // Drops the console's message about this page's error status.
    visitor.console().await;
}

/// Finds a user by the search at the top of each page, and adds tokens.
async fn adjust_a_balance(visitor: &Visitor) {
    // Searches find a user only after the follower has.
    visitor.open_until("/admin/search/?q=amelia", "amelia.hart").await;
    visitor.open("/admin/").await;
    visitor.fill(&[("q", "amelia")]).await;
    visitor.type_keys(Key::Enter + "").await;
    visitor.sees("Results for").await;
    visitor.follow("amelia.hart").await;
    visitor.sees("Can chat: yes").await;
    visitor.fill(&[("amount", "+500"), ("reason", REASON)]).await;
    if visitor.has_scripts() {
        visitor.sees("3,900 → 4,400").await;
    } else {
        visitor.press("Show before and after").await;
        visitor.sees("Balance after").await;
        visitor.sees("4,400").await;
    }
    visitor.press("Adjust balance").await;
    visitor.sees("now has 4,400 tokens (+500)").await;
    visitor.sees(REASON).await;
    visitor.sees("Undo").await;
    visitor.open("/admin/users/?q=amelia").await;
    visitor.follow("amelia.hart").await;
    visitor.follow("Statement").await;
    visitor.follow("The whole statement").await;
    visitor.sees("Show sums").await;
    for what in ["+500", "4,400", REASON, ADMINISTRATOR] {
        visitor.sees(what).await;
    }
    visitor.open("/admin/ledger/?kind=adjustment").await;
    visitor.sees("1 of ").await;
    visitor.sees(REASON).await;
    visitor.go_to_place("History").await;
    visitor.sees("adjusted the balance").await;
    visitor.sees(REASON).await;
}

async fn refund_a_chat(visitor: &Visitor, chat: &str) {
    visitor.go_to_place("Chats").await;
    visitor.follow(&format!("#{chat}")).await;
    visitor.sees("How long do I boil an egg?").await;
    visitor.follow("Refund").await;
    visitor.fill(&[("reason", "The egg was hard")]).await;
    visitor.press("Refund").await;
    visitor.sees("100 tokens for chat").await;
    visitor.sees("The egg was hard").await;
}

/// Returns its plain text, which the page shows only once.
async fn make_an_auth_token(visitor: &Visitor) -> String {
    visitor.go_to_place("Auth tokens").await;
    visitor.follow("Make an auth token").await;
    visitor.fill(&[("user", "amelia.hart"), ("name", "Kitchen tablet")]).await;
    visitor.press("Make the auth token").await;
    visitor.sees("cannot be shown again").await;
    let plain = visitor.element(".secret code").await.text().await.unwrap();
    assert!(plain.starts_with("tg_") && plain.len() > 40, "{plain}");
    visitor.follow("Show its page").await;
    visitor.sees("Kitchen tablet").await;
    assert!(!visitor.text().await.contains(&plain), "it is shown a second time");
    plain
}

async fn revoke_it(visitor: &Visitor) {
    visitor.follow("Revoke").await;
    visitor.sees("are rejected").await;
    visitor.press("Revoke").await;
    visitor.sees("was revoked.").await;
}

/// Adjusts all users that match a filter, and watches the page that shows the progress.
async fn adjust_many_balances(visitor: &Visitor, server: &Server) {
    let tokens: Vec<String> = POOR.iter().map(|name| server.user(name)).collect();
    for (name, token) in POOR.iter().zip(&tokens) {
        visitor.open_until("/admin/users/", name).await;
        visitor.follow(name).await;
        visitor.sees("Can chat: yes").await;
        visitor.fill(&[("amount", "-3900"), ("reason", "Moved to the team")]).await;
        visitor.press("Adjust balance").await;
        visitor.sees("now has 100 tokens (−3,900)").await;
        assert_eq!(server.tokens(token), 100);
    }
    visitor.open_until("/admin/users/?balance=low", "3 of ").await;
    visitor.open("/admin/users/").await;
    visitor.follow_tab("Low balance").await;
    visitor.sees("Balance: Low").await;
    visitor.tick("all that match").await;
    visitor.fill(&[("amount", "250")]).await;
    visitor.press("Go").await;
    visitor.sees("3 users: balance").await;
    visitor.sees("3 users, +250 tokens each: +750 tokens in total.").await;
    visitor.fill(&[("reason", "A present for the poor")]).await;
    visitor.press("Adjust all").await;
    let finished = patiently(async || {
        let text = visitor.text().await;
        if text.contains("All 3 done.") {
            return Some(text);
        }
        // With scripts, the page updates itself.
        if !visitor.has_scripts() {
            visitor.follow("Refresh").await;
        }
        None
    });
    let text = finished.await.expect("the bulk operation does not finish");
    assert!(text.contains("There are no failures."), "{text}");
    for token in &tokens {
        assert_eq!(server.tokens(token), 350);
    }
    let again = json!({"message": "Thank you"});
    assert_eq!(server.client().post("/chat/", Some(&tokens[0]), &again).unwrap().status, 201);
}

async fn edit_a_user(visitor: &Visitor) {
    visitor.open("/admin/users/?q=amelia").await;
    visitor.follow("amelia.hart").await;
    visitor.sees("Can chat: yes").await;
    visitor.follow("Edit").await;
    visitor.fill(&[("username", "amelia.lund")]).await;
    visitor.press("Save").await;
    visitor.sees("Saved amelia.lund.").await;
    visitor.follow("Show the user").await;
    visitor.sees("username:").await;
    visitor.sees("amelia.lund").await;
}

async fn sign_out(visitor: &Visitor) {
    visitor.unfold(ADMINISTRATOR).await;
    visitor.press("Sign out").await;
    visitor.sees("For administrators").await;
    visitor.open("/admin/users/").await;
    visitor.sees("For administrators").await;
    assert_eq!(visitor.path().await, "/admin/sign-in/?next=%2Fadmin%2Fusers%2F");
}
