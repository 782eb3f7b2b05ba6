//! The certificate of a server that speaks TLS, on the panel's home page.

use rstest::rstest;

use crate::support::app::TestApp;
use crate::support::certificates::Certificates;
use crate::support::panel::Browser;
use crate::support::{On, TestDatabase};

/// Shows Home on a server whose certificate expires this number of days after the last midnight.
async fn home_with(on: On, days: i64) -> Option<String> {
    let certificates = Certificates::new();
    certificates.write(&certificates.issue(days));
    let app = TestApp::spawn_on(TestDatabase::create(on)?, &certificates.flags()).await;
    app.register("root").await.assert_status(201);
    app.sql("UPDATE users SET is_superuser = TRUE");
    let browser = Browser::at(&app, "https://localhost:8000");
    browser.sign_in("root").await.assert_status(303);
    let home = browser.get("/admin/").await;
    home.assert_status(200);
    Some(home.text())
}

#[rstest]
#[actix_web::test]
async fn a_certificate_that_ends_soon_needs_attention(#[values(On::Sqlite, On::Postgres)] on: On) {
    for (days, warning, health) in [
        (90, None, "TLS certificate valid"),
        (15, None, "TLS certificate valid"),
        (5, Some("The TLS certificate expires in 4 days: renew it"), "expires in 4 days"),
        (2, Some("The TLS certificate expires in 1 day: renew it"), "expires in 1 day"),
        (1, Some("The TLS certificate expires in less than a day: renew it"), "expires in less than a day"),
        (
            -1,
            Some("The TLS certificate has expired, so clients refuse it: renew it"),
            "TLS certificate expired",
        ),
    ] {
        let Some(home) = home_with(on, days).await else { return };
        let (_, attention) = home.split_once("Needs attention").unwrap();
        match warning {
            Some(warning) => assert!(attention.contains(warning), "{days}: {home}"),
            None => assert!(!attention.contains("The TLS certificate"), "{days}: {home}"),
        }
        assert!(home.contains(health) && home.contains("Certificate expires"), "{days}: {home}");
    }
}

#[rstest]
#[actix_web::test]
async fn a_server_without_tls_shows_no_certificate(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    root.get("/admin/").await.assert_hides(&["certificate", "Certificate"]);
}
