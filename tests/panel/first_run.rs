//! The link that creates the first superuser.

use std::time::Duration;

use rstest::rstest;

use crate::support::app::TestApp;
use crate::support::html::Form;
use crate::support::panel::{Browser, ORIGIN, encoded};
use crate::support::server::{Launch, PASSWORD, Server};
use crate::support::{On, TestDatabase, wait};

fn link(app: &TestApp) -> String {
    format!("/admin/first-run/{}/", app.services.auth.first_run.make_key().unwrap().expose())
}

fn filled(form: &Form) -> Form {
    let fields = [("username", "root"), ("password", PASSWORD), ("again", PASSWORD)];
    form.clone().with(&fields)
}

#[rstest]
#[actix_web::test]
async fn the_link_creates_one_superuser_and_then_stops_working(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let link = link(&app);
    let browser = Browser::guest(&app);
    let page = browser.get(&link).await;
    page.assert_status(200).assert_shows(&["Create the first superuser"]);
    page.answer.assert_header("referrer-policy", "same-origin");
    let late = Browser::guest(&app);
    let late_form = filled(&late.get(&link).await.form());
    let planted = browser.cookie();
    let done = browser.send(&filled(&page.form())).await;
    assert_eq!(done.location(), "/admin/");
    assert_ne!(browser.cookie(), planted, "the session must be a new one");
    browser.follow(&done).await.assert_status(200).assert_shows(&["root", "signed in"]);
    assert_eq!(app.count("users WHERE username = 'root' AND is_superuser AND is_staff"), 1);
    assert_eq!(
        app.text("SELECT CAST(tokens AS TEXT) AS value FROM users WHERE username = 'root'").unwrap(),
        "4000"
    );
    late.get(&link).await.assert_status(404).assert_shows(&["This link has already been used"]);
    late.send(&late_form).await.assert_status(404);
    assert_eq!(app.count("users WHERE is_superuser"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn if_two_use_the_link_at_once_one_becomes_superuser(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let link = link(&app);
    let (one, two) = (Browser::guest(&app), Browser::guest(&app));
    let first = filled(&one.get(&link).await.form());
    let second = filled(&two.get(&link).await.form()).with(&[("username", "toor")]);
    let (first, second) =
        futures_util::join!(one.form_request(&first).send(), two.form_request(&second).send());
    let mut statuses = [first.status, second.status];
    statuses.sort_unstable();
    assert_eq!(statuses, [303, 404]);
    assert_eq!(app.count("users WHERE is_superuser"), 1);
    assert_eq!(app.count("sessions"), 1);
}

#[rstest]
#[actix_web::test]
async fn the_link_stops_working_once_there_is_a_superuser(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let link = link(&app);
    let browser = Browser::guest(&app);
    let form = filled(&browser.get(&link).await.form()).with(&[("username", "other")]);
    app.superuser("root").await;
    browser.get(&link).await.assert_status(404);
    browser.send(&form).await.assert_status(404);
    assert_eq!(app.count("users"), 1);
}

#[rstest]
#[actix_web::test]
async fn a_wrong_or_old_key_opens_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let old = link(&app);
    let link = link(&app);
    let browser = Browser::guest(&app);
    let form = filled(&browser.get(&link).await.form());
    let short = link.trim_end_matches('/').get(..link.len() - 3).unwrap();
    for wrong in [old.as_str(), short, "/admin/first-run/x/", "/admin/first-run/%00/", "/admin/first-run//"] {
        browser.get(wrong).await.assert_status(404);
        let form = Form { action: wrong.to_owned(), ..form.clone() };
        browser.send(&form).await.assert_status(404);
    }
    assert_eq!(app.count("users"), 0);
    browser.get(&link).await.assert_status(200);
}

#[rstest]
#[actix_web::test]
async fn a_forged_form_creates_no_superuser(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let link = link(&app);
    let browser = Browser::guest(&app);
    let form = filled(&browser.get(&link).await.form());
    let other = Browser::guest(&app);
    let token_of_another = other.get(&link).await.form().field("csrf").unwrap().to_owned();
    for (form, headers) in [
        (form.clone(), vec![("Origin", "http://evil.example")]),
        (form.clone(), vec![("Origin", "null")]),
        (form.clone(), vec![("Sec-Fetch-Site", "cross-site")]),
        (form.clone(), vec![]),
        (form.clone().without("csrf"), vec![("Origin", ORIGIN)]),
        (form.clone().with(&[("csrf", &token_of_another)]), vec![("Origin", ORIGIN)]),
    ] {
        let mut request = browser.request("POST", &link);
        for (name, value) in headers {
            request = request.header(name, value);
        }
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body(encoded(&form.fields)).send().await.assert_status(403);
    }
    assert_eq!(app.count("users"), 0);
    browser.send(&form).await.assert_status(303);
}

#[rstest]
#[actix_web::test]
async fn a_form_with_a_fault_says_so_and_the_link_still_works(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let link = link(&app);
    let browser = Browser::guest(&app);
    let form = filled(&browser.get(&link).await.form());
    for (fields, shown) in [
        ([("username", "ada"), ("password", PASSWORD), ("again", PASSWORD)], "This name is taken"),
        ([("username", "a b"), ("password", PASSWORD), ("again", PASSWORD)], "username"),
        ([("username", "root"), ("password", "short"), ("again", "short")], "password"),
        ([("username", "root"), ("password", "password1"), ("again", "password1")], "password"),
        (
            [("username", "root"), ("password", PASSWORD), ("again", "other")],
            "The two passwords do not match.",
        ),
    ] {
        let page = browser.send(&form.clone().with(&fields)).await;
        page.assert_status(400).assert_shows(&["Please correct this", shown]);
        assert_eq!(page.form().field("username"), Some(fields[0].1), "the input is kept");
        page.assert_hides(&[PASSWORD, "password1"]);
        page.answer.assert_header("referrer-policy", "same-origin");
    }
    assert_eq!(app.count("users WHERE is_superuser"), 0);
    browser.send(&form).await.assert_status(303);
}

#[rstest]
fn the_server_prints_a_link_at_each_start_until_there_is_a_superuser(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = TestDatabase::create(on) else { return };
    let key = |server: &Server| {
        let log = server.log();
        let rest = log.split_once("/admin/first-run/").map(|(_, rest)| rest.to_owned())?;
        rest.split_once('/').map(|(key, _)| key.to_owned())
    };
    let server = Server::start(&database, &[]);
    let first = key(&server).expect("the log has a link");
    let status = |server: &Server, key: &str| {
        server.client().send("GET", &format!("/admin/first-run/{key}/"), &[], b"").unwrap().status
    };
    assert_eq!(status(&server, &first), 200);
    // The log line about the request does not contain the key.
    assert_eq!(server.log().matches(&first).count(), 1, "{}", server.log());
    drop(server);
    let server = Server::start(&database, &[]);
    let second = key(&server).expect("the log has another link");
    assert_eq!((status(&server, &first), status(&server, &second)), (404, 200));
    drop(server);
    let quiet = Launch::on(&database).flags(&["--log", "off"]).spawn();
    wait::until("a link, although the log is off", Duration::from_secs(30), || key(&quiet));
    drop(quiet);
    let words = ["createsuperuser", "--password-stdin", "--username", "root"];
    crate::cli::run_with(&database, &words, &format!("{PASSWORD}\n")).assert_good();
    assert_eq!(key(&Server::start(&database, &[])), None);
}
