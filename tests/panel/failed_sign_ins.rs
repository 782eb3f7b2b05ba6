//! Failed sign-ins are in the history, counted, and bounded.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

/// Tries to sign in from an address.
async fn fail(browser: &Browser<'_>, from: &str, name: &str, password: &str) {
    let form = browser.get("/admin/sign-in/").await.form();
    let form = form.with(&[("username", name), ("password", password)]);
    assert_eq!(browser.form_request(&form).from(from).send().await.status, 403, "{name}");
}

fn entries(app: &TestApp) -> Vec<String> {
    let count = app.count("audit_log WHERE action = 'fail_sign_in'");
    let at = |place: i64| {
        app.text(&format!(
            "SELECT coalesce(CAST(user_id AS TEXT), '-') || ' ' || address || ' ' || changes || note AS value
             FROM audit_log WHERE action = 'fail_sign_in' ORDER BY id LIMIT 1 OFFSET {place}"
        ))
    };
    (0..count).map(|place| at(place).unwrap()).collect()
}

#[rstest]
#[actix_web::test]
async fn failed_sign_ins_are_in_the_history_with_name_address_and_count(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.user("ada").await;
    let guest = Browser::guest(&app);
    for _ in 0..3 {
        fail(&guest, "192.0.2.7", "ROOT", "a wrong guess").await;
    }
    fail(&guest, "192.0.2.8", "root", "a wrong guess").await;
    // A user without rights, with the right password.
    fail(&guest, "192.0.2.7", "ada", PASSWORD).await;
    // Nobody's name: perhaps a password in the wrong field.
    fail(&guest, "192.0.2.7", "correct horse battery", "root").await;
    fail(&guest, "192.0.2.7", "correct horse battery", "root").await;
    let (id, ada) = (app.id_of("root"), app.id_of("ada"));
    let attempts = |count: i64| format!(r#"{{"field":"attempts","before":"","after":"{count}"}}"#);
    let name = r#"{"field":"name","before":"","after":"cor…"}"#;
    assert_eq!(
        entries(&app),
        [
            format!("{id} 192.0.2.7 [{}]", attempts(3)),
            format!("{id} 192.0.2.8 [{}]", attempts(1)),
            format!("{ada} 192.0.2.7 [{}]", attempts(1)),
            format!("- 192.0.2.7 [{name},{}]", attempts(2)),
        ]
    );
    assert_eq!(app.count("users"), 2, "no user is made of a name");
    let history = root.get("/admin/history/?action=fail_sign_in").await;
    history.assert_shows(&[
        "rejected a sign-in",
        "an unknown name",
        "cor…",
        "192.0.2.8",
        "attempts: after 3",
    ]);
    history.assert_hides(&["horse", "guess", PASSWORD]);
    root.get(&format!("/admin/users/{ada}/")).await.assert_shows(&["rejected a sign-in"]);
    assert_eq!(app.count("audit_log WHERE changes LIKE '%horse%' OR note LIKE '%horse%'"), 0);
}

#[rstest]
#[actix_web::test]
async fn guessing_cannot_fill_the_history(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let guest = Browser::guest(&app);
    for number in 0..40 {
        fail(&guest, &format!("192.0.2.{number}"), &format!("{number:04}-name"), "a guess").await;
    }
    let bounded = entries(&app);
    assert_eq!(bounded.len(), 25, "{bounded:#?}");
    let last = bounded.last().unwrap();
    assert!(last.contains(r#""after":"16""#) && last.contains("counted together"), "{last}");
    // A name that has an entry of its own is still counted there.
    fail(&guest, "192.0.2.0", "0000-name", "a guess").await;
    assert!(entries(&app)[0].contains(r#""attempts","before":"","after":"2""#), "{:?}", entries(&app)[0]);
    // Later failures get entries of their own again.
    app.sql("UPDATE audit_log SET created_at = '2026-01-01 00:00:00' WHERE action = 'fail_sign_in'");
    fail(&guest, "192.0.2.77", "later-name", "a guess").await;
    assert_eq!(entries(&app).len(), 26);
}

#[rstest]
#[actix_web::test]
async fn a_sign_in_fails_in_the_same_way_if_it_cannot_be_recorded(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    app.sql("ALTER TABLE audit_log RENAME TO gone");
    fail(&Browser::guest(&app), "192.0.2.7", "root", "a wrong guess").await;
    app.sql("ALTER TABLE gone RENAME TO audit_log");
}
