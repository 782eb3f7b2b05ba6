//! A form that is sent after its session has ended comes back with its input, and is sent again
//! after signing in.

use rstest::rstest;

use super::forgery::books;
use super::route_table::{gets, posts};
use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::Form;
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

/// How a session ends.
#[derive(Clone, Copy, Debug)]
enum Ended {
    /// It was idle for too long.
    Idle,
    /// Somebody signed out, in this browser or elsewhere.
    SignedOut,
    /// The browser was closed, and forgot its cookie.
    Forgotten,
    /// The administrator has signed in again, in another tab.
    Renewed,
}

/// Ends the session of a browser.
async fn end(app: &TestApp, browser: &Browser<'_>, how: Ended) {
    match how {
        Ended::Idle => app.sql("UPDATE sessions SET last_used_at = '2026-01-01 00:00:00'"),
        Ended::SignedOut => app.sql("DELETE FROM sessions"),
        Ended::Forgotten => browser.set_cookie(None),
        Ended::Renewed => _ = browser.sign_in("root").await.assert_status(303),
    }
}

/// Signs in on the page that a form came back with. Returns the page with the form.
async fn sign_in_on(browser: &Browser<'_>, page: &Page, name: &str) -> Page {
    browser.send(&page.form().with(&[("username", name), ("password", PASSWORD)])).await
}

#[rstest]
#[actix_web::test]
async fn a_form_comes_back_with_its_input_and_is_sent_again(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(Ended::Idle, Ended::SignedOut, Ended::Forgotten, Ended::Renewed)] how: Ended,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let path = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let reason = "\"Invoice\" & <b>1187</b> für 東京";
    let form = root.get(&path).await.form().with(&[("amount", "500"), ("reason", reason)]);
    end(&app, &root, how).await;
    let back = root.send(&form).await;
    back.assert_status(403);
    let page = match how {
        Ended::Renewed => back,
        _ => {
            back.assert_shows(&["Your session has ended", "What you entered is kept", "Sign in"]);
            // What was entered is not shown to somebody who passes by.
            let text = back.text();
            assert!(!text.contains("Invoice") && !text.contains("500"), "{text}");
            let page = sign_in_on(&root, &back, "root").await;
            page.assert_status(200);
            page
        }
    };
    page.assert_shows(&[
        "Send the form again",
        &format!("Form {path}"),
        "Amount 500",
        "Reason \"Invoice\" & <b>1187</b> für 東京",
    ]);
    assert_eq!(app.balance(&token).await, 4000, "nothing is done before it is sent again");
    let again = page.form();
    assert_eq!(again.action, path);
    root.send(&again).await.assert_status(303);
    root.send(&again).await.assert_status(303);
    assert_eq!(app.balance(&token).await, 4500, "it is done once");
    assert_eq!(app.count("ledger_entries WHERE note LIKE '%Invoice%'"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_selection_in_a_list_and_a_bulk_form_come_back(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    for name in ["ada", "bob", "eve"] {
        app.register(name).await.assert_status(201);
    }
    app.catch_up().await;
    let list = root.get("/admin/users/?q=").await.form();
    let ticked = list.tick("id", app.id_of("ada")).tick("id", app.id_of("bob"));
    end(&app, &root, Ended::SignedOut).await;
    let back = root.send(&ticked).await;
    let page = sign_in_on(&root, &back, "root").await;
    page.assert_status(200).assert_shows(&["Send the form again", "Selected 2 rows"]);
    let bulk = root.send(&page.form()).await;
    bulk.assert_status(200).assert_shows(&["Adjust balances", "2 users, ticked one by one"]);
    let form = bulk.form().with(&[("amount", "5"), ("reason", "a gift")]);
    end(&app, &root, Ended::Idle).await;
    let back = root.send(&form).await;
    let page = sign_in_on(&root, &back, "root").await;
    page.assert_shows(&["Selected 2 rows", "Amount 5", "Reason a gift"]);
    root.confirm(&page.form()).await.assert_status(303);
    tollgate::administration::finish_all(&app.services.db).await.unwrap();
    assert_eq!(app.count("ledger_entries WHERE note = 'a gift' AND amount = 5"), 2);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn passwords_never_come_back_and_are_asked_for_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let secret = "another fine phrase 8";
    let form = root.get("/admin/users/add/").await.form();
    let form = form.with(&[("username", "eve"), ("password", secret), ("again", secret), ("tokens", "7")]);
    end(&app, &root, Ended::Idle).await;
    let back = root.send(&form).await;
    back.assert_status(403).assert_shows(&["What you entered is kept, except passwords"]);
    back.assert_hides(&[secret, "another+fine"]);
    let page = sign_in_on(&root, &back, "root").await;
    page.assert_shows(&["Username eve", "Tokens 7"]).assert_hides(&[secret, PASSWORD]);
    let again = root.send(&page.form()).await;
    again.assert_status(400).assert_shows(&["Please correct this", "Enter a password."]);
    let form = again.form();
    assert_eq!((form.field("username"), form.field("tokens")), (Some("eve"), Some("7")));
    root.send(&form.with(&[("password", secret), ("again", secret)])).await.assert_status(303);
    assert_eq!(app.count("users WHERE username = 'eve' AND tokens = 7"), 1);
}

/// The names of fields decide what comes back, so each field for a password must have one of them.
#[rstest]
#[actix_web::test]
async fn no_field_for_a_password_of_any_page_comes_back(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let mut fields = std::collections::BTreeSet::new();
    for path in gets(&world) {
        for tag in root.get(&path).await.tags() {
            if tag.name == "input" && tag.attribute("type") == Some("password") {
                fields.insert(tag.attribute("name").unwrap().to_owned());
            }
        }
    }
    assert!(fields.len() >= 4, "{fields:?}");
    let form = fields.iter().fold(root.bare_form("/admin/users/add/").await, |form, name| {
        form.with(&[(name.as_str(), "a secret phrase 8")])
    });
    end(&app, &root, Ended::SignedOut).await;
    let back = root.send(&form).await;
    back.assert_status(403).assert_shows(&["except passwords"]).assert_hides(&["secret"]);
}

#[rstest]
#[actix_web::test]
async fn another_administrator_sees_nothing_of_what_was_entered(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.superuser("boss").await;
    let path = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let form = root.get(&path).await.form().with(&[("amount", "500"), ("reason", "our secret")]);
    end(&app, &root, Ended::SignedOut).await;
    let back = root.send(&form).await;
    // boss signs in on the page that has root's input.
    let page = sign_in_on(&root, &back, "boss").await;
    page.assert_status(303).assert_hides(&["our secret", "500"]);
    root.follow(&page).await.assert_shows(&["another administrator's"]).assert_hides(&["our secret"]);
    // boss goes back in the browser, and sends root's form once more.
    let page = root.send(&form).await;
    page.assert_status(403)
        .assert_shows(&["does not belong to your session", "boss"])
        .assert_hides(&["our secret"]);
    // Nor does it help to claim another owner, which would be the only way to get it sent.
    let mut claimed = back.form().with(&[("username", "boss"), ("password", PASSWORD)]);
    claimed =
        claimed.with(&[("kept_address", "//evil.example/"), ("kept_owner", &app.id_of("boss").to_string())]);
    let other = Browser::guest(&app);
    let csrf = other.csrf().await;
    let page = other.send(&claimed.with(&[("csrf", &csrf)])).await;
    page.assert_status(303).assert_hides(&["evil.example"]);
    assert_eq!(app.balance(&token).await, 4000);
}

#[rstest]
#[actix_web::test]
async fn a_wrong_password_keeps_the_form_and_a_forged_one_is_not_kept(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let path = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let form = root.get(&path).await.form().with(&[("amount", "500"), ("reason", "a gift")]);
    end(&app, &root, Ended::SignedOut).await;
    let back = root.send(&form).await;
    let wrong = root.send(&back.form().with(&[("username", "root"), ("password", "a guess")])).await;
    wrong.assert_status(403);
    sign_in_on(&root, &wrong, "root").await.assert_shows(&["Send the form again", "Amount 500"]);
    // A form without a token was not made by the panel.
    end(&app, &root, Ended::SignedOut).await;
    root.send(&form.clone().without("csrf")).await.assert_status(403).assert_hides(&["a gift", "kept"]);
    // One that is very long does not come back.
    let long = form.with(&[("reason", &"x".repeat(70_000))]);
    let page = root.send(&long).await;
    page.assert_status(403).assert_shows(&["Your session has ended"]).assert_hides(&["xxxxxxxx"]);
}

/// Every form of the panel, sent without a session, comes back as a page of which the input can be
/// sent again, and does nothing. A search is the exception: an auth token may be in it.
#[rstest]
#[actix_web::test]
async fn each_form_of_the_panel_comes_back(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let csrf = root.csrf().await;
    let kept: Vec<String> = posts(&world)
        .into_iter()
        .filter(|path| !["sign-in", "sign-out", "first-run", "search"].iter().any(|not| path.contains(not)))
        .collect();
    assert!(kept.len() > 15, "{kept:?}");
    end(&app, &root, Ended::SignedOut).await;
    let before = books(&app);
    for path in &kept {
        let form = Form { action: path.clone(), ..Form::default() };
        let form = form.with(&[("csrf", &csrf), ("reason", "what I entered"), ("id", "17")]);
        let back = root.send(&form).await;
        back.assert_status(403);
        let carried = back.form();
        assert_eq!(carried.field("kept_address"), Some(path.as_str()));
        assert_eq!(carried.field("kept"), Some("reason=what+I+entered&id=17"), "{path}");
    }
    assert_eq!(books(&app), before);
}

/// The session's cookie counts in two extractors at once, whichever is done first.
#[rstest]
#[actix_web::test]
async fn a_large_form_comes_back_whichever_part_of_it_arrives_first(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let form = root.bare_form("/admin/users/selected/").await;
    let form = (1..=200).fold(form, |form, id| form.tick("id", 1_000_000 + id));
    end(&app, &root, Ended::Idle).await;
    for _ in 0..5 {
        let back = root.send(&form).await;
        assert_eq!(back.form().field("kept").unwrap().matches("id=").count(), 200);
    }
    let back = root.send(&form).await;
    sign_in_on(&root, &back, "root").await.assert_shows(&["Selected 200 rows"]);
}
