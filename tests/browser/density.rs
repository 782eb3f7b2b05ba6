//! How much a list shows on a screen, with names and amounts that are as long as they can be.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use serde_json::{Value, json};

use super::demo::{Demo, SUPERUSER};
use super::visitor::{Screen, Visitor};
use crate::support::server::Server;

const LISTS: [&str; 7] = [
    "/admin/users/",
    "/admin/chats/",
    "/admin/holds/",
    "/admin/auth-tokens/",
    "/admin/ledger/",
    "/admin/bulk-operations/",
    "/admin/history/",
];

/// The widths that are measured, in CSS pixels.
const WIDTHS: [u32; 6] = [1440, 1366, 1024, 768, 390, 320];

/// Returns where the first row begins, how many rows are whole on the screen, how wide the page is,
/// and whether something scrolls to the side.
const MEASURE: &str = r#"
    scrollTo(0, 0);
    const rows = [...document.querySelectorAll('.list tbody tr')];
    const bar = document.querySelector('.actions');
    const bottom = bar ? Math.min(innerHeight, bar.getBoundingClientRect().top) : innerHeight;
    const whole = rows.filter((row) => row.getBoundingClientRect().bottom <= bottom + 0.5);
    const table = document.querySelector('.list');
    return {
        first: rows.length ? rows[0].getBoundingClientRect().top : 0,
        rows: rows.length,
        whole: whole.length,
        width: Math.max(document.documentElement.scrollWidth, document.body.scrollWidth),
        scrolls: table ? table.scrollWidth > table.clientWidth + 1 : false,
        heights: rows.map((row) => row.getBoundingClientRect().height),
        page: document.documentElement.scrollHeight,
    };
"#;

/// Sets the spacing that every page must bear (WCAG 1.4.12).
const SPACE_OUT: &str = r#"
    const sheet = new CSSStyleSheet();
    sheet.replaceSync(`* { line-height: 1.5 !important; letter-spacing: 0.12em !important; word-spacing: 0.16em !important; }
                       p { margin-bottom: 2em !important; }`);
    document.adoptedStyleSheets = [sheet];
"#;

/// Names what is wider than the window, unless it scrolls by itself.
const TOO_WIDE: &str = r#"
    const out = [];
    const whole = Math.max(document.documentElement.scrollWidth, document.body.scrollWidth);
    if (whole > innerWidth) out.push(`the page is ${whole} px wide`);
    const top = document.querySelector('.top');
    const boxes = [...top.children].filter((part) => part.getClientRects().length)
        .map((part) => [part, part.getBoundingClientRect()]);
    for (const [part, box] of boxes)
        for (const [other, another] of boxes)
            if (part !== other && box.left < another.right - 1 && another.left < box.right - 1 && box.width > 1 && another.width > 1)
                out.push(`${part.className} and ${other.className} overlap`);
    for (const menu of document.querySelectorAll('.account, .buttons .menu')) {
        menu.open = true;
        const box = menu.querySelector('ul').getBoundingClientRect();
        if (box.width > 0 && (box.left < 0 || box.right > innerWidth)) out.push(`the menu ${menu.textContent.trim().slice(0, 20)} is cut off`);
        menu.open = false;
    }
    return out;
"#;

fn execute(demo: &Demo, sql: &str) {
    let mut conn = SqliteConnection::establish(demo.database.url()).unwrap();
    conn.batch_execute(sql).unwrap();
}

/// Gives some users hostile names, and gives one as many tokens as there can be.
fn make_hostile(demo: &Demo) {
    let names = [
        "W".repeat(50),
        "دعم.العملاء.في.كل.مكان".to_owned(),
        "王小明王小明王小明王小明王小明".to_owned(),
        "customer+billing.department@a-long-company-name.example".chars().take(50).collect(),
    ];
    for (place, name) in names.iter().enumerate() {
        // Those of the latest chats, so that they are on the first page.
        let sql = format!(
            "UPDATE users SET username = '{name}', username_canonical = lower('{name}')
             WHERE id = (SELECT DISTINCT user_id FROM chats WHERE user_id > 2 ORDER BY user_id LIMIT 1 OFFSET {place})"
        );
        execute(demo, &sql);
    }
    execute(demo, "UPDATE users SET tokens = 9000000000000000 WHERE id = (SELECT max(user_id) FROM chats)");
    execute(demo, "UPDATE chats SET charge = 9000000000000000 WHERE id = (SELECT max(id) FROM chats)");
}

#[tokio::test]
async fn a_list_shows_twenty_rows_and_never_scrolls_to_the_side() {
    let Some(demo) = Demo::write() else { return };
    make_hostile(&demo);
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    let mut faults = Vec::new();
    for list in LISTS {
        for width in WIDTHS {
            visitor.set_size(width, 900).await;
            visitor.open(list).await;
            let seen = visitor.run(MEASURE, vec![]).await;
            let number = |name: &str| seen[name].as_f64().unwrap_or(f64::MAX);
            let what = format!("{list} at {width} px: {seen}");
            if number("width") > f64::from(width) {
                faults.push(format!("the page is too wide: {what}"));
            }
            if width >= 1024 && seen["scrolls"] == Value::Bool(true) {
                faults.push(format!("the table scrolls to the side: {what}"));
            }
            if width == 1440 && number("first") > 190.0 {
                faults.push(format!("the first row is too low: {what}"));
            }
            let enough = number("rows").min(20.0);
            if width == 1440 && number("whole") < enough && list != "/admin/history/" {
                faults.push(format!("too few rows are visible: {what}"));
            }
        }
    }
    faults.extend(faults_of_a_phone(&visitor).await);
    faults.extend(faults_of_paper(&visitor, &demo).await);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// Returns what is too high on a phone: 50 users take at most 4,000 px, and a row of a list 76.
async fn faults_of_a_phone(visitor: &Visitor) -> Vec<String> {
    let mut faults = Vec::new();
    visitor.set_size(390, 844).await;
    for list in LISTS {
        visitor.open(list).await;
        let seen = visitor.run(MEASURE, vec![]).await;
        let heights: Vec<f64> =
            seen["heights"].as_array().unwrap().iter().filter_map(Value::as_f64).collect();
        if !heights.iter().all(|height| (64.0..=76.5).contains(height)) {
            faults.push(format!("rows of {list} on a phone are {heights:?} px high"));
        }
        if list == "/admin/users/" {
            let (page, first) = (seen["page"].as_f64().unwrap(), seen["first"].as_f64().unwrap());
            if heights.len() != 50 || page > 4000.0 || first > 260.0 {
                faults
                    .push(format!("{} users take {page} px, the first begins at {first} px", heights.len()));
            }
        }
    }
    faults
}

/// Returns what is wrong with a statement on paper: its heading is there, black on white, and the
/// frame is not.
async fn faults_of_paper(visitor: &Visitor, demo: &Demo) -> Vec<String> {
    visitor.set_size(1024, 900).await;
    visitor.open(&format!("/admin/ledger/?user=%23{}", demo.user)).await;
    visitor.use_paper().await;
    let seen = "const shown = (css) => [...document.querySelectorAll(css)].some((e) => e.getClientRects().length > 0);
                const colours = getComputedStyle(document.body);
                return [shown('.paper'), shown('.list tbody tr'), shown('.top'), shown('.places'), shown('.list-bar'), shown('button'),
                        shown('.off-paper'), colours.color, colours.backgroundColor];";
    let found = visitor.run(seen, vec![]).await;
    visitor.prefer("light").await;
    let expected =
        json!([true, true, false, false, false, false, false, "rgb(0, 0, 0)", "rgb(255, 255, 255)"]);
    if found == expected { Vec::new() } else { vec![format!("a statement on paper: {found}")] }
}

#[tokio::test]
async fn nothing_is_wider_than_the_window_even_with_spaced_text() {
    let Some(demo) = Demo::write() else { return };
    make_hostile(&demo);
    let flags = ["--environment-label", "a label of thirty characters.."];
    let server = Server::start(&demo.database, &flags);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    let mut faults = Vec::new();
    let pages = [
        "/admin/".to_owned(),
        "/admin/users/".to_owned(),
        format!("/admin/users/{}/", demo.user),
        format!("/admin/users/{}/anonymise/", demo.user),
        "/admin/users/add/".to_owned(),
        format!("/admin/chats/{}/", demo.chat),
        "/admin/history/".to_owned(),
        format!("/admin/models/{}/", demo.model),
        "/admin/settings/".to_owned(),
    ];
    for path in pages {
        visitor.open(&path).await;
        visitor.run(SPACE_OUT, vec![]).await;
        for width in [1024, 900, 768, 641, 390, 320] {
            visitor.set_size(width, 844).await;
            let found = visitor.run(TOO_WIDE, vec![]).await;
            faults
                .extend(found.as_array().unwrap().iter().map(|what| format!("{path} at {width} px: {what}")));
        }
    }
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

#[tokio::test]
async fn the_whole_row_leads_to_its_page() {
    let Some(demo) = Demo::write() else { return };
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    visitor.open("/admin/users/?sort=name").await;
    let hit = "const cell = document.querySelector('.list tbody td[data-label=\"Joined\"]');
               const box = cell.getBoundingClientRect();
               const hit = document.elementFromPoint(box.left + box.width / 2, box.top + box.height / 2);
               return [hit.closest('a')?.getAttribute('href') ?? '', cell.closest('tr').querySelector('.main').getAttribute('href')];";
    let found = visitor.run(hit, vec![]).await;
    assert_eq!(found[0], found[1], "{found}");
    assert_ne!(found[1], json!(""));
    // Other links and the check box of the row keep their own effect.
    visitor.open("/admin/chats/").await;
    let own = "const link = document.querySelector('.list tbody td[data-label=\"User\"] a');
               const box = link.getBoundingClientRect();
               return document.elementFromPoint(box.left + 5, box.top + box.height / 2).closest('a') === link;";
    assert_eq!(visitor.run(own, vec![]).await, json!(true));
}

#[tokio::test]
async fn a_message_in_hebrew_begins_at_its_beginning() {
    let Some(demo) = Demo::write() else { return };
    execute(
        &demo,
        "UPDATE chats SET message = 'שלום, תוכל לסכם את המסמך הזה בשלוש נקודות? תודה רבה מראש על העזרה' \
         WHERE id = (SELECT max(id) FROM chats WHERE state = 'complete')",
    );
    let server = Server::start(&demo.database, &[]);
    let Some(visitor) = Visitor::arrive(server.address(), true, Screen::Wide).await else { return };
    visitor.sign_in(SUPERUSER).await;
    visitor.open("/admin/chats/?state=complete").await;
    let direction = "const cell = [...document.querySelectorAll('.excerpt')].find((e) => e.textContent.startsWith('שלום'));
                     return cell ? getComputedStyle(cell).direction : 'missing';";
    assert_eq!(visitor.run(direction, vec![]).await, json!("rtl"));
}
