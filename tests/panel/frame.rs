//! The frame of every page: its title, its menu with counts, the label of the server, and
//! shortcuts. Also the heading of a printed statement.

use rstest::rstest;
use tollgate::panel::shortcuts;

use super::route_table;
use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

/// Returns the title of a page.
fn title(page: &Page) -> String {
    let html = page.html();
    let (_, rest) = html.split_once("<title>").expect("a page has a title");
    rest.split_once("</title>").unwrap().0.to_owned()
}

#[rstest]
#[actix_web::test]
async fn the_title_of_a_page_about_one_thing_names_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let mut titles = Vec::new();
    for path in route_table::gets(&world) {
        let page = root.get(&path).await;
        let is_about_one = path.split('/').any(|part| part.parse::<i64>().is_ok());
        if !is_about_one || page.status() != 200 {
            continue;
        }
        let name = match path.split('/').nth(2) {
            Some("models") => "small-1".to_owned(),
            Some("bulk-operations") => format!("operation {}", world.bulk),
            _ => "ada".to_owned(),
        };
        assert!(title(&page).contains(&name), "{path}: {}", title(&page));
        titles.push(title(&page));
    }
    assert!(titles.len() > 15, "only {} pages are about one thing", titles.len());
    let mut different = titles.clone();
    different.sort_unstable();
    different.dedup();
    assert_eq!(different.len(), titles.len(), "some titles are the same: {titles:#?}");
}

#[rstest]
#[actix_web::test]
async fn the_menu_counts_holds_and_failed_bulk_operations(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let boss = app.superuser("boss").await;
    boss.get("/admin/").await.assert_hides(&["in Holds", "in Bulk operations"]);
    let (world, _) = furnish(&app, "root").await;
    boss.get("/admin/users/").await.assert_shows(&["1 open in Holds"]).assert_hides(&["in Bulk operations"]);
    app.hold(&app.token("ada").await).await;
    boss.get("/admin/users/").await.assert_shows(&["2 open in Holds"]);
    app.sql(&format!("UPDATE chats SET deadline = '2020-01-01 00:00:00' WHERE id = {}", world.hold));
    boss.get("/admin/users/").await.assert_shows(&["1 overdue in Holds"]).assert_hides(&["open in Holds"]);
    app.sql("UPDATE bulk_operations SET failed = 1");
    boss.get("/admin/").await.assert_shows(&["1 with failures in 7 days in Bulk operations"]);
    app.sql("UPDATE bulk_operations SET created_at = '2020-01-01 00:00:00'");
    boss.get("/admin/").await.assert_hides(&["in Bulk operations"]);
}

#[actix_web::test]
async fn the_label_of_the_server_is_on_every_page_and_in_every_title() {
    let flags = ["--environment-label", "Staging <2>"];
    let Some(app) = TestApp::spawn_with(On::Sqlite, &flags).await else { return };
    let guest = Browser::guest(&app).get("/admin/sign-in/").await;
    guest.assert_shows(&["Tollgate (Staging <2>)"]);
    let root = app.superuser("root").await;
    for path in ["/admin/", "/admin/users/", "/admin/settings/", "/admin/nowhere/"] {
        let page = root.get(path).await;
        page.assert_shows(&["Staging <2>"]).assert_hides(&["Staging <2>"]);
        assert!(title(&page).starts_with("[Staging "), "{path}: {}", title(&page));
    }
}

#[rstest]
#[actix_web::test]
async fn all_shortcuts_are_listed_and_lead_to_pages(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let keys = |page: &Page| -> Vec<(String, Option<String>)> {
        let tags = page.tags().into_iter();
        let row = |tag: crate::support::html::Tag| {
            Some((tag.attribute("data-keys")?.to_owned(), tag.attribute("data-href").map(str::to_owned)))
        };
        tags.filter_map(row).collect()
    };
    let known = shortcuts();
    let home = root.get("/admin/").await;
    let listed = keys(&home);
    assert_eq!(
        listed.iter().map(|(keys, _)| keys).collect::<Vec<_>>(),
        known.iter().map(|one| &one.keys).collect::<Vec<_>>()
    );
    for (keys, href) in listed.into_iter().filter_map(|(keys, href)| Some((keys, href?))) {
        assert_eq!(root.get(&href).await.status(), 200, "{keys}");
    }
    // Those who have switched them off still see the list in their settings.
    root.send(&root.get("/admin/settings/").await.form().without("shortcuts")).await.assert_status(303);
    assert!(keys(&root.get("/admin/").await).is_empty());
    assert_eq!(keys(&root.get("/admin/settings/").await).len(), known.len());
}

#[rstest]
#[actix_web::test]
async fn the_first_sign_in_takes_on_the_browsers_time_zone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let sign_in = async |zone: &str| {
        let browser = Browser::guest(&app);
        let form = browser.get("/admin/sign-in/").await.form();
        let form = form.with(&[("username", "root"), ("password", PASSWORD), ("time_zone", zone)]);
        browser.send(&form).await.assert_status(303);
        browser.get("/admin/").await
    };
    for nothing in ["", "UTC", "Mars/Olympus"] {
        sign_in(nothing).await.assert_shows(&["times in UTC"]).assert_hides(&["time zone of your browser"]);
    }
    let first = sign_in("Europe/Berlin").await;
    first.assert_shows(&[
        "Times are shown in Europe/Berlin, the time zone of your browser.",
        "times in Europe/Berlin",
    ]);
    let second = sign_in("Asia/Tokyo").await;
    second.assert_shows(&["times in Europe/Berlin"]).assert_hides(&["time zone of your browser"]);
}

#[rstest]
#[actix_web::test]
async fn a_printed_statement_has_a_heading(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let token = app.user("ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    app.catch_up().await;
    let user = app.id_of("ada");
    for path in [format!("/admin/users/{user}/?tab=statement"), format!("/admin/ledger/?user=%23{user}")] {
        let page = root.get(&path).await;
        page.assert_shows(&[
            "Statement of ada",
            "Opening balance 0 tokens",
            "Closing balance 3,900 tokens",
            "Opening balance granted +4,000 (1 entry)",
            "Charges −100 (1 entry)",
            "Net +3,900",
            "(UTC)",
        ]);
    }
    for path in ["/admin/ledger/", "/admin/ledger/?user=nobody", "/admin/ledger/?kind=charge"] {
        root.get(path).await.assert_hides(&["Statement of"]);
    }
    app.chat(&token, "Hello again").await.assert_status(201);
    app.catch_up().await;
    let charges = root.get(&format!("/admin/ledger/?user=%23{user}&amount_from=1")).await;
    charges.assert_shows(&["Opening balance 0 tokens", "Closing balance 4,000 tokens"]);
}
