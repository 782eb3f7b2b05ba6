//! Every route of the panel, requested by each kind of visitor.

use std::collections::HashSet;

use rstest::rstest;
use tollgate::domain::OperationId;
use tollgate::panel::{ROUTES, SECTIONS, Section};

use super::route_table::For::{self, Everybody, Nobody, Staff, Superusers};
use super::route_table::{path, routes};
use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::{Browser, Page};

async fn post(browser: &Browser<'_>, path: &str) -> Page {
    let form = browser.bare_form(path).await;
    browser.send(&form.with(&[("operation", &OperationId::generate().to_text())])).await
}

/// The tests below check that the handlers enforce what the table declares. This one checks what it
/// declares: a guest can only sign in, and staff can change only what is their own.
#[test]
fn guests_may_only_sign_in_and_staff_change_only_what_is_theirs() {
    let who = |expected: For| {
        routes().flat_map(move |(path, get, posts)| {
            [("GET", get), ("POST", posts)]
                .into_iter()
                .filter(move |(_, access)| *access == expected)
                .map(move |(method, _)| format!("{method} {path}"))
        })
    };
    let everybody: Vec<String> = who(Everybody).collect();
    let guests = ["GET /admin/sign-in", "POST /admin/sign-in"];
    let first_run = ["GET /admin/first-run/{key}", "POST /admin/first-run/{key}"];
    assert_eq!(everybody, [guests, first_run].concat());
    let changes: Vec<String> = who(Staff).filter(|route| route.starts_with("POST")).collect();
    let own = [
        "search",
        "sign-out",
        "settings",
        "settings/theme",
        "settings/sign-out-others",
        "password",
        "columns",
        "views",
        "views/{id}/delete",
    ];
    assert_eq!(changes, own.map(|path| format!("POST /admin/{path}")));
}

#[test]
fn each_path_stands_in_the_table_once_with_get_before_post() {
    let paths: HashSet<&str> = ROUTES.iter().map(|route| route.path).collect();
    assert_eq!(paths.len(), ROUTES.len());
    for route in ROUTES {
        assert!(route.path.ends_with('/'), "{}", route.path);
        let methods: Vec<&str> = route.methods.iter().map(|method| method.route.name).collect();
        assert!([&["GET, HEAD"][..], &["POST"], &["GET, HEAD", "POST"]].contains(&methods.as_slice()));
    }
}

/// Routes are tried in their order, and `{id}` also matches words.
#[test]
fn no_page_is_hidden_by_a_pattern_above_it() {
    for (place, route) in ROUTES.iter().enumerate() {
        let words = |path: &'static str| path.split('/').collect::<Vec<_>>();
        let is_matched_by = |pattern: &'static str| {
            let (path, pattern) = (words(route.path), words(pattern));
            path.len() == pattern.len()
                && path.iter().zip(&pattern).all(|(word, part)| word == part || part.starts_with('{'))
        };
        let above = ROUTES[..place].iter().find(|above| is_matched_by(above.path));
        assert!(above.is_none(), "{} is below {}", route.path, above.map_or("", |above| above.path));
    }
}

#[rstest]
#[actix_web::test]
async fn the_navigation_leads_staff_to_each_section(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let staff = app.staff("grace").await;
    let home = staff.get("/admin/").await;
    for Section { label, path } in SECTIONS {
        let page = staff.click(&home, label).await;
        page.assert_status(200);
        assert_eq!(page.path, path, "{label}");
    }
}

/// Returns the value of `Allow`.
fn allow(get: For, posts: For) -> String {
    let methods = [(get, "GET, HEAD"), (posts, "POST")].into_iter().filter(|(who, _)| *who != Nobody);
    methods.map(|(_, methods)| methods).collect::<Vec<_>>().join(", ")
}

#[rstest]
#[actix_web::test]
async fn a_guest_is_sent_to_sign_in_and_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, _) = furnish(&app, "root").await;
    for (route, get, posts) in routes() {
        let path = path(route, &world);
        let guest = Browser::guest(&app);
        for wanted in [format!("{path}/"), path.clone(), format!("{path}/?q=x")] {
            let page = guest.get(&wanted).await;
            match get {
                Nobody => _ = page.assert_status(405),
                Everybody if route.contains("first-run") => _ = page.assert_status(404),
                Everybody => _ = page.assert_status(200),
                Staff | Superusers => {
                    page.assert_status(303);
                    let next: String = url::form_urlencoded::byte_serialize(wanted.as_bytes()).collect();
                    let home = ["/admin", "/admin/"].contains(&wanted.as_str());
                    let to = if home {
                        "/admin/sign-in/".to_owned()
                    } else {
                        format!("/admin/sign-in/?next={next}")
                    };
                    assert_eq!(page.location(), to);
                }
            }
        }
        if posts != Nobody {
            let page = post(&guest, &format!("{path}/")).await;
            let expected = if route.contains("first-run") { 404 } else { 403 };
            page.assert_status(expected);
        }
    }
}

#[rstest]
#[actix_web::test]
async fn staff_can_see_everything_and_change_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, _) = furnish(&app, "root").await;
    let staff = app.staff("grace").await;
    app.catch_up().await;
    let before = app.count("audit_log");
    for (route, get, posts) in routes() {
        let path = path(route, &world);
        for path in [format!("{path}/"), path.clone()] {
            let page = staff.get(&path).await;
            match get {
                Nobody => _ = page.assert_status(405),
                Superusers => _ = page.assert_status(403).assert_shows(&["Not allowed"]),
                Everybody if route.contains("first-run") => _ = page.assert_status(404),
                // Signed-in visitors are redirected to the panel.
                Everybody => _ = page.assert_status(303),
                Staff => _ = page.assert_status(200),
            }
            if get == Staff {
                assert_offers_no_change(&page);
            }
            if posts == Superusers {
                post(&staff, &path).await.assert_status(403);
            }
        }
    }
    assert_eq!(app.count("audit_log"), before, "something was changed");
    app.assert_sound();
}

/// Checks that a page has no form that changes more than one's own settings, and no link to one.
fn assert_offers_no_change(page: &Page) {
    let own = ["/admin/settings/", "/admin/settings/sign-out-others/", "/admin/password/", "/admin/password"];
    let superusers: Vec<&str> = routes()
        .filter(|(_, get, _)| *get == Superusers)
        .filter_map(|(path, _, _)| path.rsplit('/').next())
        .collect();
    for link in page.links() {
        let last = link.split('?').next().unwrap_or_default().trim_end_matches('/');
        let last = last.rsplit('/').next().unwrap_or_default();
        let is_forbidden = superusers.contains(&last) && !link.starts_with("/admin/password");
        assert!(!is_forbidden, "{} offers {link}", page.path);
    }
    for form in page.posting_forms() {
        let is_own = own.contains(&form.action.as_str());
        assert!(is_own || form.buttons.is_empty(), "{} offers {form:?}", page.path);
        assert!(is_own || form.boxes.is_empty(), "{} has boxes: {form:?}", page.path);
    }
}

#[rstest]
#[actix_web::test]
async fn a_superuser_reaches_every_page_and_every_form(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    for (route, get, _) in routes() {
        let path = path(route, &world);
        for path in [format!("{path}/"), path.clone()] {
            let expected = match get {
                Nobody => 405,
                Everybody if route.contains("first-run") => 404,
                Everybody => 303,
                _ => 200,
            };
            root.get(&path).await.assert_status(expected);
            let head = root.request("HEAD", &path).send().await;
            assert_eq!(head.status, expected, "HEAD {path}");
        }
    }
    for (route, _, _) in routes().filter(|(_, _, posts)| *posts != Nobody) {
        let path = path(route, &world);
        // A new session each time, because some forms end it.
        let browser = Browser::signed_in(&app, "root").await;
        let page = post(&browser, &format!("{path}/")).await;
        let is_accepted = match route {
            "/admin/sign-in" => {
                page.status() == 403 && page.text().contains("The name or the password is wrong")
            }
            "/admin/first-run/{key}" => page.status() == 404,
            _ => [200, 201, 303, 400, 409].contains(&page.status()),
        };
        assert!(is_accepted, "POST {path}: {} {}", page.status(), page.text());
    }
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn other_methods_are_rejected_with_a_list_of_those_allowed(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    for (route, get, posts) in routes() {
        let allow = allow(get, posts);
        for method in ["PUT", "PATCH", "DELETE", "OPTIONS"] {
            let answer = root.request(method, &path(route, &world)).send().await;
            answer.assert_status(405).assert_header("allow", &allow);
            answer.assert_header("content-type", "text/html; charset=utf-8");
        }
    }
    for path in
        ["/admin/nowhere/", "/admin/users/x/", "/admin/users/17/nowhere", "/admin//", "/admin/users/99999/"]
    {
        let page = root.get(path).await;
        page.assert_status(404).assert_shows(&["Not found", "To the panel's home page"]);
    }
}

#[rstest]
#[actix_web::test]
async fn an_id_that_does_not_exist_is_404(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    for (route, get, _) in routes().filter(|(route, _, _)| route.contains("{id}")) {
        for id in ["987654321", "0", "-1", "9223372036854775808", "1%00", "seventeen"] {
            let expected = if get == Nobody { 405 } else { 404 };
            root.get(&route.replace("{id}", id)).await.assert_status(expected);
        }
    }
}

#[rstest]
#[actix_web::test]
async fn plain_users_and_former_staff_cannot_use_the_panel(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let plain = Browser::guest(&app);
    plain.sign_in("ada").await.assert_status(403);
    plain.get("/admin/").await.assert_status(303);
    for loss in ["is_staff = FALSE", "is_staff = TRUE, is_active = FALSE"] {
        app.sql("DELETE FROM sessions");
        app.sql("UPDATE users SET is_staff = TRUE, is_active = TRUE WHERE username = 'ada'");
        let staff = Browser::signed_in(&app, "ada").await;
        staff.get("/admin/users/").await.assert_status(200);
        app.sql(&format!("UPDATE users SET {loss} WHERE username = 'ada'"));
        staff.get("/admin/users/").await.assert_status(303);
        post(&staff, "/admin/sign-out/").await.assert_status(403);
    }
}
