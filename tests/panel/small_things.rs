//! Small features of the panel that are used rarely and break easily.

use rstest::rstest;
use tollgate::administration::{end_interrupted_verifications, finish_all};
use tollgate::clock;
use tollgate::db::{DbConnection, Scope};
use tollgate::domain::OperationId;
use tollgate::metering::{Ending, end_hold};

use crate::cli::run_with;
use crate::support::On;
use crate::support::app::{TestApp, eventually};
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

#[rstest]
#[actix_web::test]
async fn a_user_without_a_password_cannot_log_in(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let path = format!("/admin/users/{}/password/", app.id_of("ada"));
    let both = [("unusable", "1"), ("password", "another fine phrase 8"), ("again", "another fine phrase 8")];
    root.submit(&path, &both).await.assert_status(400).assert_shows(&["Leave the password empty"]);
    app.log_in("ada", PASSWORD).await.assert_status(200);
    root.submit(&path, &[("unusable", "1")]).await.assert_status(303);
    for guess in [PASSWORD, "", "!"] {
        app.log_in("ada", guess).await.assert_error(400, "Invalid password");
    }
    let edit = root.get(&path.replace("password", "edit")).await;
    edit.assert_shows(&["unusable: nobody can log in with a password"]);
}

#[rstest]
#[actix_web::test]
async fn a_used_bulk_form_with_changed_fields_starts_nothing_and_says_so(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    app.catch_up().await;
    let chosen = root.get("/admin/users/").await.form().tick("id", app.id_of("ada")).with(&[("amount", "5")]);
    let form = root.send(&chosen).await.form().with(&[("reason", "a gift")]);
    let started = root.send(&form).await;
    let again = root.send(&form).await;
    assert_eq!((again.status(), again.location()), (303, started.location()));
    root.follow(&again).await.assert_hides(&["nothing new was started"]);
    let changed = root.send(&form.with(&[("amount", "50")])).await;
    root.follow(&changed).await.assert_shows(&["nothing new was started"]);
    finish_all(&app.services.db).await.unwrap();
    assert_eq!(app.number("SELECT sum(amount) AS value FROM ledger_entries WHERE kind = 'adjustment'"), 5);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_verification_interrupted_by_a_restart_does_not_block_the_next(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.sql("INSERT INTO verifications (started_at) VALUES ('2026-11-24 10:00:00')");
    app.sql("UPDATE verifications SET started_at = CURRENT_TIMESTAMP");
    root.get("/admin/").await.assert_shows(&["running"]);
    assert_eq!(end_interrupted_verifications(&app.services.db).await.unwrap(), 1);
    root.get("/admin/").await.assert_shows(&["did not finish", "the server was restarted meanwhile"]);
    let form = root.bare_form("/admin/verify/").await;
    root.send(&form).await.assert_status(303);
    root.get("/admin/").await.assert_shows(&["Verification started"]);
    assert_eq!(app.count("verifications"), 2);
}

#[rstest]
#[actix_web::test]
async fn commands_are_recorded_in_the_history(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let input = format!("{PASSWORD}\n");
    let made = ["createsuperuser", "--username", "boss", "--password-stdin"];
    run_with(app.database(), &made, &input).assert_good();
    run_with(app.database(), &["adjust", "ada", "7", "--note", "a prize"], "").assert_good();
    run_with(app.database(), &["changepassword", "--username", "ada", "--password-stdin"], &input)
        .assert_good();
    for action in ["add", "adjust", "set_password"] {
        let entry = format!("audit_log WHERE action = '{action}' AND actor_id IS NULL");
        assert_eq!(app.count(&entry), 1, "{action}");
    }
    let boss = Browser::signed_in(&app, "boss").await;
    boss.get("/admin/history/").await.assert_shows(&["the server", "a prize", "by the command line"]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn signing_in_renews_an_outdated_hash(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let hash = "pbkdf2_sha256$1000$5By61V7XgGTqtQX9JRyJhB$ack4TfrFxCSCQhOluGVlzTMByi533SUweuTPr+ZygN8=";
    app.sql(&format!("UPDATE users SET password = '{hash}' WHERE username = 'root'"));
    let browser = Browser::guest(&app);
    browser.sign_in_with("root", "correct horse").await.assert_status(303);
    let stored = app.text("SELECT password AS value FROM users WHERE username = 'root'").unwrap();
    assert!(stored.starts_with("bcrypt_sha256$"), "{stored}");
    browser.get("/admin/").await.assert_status(200);
    Browser::guest(&app).sign_in_with("root", "correct horse").await.assert_status(303);
}

#[rstest]
#[actix_web::test]
async fn the_theme_form_redirects_only_into_the_panel(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let theme = root.bare_form("/admin/settings/theme/").await;
    let theme = theme.with(&[("theme", "dark"), ("here", "//evil.example/")]);
    assert_eq!(root.send(&theme).await.location(), "/admin/");
}

#[rstest]
#[actix_web::test]
async fn background_requests_do_not_consume_messages(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    root.submit("/admin/settings/", &[("page_size", "25")]).await.assert_status(303);
    let quiet = root.request("GET", "/admin/").header("X-Tollgate-Background", "1");
    assert_eq!(quiet.send().await.status, 200);
    root.get("/admin/").await.assert_shows(&["Settings saved"]);
    root.get("/admin/").await.assert_hides(&["Settings saved"]);
}

#[rstest]
#[actix_web::test]
async fn messages_of_two_tabs_wait_until_a_page_shows_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let forms = futures_util::future::join_all(["ada", "bob", "eve"].map(async |name| {
        app.register(name).await.assert_status(201);
        let path = format!("/admin/users/{}/adjust/", app.id_of(name));
        root.get(&path).await.form().with(&[("amount", "5"), ("reason", "a gift")])
    }))
    .await;
    // Three tabs at once, and none has opened a page yet.
    let sent = forms.iter().map(|form| root.form_request(form).send());
    for answer in futures_util::future::join_all(sent).await {
        assert_eq!(answer.status, 303);
    }
    let shown = ["ada now has", "bob now has", "eve now has"];
    root.get("/admin/").await.assert_shows(&shown);
    root.get("/admin/").await.assert_hides(&shown);
    // A redirect shows nothing, so it uses up nothing.
    root.submit("/admin/settings/", &[("page_size", "25")]).await.assert_status(303);
    let own = root.get(&format!("/admin/users/{}/password/", app.id_of("root"))).await;
    root.follow(&own).await.assert_shows(&["Settings saved"]);
    // They are bounded: the latest stay.
    let form = root.get("/admin/settings/").await.form();
    for _ in 0..25 {
        root.send(&form).await.assert_status(303);
    }
    let page = root.get("/admin/").await.text();
    assert_eq!(page.matches("Settings saved").count(), 20);
}

#[rstest]
#[actix_web::test]
async fn an_administrator_can_switch_single_key_shortcuts_off(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let boss = app.superuser("boss").await;
    let attributes = |page: &Page| {
        let tags = page.tags();
        let has = |name: &str| tags.iter().any(|tag| tag.attribute(name).is_some());
        [has("data-shortcuts"), has("data-shortcut"), has("aria-keyshortcuts")]
    };
    assert_eq!(attributes(&root.get("/admin/").await), [true; 3]);
    let settings = root.get("/admin/settings/").await;
    settings.assert_shows(&["Single-key shortcuts"]);
    root.send(&settings.form().without("shortcuts")).await.assert_status(303);
    for path in ["/admin/", "/admin/users/", "/admin/nowhere/"] {
        assert_eq!(attributes(&root.get(path).await), [false; 3], "{path}");
    }
    assert_eq!(root.get("/admin/settings/").await.form().field("shortcuts"), None);
    // It is stored with the account, and the theme's own form does not change it.
    let theme = root.bare_form("/admin/settings/theme/").await.with(&[("theme", "dark")]);
    root.send(&theme).await.assert_status(303);
    let elsewhere = Browser::signed_in(&app, "root").await;
    assert_eq!(attributes(&elsewhere.get("/admin/").await), [false; 3]);
    assert_eq!(attributes(&boss.get("/admin/").await), [true; 3]);
}

#[rstest]
#[actix_web::test]
async fn a_deactivation_may_have_a_reason_that_the_users_page_shows(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    let verb = |verb: &str| format!("{user}{verb}/");
    let reason = "spam: <b>1,000</b> messages";
    root.submit(&verb("deactivate"), &[("reason", reason)]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["Inactive since", "by root: spam: <b>1,000</b> messages"]);
    root.get("/admin/history/").await.assert_shows(&[reason]);
    root.submit(&verb("reactivate"), &[("reason", "a mistake")]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["a mistake"]).assert_hides(&["Inactive since"]);
    root.submit(&verb("log-out"), &[]).await.assert_status(303);
    app.log_in("ada", PASSWORD).await.assert_status(200);
    root.submit(&verb("log-out"), &[("reason", "a lost phone")]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["logged out everywhere", "a lost phone"]);
    // The form of the user can deactivate, too.
    let edit = root.get(&verb("edit")).await.form().without("active").with(&[("reason", "moved away")]);
    root.send(&edit).await.assert_status(303);
    root.get(&user).await.assert_shows(&["Inactive since", "by root: moved away"]);
    // None of them requires a reason.
    root.submit(&verb("reactivate"), &[]).await.assert_status(303);
    root.submit(&verb("deactivate"), &[]).await.assert_status(303);
    root.get(&user).await.assert_shows(&["Inactive since", "by root"]);
    let long = root.submit(&verb("reactivate"), &[("reason", &"x".repeat(201))]).await;
    long.assert_status(400).assert_shows(&["Use one line of at most 200 characters."]);
    assert_eq!(app.count("audit_log WHERE note IN ('a mistake', 'a lost phone', 'moved away')"), 3);
}

#[rstest]
#[actix_web::test]
async fn a_url_can_prefill_a_form_except_for_passwords(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let form = root.get("/admin/users/add/?username=new.one&tokens=70&password=x").await.form();
    let fields = ["username", "tokens", "password"].map(|name| form.field(name));
    assert_eq!(fields, [Some("new.one"), Some("70"), Some("")]);
}

#[rstest]
#[actix_web::test]
async fn an_answer_after_a_release_is_found_by_its_words(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let chat_id = app.hold(&token).await;
    let root = app.superuser("root").await;
    let release = format!("/admin/chats/{chat_id}/release/");
    root.submit(&release, &[("reason", "it hangs")]).await.assert_status(303);
    app.catch_up().await;
    root.get("/admin/chats/?q=albatross").await.assert_shows(&["0 of 1 chat"]);
    let job = move |conn: &mut DbConnection| {
        let late = Ending::answered("an albatross, at last".to_owned());
        Ok(end_hold(conn, chat_id, &late, OperationId::generate(), clock::now())?)
    };
    app.services.db.write(Scope::none(), job).await.unwrap();
    app.catch_up().await;
    root.get("/admin/chats/?q=albatross").await.assert_shows(&["1 of 1 chat"]);
    let failed = app.number("SELECT sum(count) AS value FROM quarter_totals WHERE kind = 'failed'");
    assert_eq!(failed, 1, "the follower must count the failure once");
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn counts_of_choices_apply_to_the_search(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for name in ["ada", "adam", "bob"] {
        app.register(name).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    app.log_in("adam", PASSWORD).await.assert_status(200);
    for path in ["/admin/users/?q=ada&facets=1", "/admin/users/?q=ad&facets=1"] {
        // On a busy machine, the time limit may end the counting early.
        let counted = async || {
            let shown = root.get(path).await.text();
            shown.contains("Never (1)") && shown.contains("Has logged in (1)")
        };
        eventually("the counts for the search", counted).await;
        root.get(path).await.assert_shows(&["2 of 4 users"]);
    }
    root.get("/admin/users/?login=never").await.assert_shows(&["2 of 4 users", "Last login: Never"]);
    root.submit("/admin/settings/", &[("page_size", "10")]).await.assert_status(303);
    for number in 0..8 {
        app.register(&format!("more-{number}")).await.assert_status(201);
    }
    let list = root.get("/admin/users/").await;
    root.click(&list, "Show all 12").await.assert_shows(&["ada", "adam", "bob", "root", "more-7"]);
}

#[actix_web::test]
async fn error_pages_show_the_site_title_too() {
    let flags = ["--site-title", "Acme Chat"];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let root = app.superuser("root").await;
    let forged = root.bare_form("/admin/verify/").await.without("csrf");
    for (page, status) in [
        (root.get("/admin/users/999999/").await, 404),
        (root.get("/admin/nowhere/").await, 404),
        (root.get("/admin/verify/").await, 405),
        (root.send(&forged).await, 403),
    ] {
        page.assert_status(status)
            .assert_shows(&["Acme Chat"])
            .assert_hides(&["Tollgate</title>", ">Tollgate<"]);
    }
}
