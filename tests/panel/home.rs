//! The home page: its numbers are those of its links, and it says what needs attention.

use rstest::rstest;
use tollgate::clock;
use tollgate::db::{DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId};
use tollgate::metering::{Ending, end_hold};

use super::models::UPSTREAM;
use super::world::furnish;
use crate::support::On;
use crate::support::app::{TestApp, eventually};
use crate::support::html::Tag;
use crate::support::panel::{Browser, Page};
use crate::support::upstream::status as upstream_status;

/// Makes a chat that failed and was refunded. Returns its id.
async fn failed(app: &TestApp, token: &str, reason: FailureReason) -> i64 {
    let chat = app.hold(token).await;
    let end = move |conn: &mut DbConnection| {
        let (ending, now) = (Ending::failed(reason), clock::now());
        Ok(end_hold(conn, chat, &ending, OperationId::generate(), now)?)
    };
    app.services.db.write(Scope::none(), end).await.unwrap();
    chat
}

/// Returns the links whose title is a number, as `300 today`, with the number.
fn figures(page: &Page) -> Vec<(String, i64)> {
    let number = |tag: &Tag| {
        let title = tag.attribute("title")?.split(' ').next()?.replace([',', '+'], "").replace('−', "-");
        Some((tag.attribute("href")?.to_owned(), title.parse().ok()?))
    };
    page.tags().iter().filter(|tag| tag.name == "a").filter_map(number).collect()
}

/// Returns the number on Home that links to this list.
#[track_caller]
fn figure(page: &Page, href: &str) -> i64 {
    let found = figures(page).into_iter().find(|(link, _)| link == href);
    found.unwrap_or_else(|| panic!("no number links to {href}: {:?}", figures(page))).1
}

/// Opens the list that a number links to, and returns what the list shows for it.
async fn shown_by_its_list(root: &Browser<'_>, href: &str) -> i64 {
    let list = root.get(href).await;
    let text = list.assert_status(200).text();
    let number = |after: &str| {
        let (_, rest) = text.split_once(after).unwrap_or_else(|| panic!("{href} has no {after}: {text}"));
        let number = rest.split_whitespace().next().unwrap_or_default();
        number.replace([',', '+'], "").replace('−', "-").parse::<i64>().unwrap()
    };
    if href.contains("kind=chats") {
        -number("Net ")
    } else if href.contains("sums=1") {
        number("Added ")
    } else {
        // All rows are on one page, below the row of the heads.
        let rows = list.tags().iter().filter(|tag| tag.name == "tr").count() as i64;
        (rows - 1).max(0)
    }
}

#[rstest]
#[actix_web::test]
async fn each_number_is_the_one_that_its_list_shows(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    for _ in 0..3 {
        failed(&app, &token, FailureReason::ServerError).await;
    }
    app.catch_up().await;
    let home = root.get("/admin/").await;
    let spent = "/admin/ledger/?kind=chats&sums=1&date=today";
    assert_eq!(figure(&home, spent), 0, "what was refunded was not spent");

    app.chat(&token, "Hello").await.assert_status(201);
    app.chat(&token, "Hello again").await.assert_status(201);
    let refunded = app.number("SELECT max(id) AS value FROM chats");
    root.submit(&format!("/admin/chats/{refunded}/refund/"), &[("reason", "sorry")]).await.assert_status(303);
    app.hold(&token).await;
    // A chat that failed today, but was sent yesterday.
    let late = failed(&app, &token, FailureReason::Stalled).await;
    app.sql(&format!(
        "UPDATE chats SET created_at = {} WHERE id = {late}",
        match on {
            On::Sqlite => "strftime('%Y-%m-%d %H:%M:%f', created_at, '-1 day')",
            On::Postgres => "created_at - interval '1 day'",
        }
    ));
    let adjust = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    for amount in ["500", "-40"] {
        root.submit(&adjust, &[("amount", amount), ("reason", "a gift")]).await.assert_status(303);
    }
    app.catch_up().await;
    let home = root.get("/admin/").await;
    assert_eq!(figure(&home, spent), 200, "one answered, one on hold, one refunded");
    assert_eq!(figure(&home, "/admin/ledger/?kind=adjustment&sums=1&date=7days"), 500);
    assert_eq!(figure(&home, "/admin/chats/?endpoint=all&date=today"), 7, "messages that were charged");
    let mut checked = 0;
    for (href, number) in figures(&home) {
        // Its message was charged today, so it is still one of today's in the ledger.
        if href == "/admin/chats/?endpoint=all&date=today" {
            continue;
        }
        if !(href.starts_with("/admin/holds/") && number == 100) {
            assert_eq!(shown_by_its_list(&root, &href).await, number, "{href}");
            checked += 1;
        }
    }
    assert!(checked >= 12, "only {checked} numbers have a list");
    // The table below the chart leads to the same chats.
    let today = clock::now().date().to_string();
    let day = format!("/admin/chats/?endpoint=all&date_from={today}&date_to={today}&state=failed");
    assert!(home.links().contains(&day), "{:?}", home.links());
    assert_eq!(shown_by_its_list(&root, &day).await, 3);
    app.damages_its_books();
}

#[rstest]
#[actix_web::test]
async fn very_large_amounts_are_short_with_all_digits_for_those_who_need_them(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let adjust = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    let fields =
        [("amount", "8999999999990000"), ("amount_again", "8999999999990000"), ("reason", "a prize")];
    root.submit(&adjust, &fields).await.assert_status(303);
    app.catch_up().await;
    let home = root.get("/admin/").await;
    home.assert_shows(&["8.9 Q", "8,999,999,999,990,000 today"]);
    assert_eq!(figure(&home, "/admin/ledger/?kind=adjustment&sums=1&date=today"), 8_999_999_999_990_000);
}

#[rstest]
#[actix_web::test]
async fn the_chart_has_a_bar_for_each_day_of_the_administrators_zone(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    root.get("/admin/").await.assert_shows(&["There were no messages in these 30 days."]);
    app.chat(&token, "Hello").await.assert_status(201);
    failed(&app, &token, FailureReason::Stalled).await;
    app.catch_up().await;
    let bars = |page: &Page| page.tags().iter().filter(|tag| tag.name == "rect").count() / 2;
    for (query, days) in [("", 30), ("?days=7", 7), ("?days=90", 90), ("?days=8", 30), ("?days=x", 30)] {
        let home = root.get(&format!("/admin/{query}")).await;
        home.assert_status(200);
        assert_eq!(bars(&home), days, "{query}");
        home.assert_shows(&[&format!("Messages per day in {days} days: 2 messages, 1 failed")]);
        let current: Vec<_> =
            home.tags().into_iter().filter(|tag| tag.attribute("aria-current") == Some("true")).collect();
        assert_eq!(current[0].attribute("href"), Some(format!("/admin/?days={days}").as_str()));
    }
    // The day of the zone that is furthest ahead, and of the one that is furthest behind.
    for zone in ["Pacific/Kiritimati", "Pacific/Pago_Pago"] {
        root.submit("/admin/settings/", &[("time_zone", zone)]).await.assert_status(303);
        let home = root.get("/admin/?days=7").await;
        home.assert_shows(&[zone, "2 messages, 1 failed"]);
        let rows: Vec<String> = home.links().into_iter().filter(|link| link.contains("date_from=")).collect();
        let day = rows.iter().find(|link| link.ends_with("&state=failed")).unwrap();
        assert_eq!(shown_by_its_list(&root, day).await, 1, "{zone}");
    }
}

#[rstest]
#[actix_web::test]
async fn a_quiet_server_needs_no_attention(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.chat(&token, "Hello").await.assert_status(201);
    app.catch_up().await;
    let home = root.get("/admin/").await;
    home.assert_shows(&["The ledger has not been verified yet"]).assert_hides(&["First steps"]);
    let form = root.bare_form("/admin/verify/").await;
    root.send(&form).await.assert_status(303);
    eventually("the verification", async || app.count("verifications WHERE finished_at IS NOT NULL") == 1)
        .await;
    root.get("/admin/").await.assert_shows(&["Needs attention Nothing needs attention."]);
    app.sql("UPDATE verifications SET finished_at = '2026-01-01 00:00:00'");
    root.get("/admin/").await.assert_shows(&["The ledger was last verified"]);
}

#[rstest]
#[actix_web::test]
async fn what_needs_attention_leads_to_its_list(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    app.sql(&format!("UPDATE chats SET deadline = '2026-01-01 00:00:00' WHERE id = {}", world.hold));
    app.sql("UPDATE bulk_operations SET failed = 1");
    app.sql(&format!("INSERT INTO bulk_failures VALUES ({}, {}, 'out_of_range')", world.bulk, world.user));
    // Ada's balance allows one more message.
    let token = app.token("ada").await;
    let rest = app.balance(&token).await;
    let adjust = format!("/admin/users/{}/adjust/", world.user);
    let taken = (100 - rest).to_string();
    root.submit(&adjust, &[("amount", &taken), ("reason", "taken")]).await.assert_status(303);
    root.get("/admin/").await.assert_hides(&["Ran out of tokens"]);
    app.chat(&token, "the last one").await.assert_status(201);
    app.catch_up().await;
    let home = root.get("/admin/").await;
    let overdue = root.click(&home, "1 hold is past the deadline").await;
    overdue.assert_shows(&[&format!("#{}", world.hold)]);
    let bulk = root.click(&home, &format!("1 row failed in bulk operation {}", world.bulk)).await;
    bulk.assert_status(200).assert_shows(&["a gift"]);
    let poor = "Ran out of tokens in the past 24 hours";
    root.click(&home, poor).await.assert_shows(&["ada"]);
    home.assert_shows(&[&format!("{poor}: ada")]);
    assert!(home.links().contains(&format!("/admin/users/{}/", world.user)));
    // New tokens end it.
    root.submit(&adjust, &[("amount", "100"), ("reason", "back")]).await.assert_status(303);
    root.get("/admin/").await.assert_hides(&["Ran out of tokens"]);
}

#[actix_web::test]
async fn little_disk_space_needs_attention() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--min-free-disk", "1000000000000"]).await else {
        return;
    };
    let root = app.superuser("root").await;
    root.get("/admin/").await.assert_shows(&["Little disk space: ", "Free disk space"]);
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--min-free-disk", "0"]).await else { return };
    let root = app.superuser("root").await;
    root.get("/admin/").await.assert_shows(&["Free disk space"]).assert_hides(&["Little disk space"]);
}

#[rstest]
#[actix_web::test]
async fn every_page_says_that_the_upstream_fails(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &UPSTREAM).await else { return };
    let (root, token) = (app.superuser("root").await, app.user("ada").await);
    let banner = "The upstream is failing:";
    root.get("/admin/users/").await.assert_hides(&[banner]);
    for _ in 0..5 {
        let answer = app.chat(&token, "Hello").await;
        assert!(answer.status >= 500, "{}", answer.text());
    }
    for path in ["/admin/", "/admin/users/", "/admin/ledger/", "/admin/settings/"] {
        let page = root.get(path).await;
        page.assert_shows(&[banner, "small-1"]);
        root.click(&page, "Status of the models").await.assert_shows(&["Models, as seen by this node"]);
    }
    let text = root.get("/admin/").await.text();
    let (_, attention) = text.split_once("Needs attention").unwrap();
    assert!(attention.trim_start().starts_with("small-1: "), "{text}");
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_banner_disappears_with_the_next_answer(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some((app, upstream, token)) = crate::api::upstream::spawn(on, &[]).await else { return };
    let root = app.superuser("root").await;
    for _ in 0..5 {
        upstream.next(upstream_status(500, &[], ""));
        assert!(app.chat(&token, "Hello").await.status >= 500);
    }
    root.get("/admin/users/").await.assert_shows(&["The upstream is failing:"]);
    eventually("an answer", async || app.chat(&token, "Hello").await.status == 201).await;
    root.get("/admin/users/").await.assert_hides(&["The upstream is failing:"]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn the_first_steps_are_shown_until_somebody_uses_the_server(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (root, grace) = (app.superuser("root").await, app.staff("grace").await);
    let home = root.get("/admin/").await;
    home.assert_shows(&["First steps", "Nothing needs attention."]);
    for step in
        ["Add a user", "Make an auth token", "Check the models and their prices", "Choose your time zone"]
    {
        root.click(&home, step).await.assert_status(200);
    }
    assert_eq!(home.link("Send the first message"), "/");
    let theirs = grace.get("/admin/").await;
    theirs.assert_shows(&["First steps"]).assert_hides(&["Add a user", "Make an auth token"]);
    app.user("ada").await;
    root.get("/admin/").await.assert_hides(&["First steps"]);
}

#[rstest]
#[actix_web::test]
async fn each_recent_action_is_one_line(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    let adjust = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    root.submit(&adjust, &[("amount", "500"), ("reason", "March top-up")]).await.assert_status(303);
    let home = root.get("/admin/").await;
    home.assert_shows(&["root adjusted the balance ada (+500 tokens) – March top-up", "root signed in"]);
    assert!(!home.text().contains("signed in root"), "{}", home.text());
}

/// A page that refreshes itself must not keep a session alive that nobody uses.
#[rstest]
#[actix_web::test]
async fn requests_in_the_background_do_not_prolong_a_session(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn_with(on, &["--session-idle-minutes", "10"]).await else { return };
    let root = app.superuser("root").await;
    let back = match on {
        On::Sqlite => {
            "UPDATE sessions SET last_used_at = strftime('%Y-%m-%d %H:%M:%f', last_used_at, '-6 minutes')"
        }
        On::Postgres => "UPDATE sessions SET last_used_at = last_used_at - interval '6 minutes'",
    };
    let in_background =
        async || root.request("GET", "/admin/").header("X-Tollgate-Background", "1").send().await.status;
    app.sql(back);
    assert_eq!(in_background().await, 200);
    app.sql(back);
    assert_eq!(in_background().await, 303, "the session must have ended after 12 minutes");
    root.sign_in("root").await.assert_status(303);
    app.sql(back);
    root.get("/admin/").await.assert_status(200);
    app.sql(back);
    assert_eq!(in_background().await, 200, "a page that was opened is a use");
}
