//! The home page: its figures fit their cards on every screen, and it keeps itself up to date.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};

use super::demo::{Demo, SUPERUSER};
use super::visitor::{Screen, Visitor};
use crate::support::server::Server;

/// Names and amounts that are as wide as they can be.
const HOSTILE: &str = "
    UPDATE users SET username = 'WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW' WHERE id = 3;
    UPDATE users SET username = 'דוד-לוי' WHERE id = 4;
    UPDATE users SET username = '王小明王小明王小明王小明王小明王小明王小明王小明' WHERE id = 5;
    UPDATE users SET username = 'customer+billing.department@long.example.com' WHERE id = 6;
    UPDATE users SET tokens = tokens + 8999999999000000 WHERE id = 3;
    INSERT INTO ledger_entries (user_id, amount, balance_after, kind, created_at, operation_id, actor_id, note)
    SELECT id, 8999999999000000, tokens, 'adjustment', strftime('%Y-%m-%d %H:%M:%f', 'now'), randomblob(16), 1,
           'Compensation' FROM users WHERE id = 3;
    INSERT INTO audit_log (created_at, actor_id, action, object_kind, object_id, user_id, changes, note, address)
    SELECT strftime('%Y-%m-%d %H:%M:%f', 'now'), 1, 'adjust', 'user', id, id,
           '[{\"field\":\"tokens\",\"before\":\"4000\",\"after\":\"8999999999004000\"}]',
           'Wegen der langen Unterbrechung am Donnerstag, Aktenzeichen 4711-0815', '' FROM users WHERE id IN (3, 4, 5, 6);";

/// Reports what sticks out of its card, and cards that overlap.
const FIGURES_OUT_OF_PLACE: &str = r#"
    const out = [];
    const boxes = [...document.querySelectorAll('.number-card')].map((card) => [card, card.getBoundingClientRect()]);
    for (const [card, box] of boxes) {
        for (const part of card.querySelectorAll('a, .change, .label, svg')) {
            const own = part.getBoundingClientRect();
            if (own.right > box.right + 0.5 || own.left < box.left - 0.5 || part.scrollWidth > part.clientWidth + 1 && part.clientWidth > 0)
                out.push(`${part.outerHTML.slice(0, 120)} leaves its card`);
        }
        for (const [other, another] of boxes)
            if (other !== card && box.left < another.right && another.left < box.right && box.top < another.bottom && another.top < box.bottom)
                out.push('two cards overlap');
    }
    if (boxes.length < 4) out.push('there are no cards');
    const width = document.documentElement.scrollWidth;
    if (width > arguments[0]) out.push(`the page is ${width} px wide`);
    return out;
"#;

async fn home_of(server: &Server) -> Option<Visitor> {
    let visitor = Visitor::arrive(server.address(), true, Screen::Wide).await?;
    visitor.sign_in(SUPERUSER).await;
    Some(visitor)
}

#[tokio::test]
async fn figures_fit_their_cards_from_320_px_up_with_any_amount() {
    let Some(demo) = Demo::write() else { return };
    let mut conn = SqliteConnection::establish(demo.database.url()).unwrap();
    conn.batch_execute(HOSTILE).unwrap();
    drop(conn);
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = home_of(&server).await else { return };
    visitor.open_until("/admin/", "8.9").await;
    for width in [1440, 1366, 1024, 768, 640, 390, 320] {
        visitor.set_width(width).await;
        let found = visitor.run(FIGURES_OUT_OF_PLACE, vec![json!(width)]).await;
        assert_eq!(found, json!([]), "at {width} px");
    }
}

#[tokio::test]
async fn the_page_updates_itself_without_disturbing_anybody() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let token = server.user("newcomer");
    let Some(visitor) = home_of(&server).await else { return };
    visitor.open_until("/admin/", "Needs attention").await;
    visitor.unfold("Show as a table").await;
    visitor.run("document.querySelector('#recent-section a').focus()", vec![]).await;
    let number = "return document.querySelector('.number-card .value').title";
    let before = visitor.run(number, vec![]).await;
    server.chat(&token, "Hello");
    let began = Instant::now();
    while visitor.run(number, vec![]).await == before {
        assert!(began.elapsed() < Duration::from_secs(40), "the page never changes from {before}");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let state = "return [document.querySelector('#messages-section details').open,
                         !!document.activeElement.closest('#recent-section')]";
    assert_eq!(visitor.run(state, vec![]).await, json!([true, true]), "what was open or focused is lost");
    // The choice is remembered.
    visitor.press("Pause updates").await;
    visitor.open("/admin/").await;
    visitor.sees("Resume updates").await;
    let paused = visitor.run(number, vec![]).await;
    server.chat(&token, "Hello again");
    tokio::time::sleep(Duration::from_secs(17)).await;
    assert_eq!(visitor.run(number, vec![]).await, paused, "it was paused");
    visitor.press("Resume updates").await;
    let began = Instant::now();
    while visitor.run(number, vec![]).await == paused {
        assert!(began.elapsed() < Duration::from_secs(20), "it does not go on");
        tokio::time::sleep(Duration::from_millis(250)).await;
    }
    let is_there = visitor.run("return !!document.querySelector('[data-pause]')", vec![]).await;
    assert_eq!(is_there, Value::Bool(true));
    assert_eq!(visitor.console().await, Vec::<String>::new());
}
