//! All input of users and administrators is shown as text, and never becomes markup.

use rstest::rstest;

use super::route_table;
use super::world::{World, furnish};
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

/// Would break out of text, of attributes in either kind of quotes, and of templates.
const EVIL: &str = r#"<script>alert(1)</script>"'><img src=x onerror=1>{{7*7}}${7*7}"#;

/// Checks that the page has only tags and attributes that the templates use.
#[track_caller]
fn assert_harmless(page: &Page) {
    let tags = page.tags();
    assert!(tags.len() > 10, "{} is not a page: {}", page.path, page.html());
    for tag in tags {
        let known = [
            "!doctype", "a", "bdi", "body", "button", "code", "col", "colgroup", "dd", "del", "details",
            "dialog", "div", "dl", "dt", "fieldset", "footer", "form", "g", "h1", "h2", "head", "header",
            "html", "input", "ins", "kbd", "label", "legend", "li", "line", "link", "main", "mark", "meta",
            "nav", "ol", "option", "p", "polygon", "polyline", "pre", "progress", "q", "rect", "script",
            "section", "select", "span", "strong", "summary", "svg", "table", "tbody", "td", "th", "thead",
            "time", "title", "tr", "ul", "use",
        ];
        let name = tag.name.trim_start_matches('/');
        assert!(known.contains(&name), "{} has a tag {tag:?}", page.path);
        if tag.name == "script" {
            let source = tag.attribute("src").unwrap_or_default();
            let is_named = ["/static/admin.", "/static/search."].iter().any(|name| source.starts_with(name));
            let is_ours = is_named && source.ends_with(".js");
            assert!(is_ours && !source.contains(".."), "{} has {tag:?}", page.path);
        }
        for (name, value) in &tag.attributes {
            let is_plain =
                name.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'-' || byte.is_ascii_digit());
            let is_harmless = is_plain && !name.starts_with("on") && name != "style" && name != "srcdoc";
            assert!(is_harmless, "{} has the attribute {name}: {tag:?}", page.path);
            if ["href", "src", "action"].contains(&name.as_str()) {
                let stays = value.is_empty() || value.starts_with(['?', '#']) || value.starts_with('/');
                assert!(stays && !value.starts_with("//"), "{} leads to {value}", page.path);
            }
        }
    }
    assert!(!page.html().contains("<script>"), "{}", page.path);
}

fn quoted(text: &str) -> String {
    url::form_urlencoded::byte_serialize(text.as_bytes()).collect()
}

/// Puts [`EVIL`] into everything that stores a text.
async fn poison(app: &TestApp, world: &World, root: &Browser<'_>) {
    let token = app.token("ada").await;
    app.chat(&token, EVIL).await.assert_status(201);
    let named = app.post("/auth-tokens/", &token, serde_json::json!({ "name": EVIL })).await;
    named.assert_status(201);
    let user = format!("/admin/users/{}", world.user);
    let chat = format!("/admin/chats/{}/refund/", world.chat);
    root.submit(&format!("{user}/adjust/"), &[("amount", "5"), ("reason", EVIL)]).await.assert_status(303);
    root.submit(&chat, &[("reason", EVIL)]).await.assert_status(303);
    let list = root.get(&format!("/admin/users/?q={}", quoted(EVIL))).await;
    assert_harmless(&list);
    let form = root.get("/admin/users/").await.form().tick("id", world.user);
    let form = root.send(&form).await.form().with(&[("amount", "5"), ("reason", EVIL)]);
    root.confirm(&form).await.assert_status(303);
    tollgate::administration::finish_all(&app.services.db).await.unwrap();
    // Imported users may have such names, and upstreams such models.
    let literal = EVIL.replace('\'', "''");
    for statement in [
        format!(
            "UPDATE users SET username = '{literal}', username_canonical = '{literal}' WHERE id = {}",
            world.user
        ),
        format!("UPDATE chats SET model = '{literal}'"),
        format!("UPDATE bulk_operations SET selection = '{literal}', failed = 1"),
        format!("INSERT INTO bulk_failures VALUES ({}, {}, '{literal}')", world.bulk, world.user),
        format!("UPDATE sessions SET user_agent = '{literal}', address = '{literal}'"),
        format!(
            "UPDATE audit_log SET address = '{literal}', changes = '[{{\"field\":\"a\",\"before\":\"<img>\",\"after\":\"<img>\"}}]'"
        ),
    ] {
        app.sql(&statement);
    }
    let form = root.bare_form("/admin/verify/").await;
    root.send(&form).await.assert_status(303);
    crate::support::app::eventually("the verification", async || {
        app.count("verifications WHERE finished_at IS NOT NULL") == 1
    })
    .await;
    app.sql(&format!("UPDATE verifications SET damage = '{literal}'"));
    app.catch_up().await;
}

#[rstest]
#[actix_web::test]
async fn no_stored_text_becomes_markup_on_any_page(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    poison(&app, &world, &root).await;
    let evil = quoted(EVIL);
    let mut shown = 0;
    for path in route_table::gets(&world) {
        for query in [
            String::new(),
            format!(
                "?q={evil}&list={evil}&sort={evil}&after={evil}&user={evil}&actor={evil}&state={evil}&model={evil}"
            ),
            format!(
                "?next={evil}&amount={evil}&reason={evil}&date_from={evil}&joined={evil}&facets=1&sums=1"
            ),
            format!("?list=javascript:alert(1)&{evil}={evil}&x='onerror=1"),
        ] {
            let page = root.get(&format!("{path}{query}")).await;
            // The suggestions for the script are not a page.
            if path.ends_with("/suggest/") {
                page.answer.assert_header("content-type", "application/json");
                page.answer.assert_header("x-content-type-options", "nosniff");
                continue;
            }
            assert_harmless(&page);
            shown += usize::from(page.text().contains(EVIL));
        }
    }
    assert!(shown > 60, "the text is on only {shown} pages");
    for path in
        ["/admin/", "/admin/users/", "/admin/chats/", "/admin/ledger/", "/admin/history/", "/admin/settings/"]
    {
        root.get(path).await.assert_shows(&[EVIL.get(..60).unwrap()]);
    }
    root.get(&format!("/admin/auth-tokens/{}/", world.auth_token + 2)).await.assert_shows(&["{{7*7}}"]);
}

#[rstest]
#[actix_web::test]
async fn forms_return_input_as_text(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    poison(&app, &world, &root).await;
    for path in route_table::posts(&world).into_iter().filter(|path| !path.contains("sign-out")) {
        let page = root.get(&path).await;
        let mut form = match page.posting_forms().into_iter().find(|form| form.action == path) {
            Some(form) => form,
            None => root.bare_form(&path).await,
        };
        let operation = tollgate::domain::OperationId::generate().to_text();
        for field in [
            "name",
            "reason",
            "amount",
            "username",
            "list",
            "tokens",
            "days",
            "user",
            "expires",
            "all",
            "expected",
            "time_zone",
            "theme",
            "page_size",
            "next",
            "version",
            "was_name",
            "was_expires",
            "action",
        ] {
            form = form.with(&[(field, EVIL)]);
        }
        form = form.with(&[("operation", &operation), ("password", EVIL), ("again", PASSWORD)]);
        let page = root.send(&form).await;
        if page.status() == 303 {
            assert_harmless(&root.follow(&page).await);
        } else {
            assert_harmless(&page);
            assert!(!page.html().contains(PASSWORD), "{path} shows a password");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn pages_for_guests_show_input_as_text_too(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let guest = Browser::guest(&app);
    let key = app.services.auth.first_run.make_key().unwrap();
    let evil = quoted(EVIL);
    let sign_in = guest.get(&format!("/admin/sign-in/?next={evil}&changed={evil}")).await;
    let first_run = guest.get(&format!("/admin/first-run/{}/?x={evil}", key.expose())).await;
    for page in [&sign_in, &first_run] {
        assert_harmless(page);
        let form =
            page.form().with(&[("username", EVIL), ("password", EVIL), ("again", EVIL), ("next", EVIL)]);
        let answer = guest.send(&form).await;
        assert_harmless(&answer);
        assert_eq!(answer.form().field("username"), Some(EVIL));
    }
    assert_harmless(&guest.get(&format!("/admin/{evil}/")).await);
    let redirect = guest.get(&format!("/admin/users/?q={evil}")).await;
    assert_harmless(&guest.follow(&redirect).await);
    let agent = app.request("GET", "/admin/sign-in/").header("User-Agent", "<script>").send().await;
    agent.assert_status(200);
}

/// The browser's name is the only text from a header that is shown later.
#[rstest]
#[actix_web::test]
async fn a_browsers_name_with_a_script_in_it_is_shown_as_text(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.superuser("root").await;
    let guest = Browser::guest(&app);
    let form =
        guest.get("/admin/sign-in/").await.form().with(&[("username", "root"), ("password", PASSWORD)]);
    let long = format!("{EVIL}{}", "x".repeat(500));
    guest.form_request(&form).header("User-Agent", &long).send().await.assert_status(303);
    assert_eq!(app.number("SELECT max(length(user_agent)) AS value FROM sessions"), 200);
    let page = Browser::signed_in(&app, "root").await.get("/admin/settings/").await;
    assert_harmless(&page);
    page.assert_shows(&[EVIL]);
}
