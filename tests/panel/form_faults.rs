//! Forms report all their faults at once, in one style, and put the focus where one begins to type.

use rstest::rstest;

use super::route_table::gets;
use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

const NEW: &str = "another fine phrase 8";

/// Returns the faults at the fields of a page.
fn faults(page: &Page) -> Vec<String> {
    let html = page.html();
    let parts = html.split("class=\"error\"").skip(1);
    let texts = parts.map(|part| part.split_once('>').unwrap().1.split("</p>").next().unwrap());
    texts.map(crate::support::html::decoded).collect()
}

/// Returns the names of the fields that get the focus.
fn focused(page: &Page) -> Vec<String> {
    let tags = page.tags().into_iter().filter(|tag| tag.attribute("autofocus").is_some());
    tags.map(|tag| tag.attribute("name").unwrap_or_default().to_owned()).collect()
}

/// Checks that each fault is a sentence, and that the summary has all of them.
#[track_caller]
fn assert_sentences(page: &Page, expected: &[&str]) {
    page.assert_status(400).assert_shows(&["Please correct this"]);
    let faults = faults(page);
    assert_eq!(faults, expected, "{}", page.path);
    for fault in &faults {
        let first = fault.chars().next().unwrap();
        assert!(!first.is_lowercase() && fault.ends_with('.'), "{fault:?} is not a sentence");
    }
    page.assert_shows(&faults.iter().map(String::as_str).collect::<Vec<_>>());
    assert_eq!(focused(page), Vec::<String>::new(), "the summary gets the focus");
}

const COMMON: &str = "Choose another password: this one is among the most common.";
const DIFFER: &str = "The two passwords do not match.";
const OWN: &str = "Enter your own password, too.";
const TOKENS: &str = "Enter a whole number of tokens, 0 or more.";
const TAKEN: &str = "This name is taken, or looks like one that is: choose another.";
const AMOUNT: &str = "Enter a whole number of tokens, such as 500 or -100.";
const REASON: &str = "Enter a reason: the user sees it on the statement.";

#[rstest]
#[actix_web::test]
async fn a_form_reports_all_its_faults_at_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    app.superuser("boss").await;
    let user = |id: i64, rest: &str| format!("/admin/users/{id}/{rest}/");
    let pair = |password: &'static str, again: &'static str| [("password", password), ("again", again)];
    let add = [&pair("password", "x")[..], &[("username", "ADA"), ("tokens", "-1"), ("staff", "1")]].concat();
    let page = root.submit("/admin/users/add/", &add).await;
    assert_sentences(&page, &[TAKEN, OWN, COMMON, DIFFER, TOKENS]);
    let page = root.submit("/admin/users/add/", &[("username", "a b"), ("password", "password")]).await;
    let found = faults(&page);
    assert_eq!((found.len(), &found[1..]), (3, &[COMMON.to_owned(), DIFFER.to_owned()][..]), "{found:?}");
    let page = root.submit(&user(world.user, "adjust"), &[("amount", "x")]).await;
    assert_sentences(&page, &[AMOUNT, REASON]);
    let page = root.submit(&user(app.id_of("boss"), "password"), &pair("password", "x")).await;
    assert_sentences(&page, &[COMMON, DIFFER, OWN]);
    let own = [&pair("password", "x")[..], &[("old_password", "wrong")]].concat();
    let page = root.submit("/admin/password/", &own).await;
    assert_sentences(&page, &["That is not your current password.", COMMON, DIFFER]);
    let edit = [("username", ""), ("staff", "1"), ("reason", "two\nlines")];
    let page = root.submit(&user(world.user, "edit"), &edit).await;
    assert_eq!(faults(&page).len(), 3, "{:?}", faults(&page));
    let limits = [("concurrent_chats", "x"), ("requests_per_minute", "-1")];
    assert_eq!(faults(&root.submit(&user(world.user, "limits"), &limits).await).len(), 2);
    let page = root.submit("/admin/auth-tokens/add/", &[("user", "nobody")]).await;
    assert_eq!(faults(&page).len(), 2, "{:?}", faults(&page));
    let page =
        root.submit("/admin/settings/", &[("time_zone", "x"), ("page_size", "0"), ("theme", "x")]).await;
    assert_eq!(faults(&page).len(), 3);
    let price = [("price", "usage"), ("base", "x"), ("context_tokens", "0"), ("aliases", "*x")];
    assert!(faults(&root.submit(&format!("/admin/models/{}/", world.model), &price).await).len() >= 5);
    let form = root.get("/admin/users/").await.form().tick("id", world.user);
    let bulk = root.send(&form).await.form();
    assert_sentences(&root.send(&bulk).await, &[AMOUNT, REASON]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_first_run_reports_all_its_faults_at_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let key = app.services.auth.first_run.make_key().unwrap();
    let guest = Browser::guest(&app);
    let form = guest.get(&format!("/admin/first-run/{}/", key.expose())).await.form();
    let page = guest.send(&form.with(&[("username", "a b"), ("password", "password"), ("again", "x")])).await;
    page.assert_status(400).assert_shows(&["Please correct this", COMMON, DIFFER, "Username: "]);
    assert_eq!(focused(&page), Vec::<String>::new());
    assert_eq!(app.count("users"), 0);
}

#[rstest]
#[actix_web::test]
async fn a_page_that_is_a_form_puts_the_focus_on_its_first_field(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let user = |rest: &str| format!("/admin/users/{}/{rest}/", world.user);
    for (path, field) in [
        ("/admin/users/add/".to_owned(), "username"),
        (user("edit"), "username"),
        (user("adjust"), "amount"),
        (user("limits"), "concurrent_chats"),
        (user("password"), "password"),
        (user("deactivate"), "reason"),
        (user("anonymise"), "name"),
        (format!("/admin/chats/{}/refund/", world.chat), "reason"),
        (format!("/admin/chats/{}/release/", world.hold), "reason"),
        ("/admin/auth-tokens/add/".to_owned(), "user"),
        ("/admin/password/".to_owned(), "old_password"),
    ] {
        assert_eq!(focused(&root.get(&path).await), [field], "{path}");
    }
    // Nowhere does more than one field get it.
    for path in gets(&world) {
        assert!(focused(&root.get(&path).await).len() <= 1, "{path}");
    }
}

#[rstest]
#[actix_web::test]
async fn the_present_password_is_refused_as_a_new_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let ada = app.user("ada").await;
    let root = app.superuser("root").await;
    let token = app.token("root").await;
    let same = [("password", PASSWORD), ("again", PASSWORD)];
    let own = [&same[..], &[("old_password", PASSWORD)]].concat();
    assert_sentences(&root.submit("/admin/password/", &own).await, &["That is your current password."]);
    let body = serde_json::json!({ "old_password": PASSWORD, "new_password": PASSWORD });
    let answer = app.post("/password/", &ada, body.clone()).await;
    answer.assert_error(400, "Invalid new_password");
    let problem = app.request("POST", "/password/").bearer(&ada).header("Accept", "application/problem+json");
    let problem = problem.json(&body).send().await;
    assert!(problem.text().contains("That is your current password."), "{}", problem.text());
    // Nothing has ended.
    root.get("/admin/").await.assert_status(200);
    assert_eq!((app.balance(&ada).await, app.balance(&token).await), (4000, 4000));
    assert_eq!(app.count("audit_log WHERE action = 'set_password'"), 0);
    // Nobody learns by guessing what another user's password is.
    let path = format!("/admin/users/{}/password/", app.id_of("ada"));
    root.submit(&path, &same).await.assert_status(303);
    // A new password of one's own keeps this session.
    let own = [("password", NEW), ("again", NEW), ("old_password", PASSWORD)];
    root.submit_and_follow("/admin/password/", &own).await.assert_status(200);
}
