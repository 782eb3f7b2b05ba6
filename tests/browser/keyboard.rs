//! The panel by keyboard alone.

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::demo::{Demo, SUPERUSER};
use super::visitor::{Screen, Visitor};
use crate::support::server::Server;

/// Names the element that has the focus.
const FOCUS: &str = r#"
    const element = document.activeElement;
    if (element.matches('.skip')) return 'skip link';
    if (element.id === 'search-all') return 'search of everything';
    if (element.closest('.palette')) return 'palette';
    if (element.id === 'q') return 'search';
    if (element.closest('.filters')) return 'filters';
    if (element.closest('.table')) return 'table';
    return element.id || element.tagName;
"#;

/// Sets where the next Tab starts: at the top of the page. Browsers differ in where they start
/// after a page was loaded by the submission of a form.
const START_AT_THE_TOP: &str = r#"
    document.body.tabIndex = -1;
    document.body.focus();
    document.body.removeAttribute('tabindex');
    getSelection().collapse(document.body, 0);
"#;

async fn at_the_users(server: &Server) -> Option<Visitor> {
    let visitor = Visitor::arrive(server.address(), true, Screen::Wide).await?;
    visitor.sign_in(SUPERUSER).await;
    visitor.open("/admin/users/").await;
    visitor.run(START_AT_THE_TOP, vec![]).await;
    Some(visitor)
}

async fn focus(visitor: &Visitor) -> String {
    visitor.run(FOCUS, vec![]).await.as_str().unwrap_or_default().to_owned()
}

#[tokio::test]
async fn the_first_tab_leads_past_the_navigation() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = at_the_users(&server).await else { return };
    visitor.type_keys(Key::Tab + "").await;
    assert_eq!(focus(&visitor).await, "skip link");
    let seen = visitor.element(".skip").await.rect().await.unwrap();
    assert!(seen.y >= 0.0 && seen.height >= 24.0, "{seen:?}");
    visitor.type_keys(Key::Enter + "").await;
    assert_eq!(focus(&visitor).await, "content");
    visitor.type_keys(Key::Tab + "").await;
    let is_inside = visitor.run("return !!document.activeElement.closest('main')", vec![]).await;
    assert_eq!(is_inside, Value::Bool(true));
}

#[tokio::test]
async fn tab_reaches_the_search_and_the_filters_before_the_table() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = at_the_users(&server).await else { return };
    let mut way = Vec::new();
    while way.last().is_none_or(|place| place != "table") {
        assert!(way.len() < 60, "no table: {way:?}");
        visitor.type_keys(Key::Tab + "").await;
        way.push(focus(&visitor).await);
        let is_seen = "return document.activeElement.matches(':focus-visible')
                       && getComputedStyle(document.activeElement).outlineStyle !== 'none'";
        assert_eq!(
            visitor.run(is_seen, vec![]).await,
            Value::Bool(true),
            "the focus is not visible: {way:?}"
        );
    }
    let place = |wanted: &str| way.iter().position(|place| place == wanted);
    let order = ["skip link", "search of everything", "search", "filters", "table"].map(place);
    assert!(order.iter().all(Option::is_some) && order.is_sorted(), "{way:?}");
}

#[tokio::test]
async fn a_slash_opens_the_search_but_is_typed_inside_a_field() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = at_the_users(&server).await else { return };
    visitor.type_keys("/").await;
    assert_eq!(focus(&visitor).await, "palette");
    visitor.type_keys("a/b").await;
    let typed = visitor.run("return document.activeElement.value", vec![]).await;
    assert_eq!(typed, json!("a/b"));
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn keys_lead_to_pages_and_move_through_rows() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = at_the_users(&server).await else { return };
    let row = "const row = document.activeElement.closest('tbody tr');
               return [[...document.querySelectorAll('tbody tr')].indexOf(row), row?.querySelector('.tick input').checked];";
    visitor.type_keys("jjjkx").await;
    assert_eq!(visitor.run(row, vec![]).await, json!([1, true]));
    let href = visitor.run("return document.activeElement.getAttribute('href')", vec![]).await;
    let name = visitor.run("return document.activeElement.textContent.trim()", vec![]).await;
    visitor.type_keys("?").await;
    visitor.sees("Keyboard shortcuts").await;
    // The page behind the dialog gets no keys.
    visitor.type_keys("gc").await;
    visitor.type_keys(Key::Escape + "").await;
    let is_open = "return document.getElementById('keys').open";
    assert_eq!(visitor.run(is_open, vec![]).await, Value::Bool(false));
    assert_eq!(visitor.run(row, vec![]).await, json!([1, true]), "the focus is lost");
    visitor.type_keys(Key::Enter + "").await;
    visitor.sees(name.as_str().unwrap()).await;
    visitor.sees("Can chat").await;
    assert_eq!(json!(visitor.path().await), href);
    visitor.run(START_AT_THE_TOP, vec![]).await;
    visitor.type_keys("gl").await;
    visitor.sees("Show sums").await;
    assert_eq!(visitor.path().await, "/admin/ledger/");
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_slash_does_nothing_if_single_key_shortcuts_are_switched_off() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = at_the_users(&server).await else { return };
    visitor.open("/admin/settings/").await;
    visitor.element("#shortcuts").await.click().await.unwrap();
    visitor.press("Save").await;
    visitor.sees("Settings saved.").await;
    visitor.open("/admin/users/").await;
    visitor.run(START_AT_THE_TOP, vec![]).await;
    visitor.type_keys("/jgl?").await;
    assert!(!["palette", "search of everything", "table"].contains(&focus(&visitor).await.as_str()));
    assert_eq!(visitor.path().await, "/admin/users/");
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_page_that_is_a_form_lets_one_type_at_once() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = at_the_users(&server).await else { return };
    visitor.open(&format!("/admin/users/{}/adjust/", demo.user)).await;
    visitor.type_keys("5").await;
    let amount = "return document.getElementById('amount').value";
    assert_eq!(visitor.run(amount, vec![]).await, json!("5"));
    visitor.fill(&[("amount", "a lot"), ("reason", "A gift")]).await;
    visitor.press("Adjust balance").await;
    visitor.sees("Please correct this").await;
    let summary = "return document.activeElement.className";
    assert_eq!(visitor.run(summary, vec![]).await, json!("error-summary"));
}
