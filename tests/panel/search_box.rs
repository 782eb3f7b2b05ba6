//! The search box at the top of every page: its results, and what it never writes into an address.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::panel::{Browser, Page};

/// Sends the form of the box.
async fn search(browser: &Browser<'_>, typed: &str) -> Page {
    let page = browser.get("/admin/").await;
    let form = page.forms().into_iter().find(|form| form.action == "/admin/search/").unwrap();
    assert_eq!(form.method, "post");
    browser.send(&form.with(&[("q", typed)])).await
}

/// Asks for the results that the script shows.
async fn results(browser: &Browser<'_>, typed: &str) -> Page {
    let form = browser.bare_form("/admin/search/").await.with(&[("q", typed), ("results", "1")]);
    let page = browser.send(&form).await;
    page.assert_status(200);
    page
}

/// Returns the texts that are marked on a page.
fn marked(page: &Page) -> Vec<String> {
    let html = page.html();
    let marks = html.split("<mark>").skip(1).filter_map(|rest| rest.split("</mark>").next());
    marks.map(str::to_owned).collect()
}

#[rstest]
#[actix_web::test]
async fn the_search_box_searches_everything(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat(&token, "what does ada say").await.assert_status(201);
    let root = app.superuser("root").await;
    let adjust = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    root.submit(&adjust, &[("amount", "5"), ("reason", "Invoice 2026-1187")]).await.assert_status(303);
    app.catch_up().await;
    let sent = search(&root, " ada ").await;
    assert_eq!(sent.location(), "/admin/search/?q=ada");
    let page = root.follow(&sent).await;
    page.assert_shows(&[
        "Results for “ada”",
        "what does ada say",
        "3,905",
        "Users 1 result",
        "Chats 1 result",
    ]);
    page.assert_shows(&["History 1 result"]);
    let first: String = token.chars().take(8).collect();
    root.get(&format!("/admin/search/?q={first}")).await.assert_shows(&["Auth tokens 1 result"]);
    for group in ["Users", "Chats", "Ledger"] {
        root.get("/admin/search/?q=%231").await.assert_shows(&[&format!("{group} 1 result"), "by id"]);
    }
    root.get("/admin/search/?q=2026-11").await.assert_shows(&["Ledger 1 result", "Invoice 2026-1187"]);
    for words in ["", "+", "%23", "%2399999999999999999999", "%00", "-1", "%F0%9F%98%80", "%27%22%5C"] {
        root.get(&format!("/admin/search/?q={words}")).await.assert_status(200);
    }
}

#[rstest]
#[actix_web::test]
async fn each_kind_has_one_group_and_the_row_with_the_id_comes_first(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for message in ["first", "about 1 thing", "1 more"] {
        app.chat(&token, message).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    let page = root.get("/admin/search/?q=1").await;
    page.assert_shows(&["Chats 3 results", "Users 1 result"]);
    let text = page.text();
    assert_eq!(text.matches("Chats 3 results").count(), 1, "{text}");
    let place = |what: &str| text.find(what).unwrap_or_else(|| panic!("{what} is not shown: {text}"));
    assert!(place("#1 · ada by id") < place("#3 · ada") && place("#3 · ada") < place("#2 · ada"), "{text}");
    // A row that is found both ways is shown once.
    app.chat(&token, "this is 4").await.assert_status(201);
    app.catch_up().await;
    root.get("/admin/search/?q=4").await.assert_shows(&["Chats 1 result", "#4 · ada by id"]);
}

#[rstest]
#[actix_web::test]
async fn what_was_typed_is_marked_in_its_surroundings(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("Zoë").await;
    let long = format!("{} <b>Refünd</b>ed & \"done\" {}", "before ".repeat(100), "after ".repeat(100));
    app.chat(&token, &long).await.assert_status(201);
    let root = app.superuser("root").await;
    app.catch_up().await;
    for page in [root.get("/admin/search/?q=refund").await, results(&root, "refund").await] {
        assert_eq!(marked(&page), ["Refünd"]);
        let html = page.html();
        assert!(html.contains("before &#60;b&#62;<mark>Refünd</mark>&#60;/b&#62;ed &#38; "), "{html}");
        assert!(page.text().contains("…"), "the text is not cut: {html}");
    }
    assert_eq!(marked(&root.get("/admin/search/?q=OE").await), ["oë"]);
    assert_eq!(marked(&root.get("/admin/search/?q=%3Cb%3E").await).first().map(String::as_str), Some("b"));
}

#[rstest]
#[actix_web::test]
async fn a_whole_auth_token_in_the_box_leads_to_its_page_and_is_in_no_address(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let imported = "0123456789abcdef0123456789abcdef01234567";
    let root = app.superuser("root").await;
    let sent = search(&root, &format!(" {token}\n")).await;
    assert_eq!(sent.location(), "/admin/auth-tokens/1/");
    let found = results(&root, &token).await;
    found.assert_shows(&["Auth tokens", "ada"]).assert_hides(&[&token]);
    assert!(found.links().contains(&"/admin/auth-tokens/1/".to_owned()), "{:?}", found.links());
    // One that is not known, or is a part of the text, is cut to what lists show.
    let unknown = token.replace("tg_", "tg_x");
    for (typed, words) in [
        (unknown.clone(), unknown[..10].to_owned()),
        (format!("is {token} live"), format!("is+{}+live", &token[..10])),
        (imported.to_owned(), imported[..10].to_owned()),
    ] {
        let sent = search(&root, &typed).await;
        assert_eq!(sent.location(), format!("/admin/search/?q={words}"));
        results(&root, &typed).await.assert_hides(&[&typed, &token, imported]);
    }
    assert_eq!(app.text("SELECT max(changes) AS value FROM audit_log WHERE changes LIKE '%tg_%'"), None);
}

#[rstest]
#[actix_web::test]
async fn pages_and_actions_are_found_by_their_names(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("ada").await.assert_status(201);
    let root = app.superuser("root").await;
    let staff = app.staff("grace").await;
    app.catch_up().await;
    let id = app.id_of("ada");
    for (typed, href) in [
        ("adjust ada", format!("/admin/users/{id}/adjust/")),
        ("ADJ ad", format!("/admin/users/{id}/adjust/")),
        ("limits ada", format!("/admin/users/{id}/limits/")),
        ("deact ada", format!("/admin/users/{id}/deactivate/")),
        ("logout ada", format!("/admin/users/{id}/log-out/")),
        ("hold", "/admin/holds/".to_owned()),
        ("sett", "/admin/settings/".to_owned()),
        ("add user", "/admin/users/add/".to_owned()),
    ] {
        let found = results(&root, typed).await;
        assert!(found.links().contains(&href), "{typed}: {:?}", found.links());
        root.get(&href).await.assert_status(200);
    }
    assert!(!results(&root, "react ada").await.text().contains("Reactivate"), "ada is active");
    for typed in ["adjust ada", "add user"] {
        let found = results(&staff, typed).await;
        assert!(!found.text().contains("Adjust") && !found.text().contains("Add user"), "{}", found.text());
    }
    assert!(results(&staff, "sett").await.links().contains(&"/admin/settings/".to_owned()));
}
