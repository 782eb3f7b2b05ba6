//! What the script adds to pages that work without it, and the theme that an administrator chooses.

use serde_json::{Value, json};
use thirtyfour::prelude::*;

use super::demo::{Demo, SUPERUSER};
use super::inspection::Faults;
use super::visitor::{Screen, Visitor, patiently};
use crate::support::server::Server;

async fn signed_in(server: &Server) -> Option<Visitor> {
    let visitor = Visitor::arrive(server.address(), true, Screen::Wide).await?;
    visitor.sign_in(SUPERUSER).await;
    Some(visitor)
}

#[tokio::test]
async fn rows_are_ticked_all_at_once_and_by_range() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = signed_in(&server).await else { return };
    visitor.open_until("/admin/users/", "60 users").await;
    visitor.element("[data-select-all]").await.click().await.unwrap();
    visitor.sees("50 of 50 selected").await;
    visitor.element("[data-select-all]").await.click().await.unwrap();
    visitor.sees("0 of 50 selected").await;
    let click = "const boxes = document.querySelectorAll('input[name=\"id\"]');
                 boxes[2].click();
                 boxes[6].dispatchEvent(new MouseEvent('click', {bubbles: true, shiftKey: true}));";
    visitor.run(click, vec![]).await;
    visitor.sees("5 of 50 selected").await;
    visitor.press("Go").await;
    visitor.sees("5 users, ticked one by one").await;
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn usernames_are_suggested_while_typing() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = signed_in(&server).await else { return };
    visitor.open_until("/admin/users/", "60 users").await;
    visitor.open("/admin/auth-tokens/add/").await;
    visitor.fill(&[("user", "amel")]).await;
    let options = "return [...document.querySelectorAll('datalist option')].map((option) => option.value)";
    let suggested = patiently(async || {
        let names = visitor.run(options, vec![]).await;
        (names == json!([demo.name])).then_some(())
    });
    assert!(suggested.await.is_some(), "{}", visitor.run(options, vec![]).await);
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn an_auth_token_is_cut_before_it_gets_into_an_address() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = signed_in(&server).await else { return };
    let token = format!("tg_{}", "a1-_Z".repeat(9));
    let value = |field: &str| format!("return document.getElementById('{field}').value");
    for (path, field) in [("/admin/chats/", "q"), ("/admin/auth-tokens/", "filter-user-text")] {
        visitor.open(path).await;
        let paste = "const box = document.getElementById(arguments[0]);
                     box.value = `see ${arguments[1]}, please`;
                     box.dispatchEvent(new Event('input', { bubbles: true }));";
        visitor.run(paste, vec![json!(field), json!(token)]).await;
        assert_eq!(visitor.run(&value(field), vec![]).await, json!("see tg_a1-_Za1, please"), "{path}");
        // A browser may fill in a box without any event.
        let fill = "const box = document.getElementById(arguments[0]);
                    box.value = arguments[1];
                    box.form.addEventListener('submit', (event) => event.preventDefault());
                    box.form.requestSubmit();";
        visitor.run(fill, vec![json!(field), json!(token)]).await;
        assert_eq!(visitor.run(&value(field), vec![]).await, json!("tg_a1-_Za1"), "{path}");
    }
    // A form that is not in the address may need the whole text.
    visitor.open("/admin/users/add/").await;
    visitor.fill(&[("password", &token)]).await;
    assert_eq!(visitor.run(&value("password"), vec![]).await, json!(token));
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn the_menu_is_filtered_and_closes_with_escape() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = signed_in(&server).await else { return };
    visitor.element("[data-filter]").await.send_keys("led").await.unwrap();
    let places = "return [...document.querySelectorAll('#places li:not([hidden])')].map((li) => li.textContent.trim())";
    assert_eq!(visitor.run(places, vec![]).await, json!(["Ledger"]));
    visitor.unfold(SUPERUSER).await;
    visitor.sees("Sign out").await;
    visitor.type_keys(Key::Escape + "").await;
    let is_open = "return document.querySelector('.account').open";
    assert_eq!(visitor.run(is_open, vec![]).await, Value::Bool(false));
    let focused = visitor.run("return document.activeElement.textContent.trim()", vec![]).await;
    assert_eq!(focused, json!(SUPERUSER), "the focus is lost");
}

#[tokio::test]
async fn a_verification_is_started_and_its_end_is_shown_without_a_reload() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = signed_in(&server).await else { return };
    visitor.press("Verify the ledger now").await;
    visitor.sees("the ledger is in order").await;
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

#[tokio::test]
async fn a_chosen_theme_overrides_the_systems() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = signed_in(&server).await else { return };
    let mut faults = Faults::default();
    let ground = "return getComputedStyle(document.body).backgroundColor";
    let light = visitor.run(ground, vec![]).await;
    for (theme, system) in [("Dark", "light"), ("Light", "dark")] {
        visitor.prefer(system).await;
        visitor.open("/admin/settings/").await;
        visitor.element("#theme").await.send_keys(theme).await.unwrap();
        visitor.press("Save").await;
        visitor.sees("Settings saved.").await;
        let is_light = visitor.run(ground, vec![]).await == light;
        assert_eq!(is_light, theme == "Light", "{theme} on a system that is {system}");
        faults.check_access(&visitor, "settings", &format!("{theme} on {system}")).await;
    }
    faults.judge(2);
}
