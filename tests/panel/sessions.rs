//! Sessions: how they begin, what is stored of them, and everything that ends them.

use rstest::rstest;

use crate::cli::run_with;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::Browser;
use crate::support::server::PASSWORD;

const NEW: &str = "another fine phrase 8";

#[rstest]
#[actix_web::test]
async fn signing_in_starts_a_new_session_and_ends_the_old_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let guest = Browser::guest(&app);
    guest.get("/admin/sign-in/").await;
    let planted = guest.cookie();
    guest.sign_in("root").await.assert_status(303);
    assert_ne!(guest.cookie(), planted, "a cookie that somebody planted must not become a session");
    let old = root.cookie();
    root.sign_in("root").await.assert_status(303);
    assert_ne!(root.cookie(), old);
    let thief = Browser::guest(&app);
    for cookie in [planted, old] {
        thief.set_cookie(cookie);
        thief.get("/admin/").await.assert_status(303);
    }
    assert_eq!(app.count("sessions"), 2);
}

#[rstest]
#[actix_web::test]
async fn the_database_stores_only_a_digest_of_a_session(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let secret = root.cookie().unwrap().split_once('=').unwrap().1.to_owned();
    let csrf = root.csrf().await;
    let row = match on {
        On::Sqlite => {
            "SELECT hex(digest) || address || user_agent || messages AS value FROM sessions"
        }
        On::Postgres => {
            "SELECT encode(digest, 'hex') || encode(digest, 'escape') || address || user_agent || messages AS value
             FROM sessions"
        }
    };
    let stored = app.text(row).unwrap();
    assert!(stored.len() > 64, "{stored}");
    for known in [&secret, &csrf] {
        assert!(!stored.contains(known.as_str()), "{stored}");
    }
    // The stored digest is not a valid cookie.
    let digest = stored.get(..64).unwrap().to_ascii_lowercase();
    let thief = Browser::guest(&app);
    let name = root.cookie().unwrap().split_once('=').unwrap().0.to_owned();
    thief.set_cookie(Some(format!("{name}={digest}")));
    thief.get("/admin/").await.assert_status(303);
}

#[rstest]
#[actix_web::test]
async fn a_session_ends_when_idle_and_at_its_maximum_age(#[values(On::Sqlite, On::Postgres)] on: On) {
    let flags = ["--session-idle-minutes", "10", "--session-hours", "2"];
    let Some(app) = TestApp::spawn_with(on, &flags).await else { return };
    let root = app.superuser("root").await;
    let back = |column: &str, minutes: i64| match on {
        On::Sqlite => format!(
            "UPDATE sessions SET {column} = strftime('%Y-%m-%d %H:%M:%f', {column}, '-{minutes} minutes')"
        ),
        On::Postgres => {
            format!("UPDATE sessions SET {column} = {column} - interval '{minutes} minutes'")
        }
    };
    app.sql(&back("last_used_at", 9));
    root.get("/admin/users/").await.assert_status(200);
    app.sql(&back("last_used_at", 9));
    root.get("/admin/users/").await.assert_status(200);
    app.sql(&back("last_used_at", 11));
    root.get("/admin/users/").await.assert_status(303);
    root.sign_in("root").await.assert_status(303);
    app.sql(&back("expires_at", 119));
    root.get("/admin/users/").await.assert_status(200);
    app.sql(&back("expires_at", 2));
    root.get("/admin/users/").await.assert_status(303);
    assert_eq!(app.count("sessions"), 1);
    tollgate::auth::forget_sessions(&app.services.db).await.unwrap();
    assert_eq!(app.count("sessions"), 0, "expired sessions must be deleted");
}

#[rstest]
#[actix_web::test]
async fn signing_out_ends_the_session_on_the_server(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let other = Browser::signed_in(&app, "root").await;
    let cookie = root.cookie();
    let sign_out = root.bare_form("/admin/sign-out/").await;
    let page = root.send(&sign_out).await;
    assert_eq!((page.status(), page.location()), (303, "/admin/sign-in/"));
    assert_eq!(root.cookie(), None, "the response must delete the cookie");
    root.set_cookie(cookie);
    root.get("/admin/").await.assert_status(303);
    let again = root.send(&sign_out).await;
    assert_eq!((again.status(), again.location()), (303, "/admin/sign-in/"));
    other.get("/admin/").await.assert_status(200);
    assert_eq!(app.count("audit_log WHERE action = 'sign_out'"), 1);
}

/// A tab may still show a page of an earlier session.
#[rstest]
#[actix_web::test]
async fn a_late_sign_out_leads_on_and_ends_no_other_session(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.superuser("grace").await;
    let late = root.bare_form("/admin/sign-out/").await;
    root.sign_in("root").await.assert_status(303);
    let page = root.send(&late).await;
    assert_eq!((page.status(), page.location()), (303, "/admin/"));
    root.follow(&page).await.assert_shows(&["You have signed in again"]);
    let grace = Browser::signed_in(&app, "grace").await;
    let page = grace.send(&late).await;
    assert_eq!((page.status(), page.location()), (303, "/admin/"));
    grace.follow(&page).await.assert_status(200).assert_hides(&["signed in again"]);
}

#[rstest]
#[actix_web::test]
async fn ones_other_sessions_can_be_signed_out(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let grace = app.staff("grace").await;
    let others = [Browser::signed_in(&app, "root").await, Browser::signed_in(&app, "root").await];
    let settings = root.get("/admin/settings/").await;
    settings.assert_shows(&["Your sessions", "(this one)", "Sign out others"]);
    let forms = settings.posting_forms();
    let form = forms.iter().find(|form| form.action.ends_with("sign-out-others/")).unwrap();
    let answer = root.send(form).await;
    root.follow(&answer)
        .await
        .assert_shows(&["2 other sessions were ended", "You are not signed in anywhere else"]);
    for other in others {
        other.get("/admin/").await.assert_status(303);
    }
    grace.get("/admin/").await.assert_status(200);
}

/// Everything that must end all sessions of root, done by another superuser, or by root if only
/// root can. Changing one's own password in the panel keeps the current session (`own_account.rs`).
#[derive(Clone, Copy, Debug)]
enum End {
    PasswordByApi,
    PasswordByAdministrator,
    PasswordByCommand,
    Deactivation,
    LossOfRights,
    LogOutEverywhere,
}

#[rstest]
#[actix_web::test]
async fn security_changes_end_all_sessions_of_a_user(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(
        End::PasswordByApi,
        End::PasswordByAdministrator,
        End::PasswordByCommand,
        End::Deactivation,
        End::LossOfRights,
        End::LogOutEverywhere
    )]
    end: End,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let second = Browser::signed_in(&app, "root").await;
    let boss = app.superuser("boss").await;
    let token = app.token("root").await;
    let user = format!("/admin/users/{}", app.id_of("root"));
    let passwords = [("password", NEW), ("again", NEW)];
    match end {
        End::PasswordByApi => {
            let body = serde_json::json!({ "old_password": PASSWORD, "new_password": NEW });
            app.post("/password/", &token, body).await.assert_status(200);
        }
        End::PasswordByAdministrator => {
            let fields = [passwords[0], passwords[1], ("own_password", PASSWORD)];
            boss.submit(&format!("{user}/password/"), &fields).await.assert_status(303);
        }
        End::PasswordByCommand => change_by_command(&app),
        End::Deactivation => _ = boss.submit(&format!("{user}/deactivate/"), &[]).await.assert_status(303),
        End::LossOfRights => {
            let form = boss.get(&format!("{user}/edit/")).await.form().without("superuser").without("staff");
            boss.send(&form).await.assert_status(303);
        }
        End::LogOutEverywhere => _ = boss.submit(&format!("{user}/log-out/"), &[]).await.assert_status(303),
    }
    for browser in [root, second] {
        browser.get("/admin/").await.assert_status(303);
    }
    boss.get("/admin/").await.assert_status(200);
    assert_eq!(app.count("sessions"), 1, "sessions are left after {end:?}");
    let lives = app.get("/balance/", &token).await.status == 200;
    // A change by the API keeps the auth token that it came with, and the panel's rights do not
    // affect the API.
    assert_eq!(lives, matches!(end, End::PasswordByApi | End::LossOfRights), "{end:?}");
}

fn change_by_command(app: &TestApp) {
    let words = ["changepassword", "--password-stdin", "--username", "root"];
    run_with(app.database(), &words, &format!("{NEW}\n")).assert_good();
}

#[rstest]
#[actix_web::test]
async fn the_cookie_is_for_this_host_only_and_hidden_from_scripts(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let browser = Browser::guest(&app);
    for page in [browser.get("/admin/sign-in/").await, browser.sign_in("root").await] {
        let cookie = page.answer.header("set-cookie").unwrap().to_owned();
        for part in ["tollgate_", "HttpOnly", "SameSite=Lax", "Path=/"] {
            assert!(cookie.contains(part), "{cookie} lacks {part}");
        }
        for part in ["Secure", "Domain", "Expires", "Max-Age"] {
            assert!(!cookie.contains(part), "{cookie} has {part}");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn with_https_the_cookie_is_bound_to_https_and_the_host(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--public-url", "https://chat.example"]).await else { return };
    app.register("root").await.assert_status(201);
    app.sql("UPDATE users SET is_superuser = TRUE");
    let browser = Browser::at(&app, "https://chat.example");
    let page = browser.sign_in("root").await;
    let cookie = page.answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("__Host-tollgate_session_"), "{cookie}");
    for part in ["Secure", "HttpOnly", "SameSite=Lax", "Path=/"] {
        assert!(cookie.contains(part), "{cookie} lacks {part}");
    }
    assert!(!cookie.contains("Domain"), "{cookie}");
    browser.get("/admin/").await.assert_status(200);
    // A cookie without the prefix is rejected, because a neighbouring host could have set it.
    browser.set_cookie(browser.cookie().map(|cookie| cookie.replace("__Host-", "")));
    browser.get("/admin/").await.assert_status(303);
}

#[rstest]
#[actix_web::test]
async fn the_api_accepts_no_session_and_the_panel_no_auth_token(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let token = app.token("root").await;
    root.request("GET", "/balance/").send().await.assert_error(401, "Unauthorized");
    app.get("/admin/", &token).await.assert_status(303);
    let guest = Browser::guest(&app);
    let name = root.cookie().unwrap().split_once('=').unwrap().0.to_owned();
    guest.set_cookie(Some(format!("{name}={token}")));
    guest.get("/admin/").await.assert_status(303);
}
