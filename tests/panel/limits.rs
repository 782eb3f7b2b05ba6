//! A user's own limits, which replace those of the settings, and limits on reading the panel.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

/// Returns ada's stored limits and version.
fn stored(app: &TestApp) -> String {
    app.text(
        "SELECT coalesce(CAST(concurrent_chats AS TEXT), '-') || ' ' || coalesce(CAST(requests_per_minute AS TEXT), '-')
                || ' ' || CAST(version AS TEXT) AS value FROM users WHERE username = 'ada'",
    )
    .unwrap()
}

/// Registers ada. Returns a superuser's browser and the path of ada's page.
async fn ada<'a>(app: &'a TestApp) -> (Browser<'a>, String) {
    app.user("ada").await;
    (app.superuser("root").await, format!("/admin/users/{}/", app.id_of("ada")))
}

#[rstest]
#[actix_web::test]
async fn limits_are_set_one_by_one_and_cleared_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (root, user) = ada(&app).await;
    let limits = format!("{user}limits/");
    let page = root.get(&user).await;
    page.assert_shows(&["Chats at once 32 (default)", "Requests a minute 600 (default)"]);
    assert_eq!(page.link("Change limits"), limits);
    let page = root.submit_and_follow(&limits, &[("concurrent_chats", "0")]).await;
    page.assert_shows(&[
        "Saved the limits of ada",
        "Chats at once 0: none allowed (default: 32)",
        "Requests a minute 600 (default)",
        "chats at once: before default → after 0",
    ]);
    assert_eq!(stored(&app), "0 - 1");
    let page = root.submit_and_follow(&limits, &[("requests_per_minute", "1,000,000")]).await;
    page.assert_shows(&["Chats at once 0: none", "Requests a minute 1,000,000 (default: 600)"]);
    assert_eq!(stored(&app), "0 1000000 2");
    let both = [("concurrent_chats", ""), ("requests_per_minute", "")];
    let page = root.submit_and_follow(&limits, &both).await;
    page.assert_shows(&["Chats at once 32 (default)", "requests a minute: before 1,000,000 → after default"]);
    assert_eq!(stored(&app), "- - 3");
    let page = root.submit_and_follow(&limits, &both).await;
    page.assert_shows(&["No changes to save."]);
    let about_ada = format!("audit_log WHERE action = 'change' AND user_id = {}", app.id_of("ada"));
    assert_eq!(app.count(&about_ada), 3);
}

#[rstest]
#[actix_web::test]
async fn an_invalid_limit_is_rejected(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (root, user) = ada(&app).await;
    for wrong in ["-1", "1000001", "1.5", "many", "99999999999999999999"] {
        for field in ["concurrent_chats", "requests_per_minute"] {
            let page = root.submit(&format!("{user}limits/"), &[(field, wrong)]).await;
            page.assert_status(400)
                .assert_shows(&["Enter a whole number from 0 to 1,000,000, or leave it empty"]);
            assert_eq!(page.form().field(field), Some(wrong), "the input is kept");
        }
    }
    assert_eq!(stored(&app), "- - 0");
}

#[rstest]
#[actix_web::test]
async fn limits_that_somebody_else_set_meanwhile_are_shown_as_a_conflict(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (one, user) = ada(&app).await;
    let other = Browser::signed_in(&app, "root").await;
    let limits = format!("{user}limits/");
    let slow = one.get(&limits).await.form().with(&[("concurrent_chats", "4")]);
    other
        .submit(&limits, &[("concurrent_chats", "8"), ("requests_per_minute", "9")])
        .await
        .assert_status(303);
    let page = one.send(&slow).await;
    page.assert_status(409).assert_shows(&[
        "Somebody else changed this while you were editing",
        "Chats at once 8 4",
        "Requests a minute 9 default",
    ]);
    assert_eq!(stored(&app), "8 9 1", "nothing was saved");
    one.send(&page.form()).await.assert_status(303);
    assert_eq!(stored(&app), "4 - 2");
    // An edit form opened before conflicts, and does not restore the old limits.
    let edit =
        one.get(&format!("{user}edit/")).await.form().with(&[("staff", "1"), ("own_password", PASSWORD)]);
    other.submit(&limits, &[("requests_per_minute", "5")]).await.assert_status(303);
    one.send(&edit).await.assert_status(409);
    assert_eq!(stored(&app), "4 5 3");
}

#[rstest]
#[actix_web::test]
async fn an_administrators_reads_are_limited_like_a_users(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--throttle", "on", "--reads-per-minute", "20"];
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    let root = app.superuser("root").await;
    let mut pages = 0;
    let page = loop {
        let page = root.get("/admin/chats/").await;
        if page.status() == 429 {
            break page;
        }
        page.assert_status(200);
        pages += 1;
        assert!(pages < 40, "there is no limit");
    };
    page.assert_shows(&["too many reads of one user in a minute", "try again"]);
    let wait: u64 = page.answer.header("retry-after").unwrap().parse().unwrap();
    assert!((1..=60).contains(&wait), "{wait}");
}

/// A list shows one line of each text, and does not read the rest.
#[rstest]
#[actix_web::test]
async fn lists_of_chats_stay_small_with_long_texts(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    for _ in 0..20 {
        app.chat(&token, &format!("short {}", "\u{1F680}".repeat(31_000))).await.assert_status(201);
    }
    app.hold(&token).await;
    for list in ["/admin/chats/", "/admin/holds/", "/admin/search/?q=1"] {
        let page = root.get(list).await;
        page.assert_status(200);
        assert!(page.html().len() < 200_000, "{list} has {} bytes", page.html().len());
    }
    root.get("/admin/chats/").await.assert_shows(&["short \u{1F680}"]);
}
