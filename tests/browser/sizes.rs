//! The pages of users and chats fit on the screens that they are made for, whatever users are
//! called and however much they have.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};

use super::demo::{Demo, SUPERUSER};
use super::visitor::{Screen, Visitor};
use crate::support::server::Server;

/// The highest balance in the tests: 9·10¹⁵ tokens.
const RICH: i64 = 9_000_000_000_000_000;

/// Names of users: a wide one, in Arabic, in Chinese, and an e-mail address.
const NAMES: [&str; 4] = [
    "WWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWWW",
    "\u{639}\u{628}\u{62F}\u{627}\u{644}\u{631}\u{62D}\u{645}\u{646}\u{639}\u{628}\u{62F}\u{627}\u{644}\u{644}\u{647}",
    "\u{738B}\u{5C0F}\u{660E}\u{738B}\u{5C0F}\u{660E}\u{738B}\u{5C0F}\u{660E}\u{738B}\u{5C0F}\u{660E}",
    "a.very.long.address+of.somebody@mail.department.example",
];

const TABS: [&str; 5] = ["activity", "statement", "chats", "auth-tokens", "security"];

/// Every eighth person of the demo has many chats. Gives these users the hostile names and amounts,
/// and returns their ids.
fn make_hostile(demo: &Demo) -> [i64; 4] {
    let ids = [0, 8, 16, 24].map(|person| demo.user + person);
    let mut connection = SqliteConnection::establish(demo.database.url()).unwrap();
    connection.batch_execute("DROP TRIGGER ledger_entries_refuse_update").unwrap();
    for (id, name) in ids.iter().zip(NAMES) {
        let text = format!("{} {}", name.repeat(3), "\u{5E9}\u{5DC}\u{5D5}\u{5DD} ".repeat(30));
        let changes = format!(r#"[{{"field":"username","before":"{name}","after":"{name}"}}]"#);
        let sql = format!(
            "UPDATE users SET username = '{name}', username_canonical = '{name}', tokens = {RICH} WHERE id = {id};
             UPDATE ledger_entries SET balance_after = {RICH}, note = substr('{text}', 1, 200) WHERE user_id = {id};
             UPDATE ledger_entries SET amount = {RICH} WHERE user_id = {id} AND kind = 'adjustment';
             UPDATE chats SET message = '{text}' WHERE user_id = {id};
             UPDATE audit_log SET changes = '{changes}', note = substr('{text}', 1, 200) WHERE user_id = {id};
             UPDATE auth_tokens SET name = substr('{text}', 1, 100) WHERE user_id = {id} AND name IS NOT NULL;"
        );
        connection.batch_execute(&sql).unwrap();
    }
    ids
}

/// The height of the page and its width, and the amounts that are cut off.
const MEASURE: &str = r#"
    const page = document.documentElement;
    const cut = [...document.querySelectorAll('.amount, td.number')]
        .filter((amount) => amount.scrollWidth > amount.clientWidth + 1 && getComputedStyle(amount).overflowX !== 'visible');
    return [page.scrollHeight, Math.max(page.scrollWidth, document.body.scrollWidth), cut.map((amount) => amount.outerHTML)];
"#;

async fn measure(visitor: &Visitor) -> (u64, u64, Value) {
    let sizes = visitor.run(MEASURE, vec![]).await;
    (sizes[0].as_u64().unwrap(), sizes[1].as_u64().unwrap(), sizes[2].clone())
}

#[tokio::test]
async fn a_users_page_fits_on_one_screen_and_on_two_of_a_phone() {
    let Some(demo) = Demo::write() else { return };
    let ids = make_hostile(&demo);
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    let mut faults = Vec::new();
    for (width, height, most) in [
        (1440, 900, 900),
        (1366, 768, 2000),
        (1024, 768, 2000),
        (768, 1024, 2000),
        (390, 844, 2 * 844),
        (320, 844, 2500),
    ] {
        visitor.set_size(width, height).await;
        // The superuser's own page has sessions.
        for id in ids.into_iter().chain([1]) {
            for tab in TABS {
                visitor.open(&format!("/admin/users/{id}/?tab={tab}")).await;
                let (tall, wide, cut) = measure(&visitor).await;
                let page = format!("{tab} of user {id} at {width} px");
                if tall > most {
                    faults.push(format!("{page} is {tall} px high, more than {most}"));
                }
                if wide > u64::from(width) {
                    faults.push(format!("{page} is {wide} px wide"));
                }
                if cut != json!([]) {
                    faults.push(format!("{page} cuts amounts off: {cut}"));
                }
            }
        }
    }
    assert!(faults.is_empty(), "{faults:#?}");
}

#[tokio::test]
async fn a_chats_page_begins_with_the_text_on_every_screen() {
    let Some(demo) = Demo::write() else { return };
    make_hostile(&demo);
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    let places = r#"
        const top = (selector) => document.querySelector(selector).getBoundingClientRect().top;
        const box = document.querySelector('.talk').getBoundingClientRect();
        const facts = document.querySelector('.workplace > .aside').getBoundingClientRect();
        return [top('#message'), facts.left >= box.right, facts.top >= box.bottom];
    "#;
    for (width, height) in [(1440, 900), (1366, 768), (1024, 768), (768, 1024), (390, 844), (320, 844)] {
        visitor.set_size(width, height).await;
        for chat in [demo.chat, demo.refunded, demo.hold, demo.failed, demo.settled] {
            visitor.open(&format!("/admin/chats/{chat}/")).await;
            let (_, wide, cut) = measure(&visitor).await;
            assert!(wide <= u64::from(width), "chat {chat} is {wide} px wide at {width} px");
            assert_eq!(cut, json!([]), "chat {chat} at {width} px");
            let seen = visitor.run(places, vec![]).await;
            let below = seen[0].as_f64().unwrap();
            assert!(below < 400.0, "the message of chat {chat} begins at {below} px at {width} px");
            // The facts are beside the text where there is room, and otherwise below it.
            let expected = [json!(width > 1200), json!(width <= 1200)];
            assert_eq!([&seen[1], &seen[2]], [&expected[0], &expected[1]], "chat {chat} at {width} px");
        }
    }
}
