//! The panel's cookies, with requests as browsers send them: links from other sites, two servers on
//! one host name, two tabs at the sign-in page, and a browser that rejects cookies.

use rstest::rstest;

use crate::support::app::{Answer, TestApp};
use crate::support::panel::{Browser, encoded};
use crate::support::server::PASSWORD;
use crate::support::{On, TestDatabase};

/// Returns the cookies that a response sets.
fn set_cookies(answer: &Answer) -> Vec<String> {
    let headers = answer.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("set-cookie"));
    headers.map(|(_, value)| value.clone()).collect()
}

fn name_of(cookie: &str) -> &str {
    cookie.split('=').next().unwrap()
}

/// What browsers send when somebody follows a link on a page of another site. They send cookies
/// that are `SameSite=Lax` with it, and none that are `Strict`.
const LINK: [(&str, &str); 4] = [
    ("Referer", "https://tickets.example/"),
    ("Sec-Fetch-Site", "cross-site"),
    ("Sec-Fetch-Mode", "navigate"),
    ("Sec-Fetch-Dest", "document"),
];

#[rstest]
#[actix_web::test]
async fn a_link_from_another_site_opens_its_page_and_signs_nobody_out(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let signed_in = Browser::guest(&app);
    app.superuser("root").await;
    let answer = signed_in.sign_in("root").await.answer;
    let session = &set_cookies(&answer)[0];
    assert!(session.contains("_session_") && session.contains("SameSite=Lax"), "{session}");
    for path in ["/admin/users/", "/admin/", "/admin/sign-in/?next=/admin/users/"] {
        let request = LINK
            .iter()
            .fold(signed_in.request("GET", path), |request, (name, value)| request.header(name, value));
        let answer = request.send().await;
        assert_eq!(answer.status, if path.contains("sign-in") { 303 } else { 200 }, "{path}");
        assert_eq!(set_cookies(&answer), Vec::<String>::new(), "{path}");
    }
    // A browser that sends no cookie, for whatever reason, loses none either: the guest's cookie
    // has another name.
    let answer = app.request("GET", "/admin/sign-in/").header("Host", "localhost:8000").send().await;
    for cookie in set_cookies(&answer) {
        assert_ne!(name_of(&cookie), name_of(session));
    }
    signed_in.get("/admin/users/").await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_form_from_another_site_is_refused_even_with_the_cookie(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let form = root.bare_form("/admin/verify/").await;
    let request = root.request("POST", "/admin/verify/").header("Origin", "https://tickets.example");
    let request = request.header("Content-Type", "application/x-www-form-urlencoded");
    let answer = request.body(encoded(&form.fields)).send().await;
    assert_eq!((answer.status, set_cookies(&answer)), (403, Vec::new()));
    assert_eq!(app.count("verifications"), 0);
}

#[rstest]
#[actix_web::test]
async fn two_servers_on_one_host_name_have_different_cookies(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(one) = TestApp::spawn(on).await else { return };
    let Some(other) = TestApp::spawn(on).await else { return };
    let (here, there) = (one.superuser("root").await, other.superuser("root").await);
    let (first, second) = (here.cookie().unwrap(), there.cookie().unwrap());
    assert_ne!(name_of(&first), name_of(&second));
    // Browsers send the cookies of both to both.
    let both = Browser::guest(&other);
    both.set_cookie(Some(format!("{first}; {second}")));
    both.get("/admin/").await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn nodes_on_one_database_share_the_session(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let app = TestApp::spawn_on(database, &[]).await;
    let root = app.superuser("root").await;
    let name = name_of(&root.cookie().unwrap()).to_owned();
    let mark = |flags: &[&str]| {
        let config = crate::support::app::config(app.database().url(), flags);
        let db = tollgate::db::Db::clone(&app.services.db);
        let handle = tokio::runtime::Handle::current();
        tollgate::server::Services::new(&config, db, handle).unwrap().cookie_mark()
    };
    assert!(name.ends_with(&mark(&[])), "{name}");
    // A copy of the database at another address is another server.
    assert!(!name.ends_with(&mark(&["--public-url", "https://copy.example"])), "{name}");
}

#[rstest]
#[actix_web::test]
async fn a_browser_that_rejects_cookies_is_told_so(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let browser = Browser::guest(&app);
    for _ in 0..2 {
        let form = browser.get("/admin/sign-in/").await.form();
        browser.set_cookie(None);
        let page = browser.send(&form.with(&[("username", "root"), ("password", PASSWORD)])).await;
        page.assert_status(403).assert_shows(&["Your browser sent no cookie", "Allow cookies"]);
        assert_eq!(page.form().field("username"), Some("root"), "the input is kept");
        page.assert_hides(&[PASSWORD]);
        browser.set_cookie(None);
    }
    assert_eq!(app.count("sessions"), 1, "only the first one");
    app.sql("DELETE FROM sessions");
    app.sql("UPDATE users SET is_superuser = FALSE, is_staff = FALSE");
    let key = app.services.auth.first_run.make_key().unwrap();
    let link = format!("/admin/first-run/{}/", key.expose());
    let form = browser.get(&link).await.form();
    browser.set_cookie(None);
    let account = [("username", "boss"), ("password", PASSWORD), ("again", PASSWORD)];
    let page = browser.send(&form.with(&account)).await;
    page.assert_status(403).assert_shows(&["Your browser sent no cookie", "Allow cookies"]);
    assert_eq!(app.count("users WHERE is_superuser"), 0);
    // The same page works once cookies are allowed.
    browser.send(&page.form().with(&account)).await.assert_status(303);
}

#[rstest]
#[actix_web::test]
async fn two_tabs_at_the_sign_in_page_both_get_in(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let (tab, other) = (Browser::guest(&app), Browser::guest(&app));
    let (form, _) = (tab.get("/admin/sign-in/").await.form(), other.get("/admin/sign-in/").await);
    // The second tab was opened before the first response came, so its cookie is the one that
    // counts.
    tab.set_cookie(other.cookie());
    let fields = [("username", "root"), ("password", PASSWORD)];
    let page = tab.send(&form.with(&fields)).await;
    page.assert_status(403).assert_shows(&["This page was out of date"]).assert_hides(&[PASSWORD]);
    tab.send(&page.form().with(&fields)).await.assert_status(303);
    // A tab that still shows the sign-in page leads to the panel, and changes nothing.
    let late = tab.form_request(&page.form().with(&fields)).header("Sec-Fetch-Site", "same-origin");
    let answer = late.send().await;
    assert_eq!((answer.status, set_cookies(&answer)), (303, Vec::new()), "{}", answer.text());
    assert_eq!(answer.header("location"), Some("/admin/"));
}
