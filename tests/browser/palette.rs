//! The search of everything while one types.

use serde_json::json;
use thirtyfour::prelude::*;

use super::demo::{Demo, SUPERUSER};
use super::inspection::Faults;
use super::visitor::{Screen, Visitor};
use crate::support::server::Server;

#[tokio::test]
async fn the_palette_finds_while_one_types_and_is_used_by_keyboard() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    visitor.open_until("/admin/users/", "60 users").await;
    visitor.type_keys(Key::Control + "k").await;
    visitor.type_keys("adjust amel").await;
    visitor.sees("Adjust the balance of").await;
    let mut faults = Faults::default();
    faults.check_access(&visitor, "palette", "with results").await;
    faults.judge(1);
    let chosen = "const input = document.getElementById('palette-q');
                  const option = document.getElementById(input.getAttribute('aria-activedescendant') ?? '');
                  return [option?.textContent.trim() ?? null, option?.getAttribute('aria-selected') ?? null];";
    assert_eq!(visitor.run(chosen, vec![]).await, json!([null, null]));
    visitor.type_keys(Key::Down + "").await;
    let label = format!("Adjust the balance of {}", demo.name);
    assert_eq!(visitor.run(chosen, vec![]).await, json!([label, "true"]));
    visitor.type_keys(Key::Escape + "").await;
    let is_open = "return document.querySelector('.palette').open";
    assert_eq!(visitor.run(is_open, vec![]).await, json!(false));
    visitor.type_keys(Key::Control + "k").await;
    visitor.type_keys(Key::Down + "").await;
    visitor.type_keys(Key::Enter + "").await;
    visitor.sees("Reason").await;
    assert_eq!(visitor.path().await, format!("/admin/users/{}/adjust/", demo.user));
    assert_eq!(visitor.console().await, Vec::<String>::new());
}
