//! A form that is sent twice, in turn or at once, takes effect once.

use futures_util::future::join_all;
use rstest::rstest;

use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::Form;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

/// Sends a form three times at once and then once more. Returns the page that all responses lead
/// to.
async fn send_many_times(browser: &Browser<'_>, form: &Form) -> String {
    let mut answers = join_all((0..3).map(|_| browser.form_request(form).send())).await;
    answers.push(browser.form_request(form).send().await);
    for answer in &answers {
        assert_eq!(answer.status, 303, "{}: {}", form.action, answer.text());
        assert_eq!(answer.header("location"), answers[0].header("location"));
    }
    answers[0].header("location").unwrap().to_owned()
}

#[rstest]
#[actix_web::test]
async fn an_adjustment_that_is_sent_twice_is_done_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.user("bob").await;
    let root = app.superuser("root").await;
    let page = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let form = root.get(&page).await.form().with(&[("amount", "+500"), ("reason", "a gift")]);
    send_many_times(&root, &form).await;
    assert_eq!(app.balance(&token).await, 4500);
    assert_eq!(app.count("audit_log WHERE action = 'adjust'"), 1);
    // A form's operation id cannot be used for another operation.
    root.send(&form.clone().with(&[("amount", "700")]))
        .await
        .assert_status(400)
        .assert_shows(&["already used"]);
    let bobs = Form { action: format!("/admin/users/{}/adjust/", app.id_of("bob")), ..form };
    root.send(&bobs).await.assert_status(400).assert_shows(&["already used"]);
    assert_eq!(app.count("ledger_entries WHERE kind = 'adjustment'"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_refund_or_release_that_is_sent_twice_is_done_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    assert_eq!(app.number("SELECT tokens AS value FROM users WHERE id = 1"), 3805);
    let refund = format!("/admin/chats/{}/refund/", world.chat);
    let form = root.get(&refund).await.form().with(&[("reason", "a bad answer")]);
    let late = root.get(&refund).await.form().with(&[("reason", "the same idea")]);
    send_many_times(&root, &form).await;
    assert_eq!(app.number("SELECT tokens AS value FROM users WHERE id = 1"), 3905);
    root.send(&late).await.assert_status(409).assert_shows(&["is refunded already"]);

    let release = format!("/admin/chats/{}/release/", world.hold);
    let pending = Form { action: format!("/admin/chats/{}/refund/", world.hold), ..late.clone() };
    root.send(&pending).await.assert_status(409).assert_shows(&["Release its hold instead"]);
    let form = root.get(&release).await.form().with(&[("reason", "it hangs")]);
    let late = root.get(&release).await.form().with(&[("reason", "it hangs, too")]);
    send_many_times(&root, &form).await;
    assert_eq!(app.number("SELECT tokens AS value FROM users WHERE id = 1"), 4005);
    root.send(&late).await.assert_status(409).assert_shows(&["is refunded already"]);
    assert_eq!(app.count("audit_log WHERE action IN ('refund', 'release')"), 2);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn two_administrators_who_refund_a_chat_at_once_refund_it_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let boss = app.superuser("boss").await;
    let page = format!("/admin/chats/{}/refund/", world.chat);
    let one = root.get(&page).await.form().with(&[("reason", "mine")]);
    let other = boss.get(&page).await.form().with(&[("reason", "mine")]);
    let (one, other) = futures_util::join!(root.form_request(&one).send(), boss.form_request(&other).send());
    let mut statuses = [one.status, other.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 409]);
    assert_eq!(app.number("SELECT tokens AS value FROM users WHERE id = 1"), 3905);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_form_that_is_sent_twice_adds_one_user(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let fields = [("username", "New.User"), ("password", PASSWORD), ("again", PASSWORD), ("tokens", "70")];
    let form = root
        .get("/admin/users/add/")
        .await
        .form()
        .with(&fields)
        .with(&[("staff", "1"), ("own_password", PASSWORD)]);
    let there = send_many_times(&root, &form).await;
    assert_eq!(there, format!("/admin/users/{}/", app.id_of("New.User")));
    // A repeat is found before anything else is checked that may have changed since.
    let late = form.clone().with(&[("own_password", "no longer right")]);
    assert_eq!(root.send(&late).await.assert_status(303).location(), there);
    assert_eq!(app.count("users"), 2);
    assert_eq!(app.count("audit_log WHERE action = 'add'"), 1);
    let other = root.get("/admin/users/add/").await.form().with(&fields).with(&[("username", "new.user")]);
    root.send(&other).await.assert_status(400).assert_shows(&["This name is taken"]);
    // The same form with another name is another user's form, not this one's.
    let reused = root.send(&form.with(&[("username", "somebody.else")])).await;
    assert_ne!(reused.status(), 303, "{}", reused.text());
    assert_eq!(app.count("users"), 2);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn bulk_work_and_anonymising_that_are_sent_twice_start_once(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let bulk_before = app.count("bulk_operations");
    let users = root.get("/admin/users/").await.form().tick("id", world.user).with(&[("amount", "7")]);
    let form = root.send(&users).await.form().with(&[("reason", "a gift")]);
    let there = send_many_times(&root, &form).await;
    assert_eq!(there, format!("/admin/bulk-operations/{}/", world.bulk + 1));
    let tokens = root.get("/admin/auth-tokens/").await.form().tick("id", world.auth_token);
    let form = root.send(&tokens).await.form().with(&[("reason", "they leaked")]);
    send_many_times(&root, &form).await;
    tollgate::administration::finish_all(&app.services.db).await.unwrap();
    let release = format!("/admin/chats/{}/release/", world.hold);
    root.submit(&release, &[("reason", "it hangs")]).await.assert_status(303);
    let form = root.get(&format!("/admin/users/{}/anonymise/", world.user)).await.form();
    send_many_times(&root, &form.with(&[("name", "ada")])).await;
    assert_eq!(app.count("bulk_operations"), bulk_before + 3);
    for _ in 0..2 {
        tollgate::administration::finish_all(&app.services.db).await.unwrap();
    }
    assert_eq!(app.count("bulk_operations WHERE finished_at IS NULL"), 0);
    assert_eq!(app.count("ledger_entries WHERE amount = 7"), 1);
    assert_eq!(app.count("audit_log WHERE action = 'anonymise'"), 1);
    assert_eq!(app.count("audit_log WHERE action = 'revoke'"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn adjustments_during_chats_keep_the_ledger_sound(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let page = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let mut forms = Vec::new();
    for amount in ["500", "-100", "-3000", "-3000", "7", "-90000"] {
        forms.push(root.get(&page).await.form().with(&[("amount", amount), ("reason", "a race")]));
    }
    let chats = join_all((0..30).map(|number| {
        let message = serde_json::json!({ "message": format!("chat {number}") });
        app.request("POST", "/chat/").bearer(&token).json(&message).send()
    }));
    let adjustments = join_all(forms.iter().map(|form| root.form_request(form).send()));
    let (chats, adjustments) = futures_util::join!(chats, adjustments);
    let paid = chats.iter().filter(|answer| answer.status == 201).count() as i64;
    let mut expected = 4000 - 100 * paid;
    for (form, answer) in forms.iter().zip(&adjustments) {
        let amount: i64 = form.field("amount").unwrap().parse().unwrap();
        match answer.status {
            303 => expected += amount,
            400 => assert!(answer.text().contains("it can go neither below 0"), "{}", answer.text()),
            other => panic!("{other}: {}", answer.text()),
        }
    }
    assert_eq!(adjustments.last().unwrap().status, 400, "nobody has 90,000 tokens");
    assert_eq!(app.balance(&token).await, expected);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_form_that_is_sent_twice_makes_one_auth_token(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let before = app.count("auth_tokens");
    let fields = [("user", "root"), ("name", "a script"), ("own_password", PASSWORD)];
    let form = root.get("/admin/auth-tokens/add/").await.form().with(&fields);
    let mut answers = join_all((0..3).map(|_| root.form_request(&form).send())).await;
    let shown = answers.iter().position(|answer| answer.status == 201).expect("one shows the auth token");
    let made = answers.remove(shown);
    assert!(made.text().contains("tg_"));
    // A reload of that page sends the form again. Neither the password nor the user's name is
    // checked again.
    answers.push(root.form_request(&form.clone().with(&[("own_password", "")])).send().await);
    app.sql("UPDATE users SET username = 'boss', username_canonical = 'boss' WHERE username = 'root'");
    answers.push(root.form_request(&form).send().await);
    let id = app.number("SELECT max(id) AS value FROM auth_tokens");
    for answer in &answers {
        assert_eq!(answer.status, 303, "{}", answer.text());
        assert_eq!(answer.header("location"), Some(format!("/admin/auth-tokens/{id}/").as_str()));
    }
    let page = root.get(&format!("/admin/auth-tokens/{id}/")).await;
    page.assert_shows(&["was made already", "make another one"]);
    assert_eq!(app.count("auth_tokens"), before + 1);
    assert_eq!(app.count("audit_log WHERE action = 'add' AND object_kind = 'auth_token'"), 1);
    // The same form with other content is another request.
    for changed in [("user", "ada"), ("name", "another script"), ("days", "7")] {
        let answer = root.send(&form.clone().with(&[changed])).await;
        answer.assert_status(400).assert_shows(&["already used"]);
    }
    assert_eq!(app.count("auth_tokens"), before + 1);
}

#[rstest]
#[actix_web::test]
async fn a_form_that_is_sent_again_with_other_content_is_never_reported_as_done(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let refund = format!("/admin/chats/{}/refund/", world.chat);
    let release = format!("/admin/chats/{}/release/", world.hold);
    let adjust = format!("/admin/users/{}/adjust/", world.user);
    for (page, fields) in [
        (&adjust, [("amount", "5"), ("reason", "a gift")]),
        (&refund, [("reason", "a bad answer"), ("", "")]),
        (&release, [("reason", "it hangs"), ("", "")]),
    ] {
        let form = root.get(page).await.form().with(&fields);
        root.send(&form).await.assert_status(303);
        let other = form.clone().with(&[("reason", "something else")]);
        root.send(&other).await.assert_status(400).assert_shows(&["already used"]);
        root.send(&form).await.assert_status(303);
    }
    let add = [("username", "eve"), ("password", PASSWORD), ("again", PASSWORD), ("tokens", "70")];
    let form = root.get("/admin/users/add/").await.form().with(&add);
    root.send(&form).await.assert_status(303);
    for other in [("tokens", "90"), ("staff", "on"), ("superuser", "on")] {
        let other = form.clone().with(&[other]);
        root.send(&other).await.assert_status(400).assert_shows(&["already used"]);
    }
    root.send(&form).await.assert_status(303);
    let eves = root.get(&format!("/admin/users/{}/anonymise/", app.id_of("eve"))).await.form();
    root.send(&eves.clone().with(&[("name", "eve")])).await.assert_status(303);
    let started = app.count("bulk_operations");
    let adas = Form { action: format!("/admin/users/{}/anonymise/", world.user), ..eves };
    root.send(&adas.with(&[("name", "ada")])).await.assert_status(400).assert_shows(&["already used"]);
    assert_eq!(app.count("bulk_operations"), started);
    app.assert_sound();
}
