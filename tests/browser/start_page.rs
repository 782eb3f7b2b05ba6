//! The start page and the documentation: lines are copied one by one, whole, and never wrap.

use serde_json::{Value, json};

use super::visitor::{Screen, Visitor, patiently};
use crate::support::html::copied;
use crate::support::server::Server;
use crate::support::{On, TestDatabase};

const FLAGS: [&str; 6] = [
    "--site-title",
    "The chats of the institute",
    "--site-notice",
    "Ask ada@example.org for an account. New tokens come on the first of each month.",
    "--top-up",
    "https://shop.example/top-up",
];

/// Notes what is copied instead of copying it: a browser without a window has no clipboard.
const NOTE_COPIES: &str = "
    window.copied = [];
    Object.defineProperty(navigator, 'clipboard', { value: { writeText: async (text) => { copied.push(text); } } });";

/// Presses each button with the label *Copy*, and returns how many there were.
const PRESS_ALL: &str = "
    const buttons = [...document.querySelectorAll('.line .copy')];
    for (const button of buttons) button.click();
    return buttons.length;";

/// Returns the lines that have wrapped: those that are higher than their number of lines.
const WRAPPED: &str = "
    return [...document.querySelectorAll('.line pre')].filter((pre) => {
        const height = parseFloat(getComputedStyle(pre).lineHeight);
        const code = pre.querySelector('code').getBoundingClientRect().height;
        return code > height * (pre.textContent.split('\\n').length + 0.5);
    }).map((pre) => pre.textContent);";

async fn start(screen: Screen) -> Option<(TestDatabase, Server, Visitor)> {
    let database = TestDatabase::create(On::Sqlite)?;
    let server = Server::start(&database, &FLAGS);
    let visitor = Visitor::arrive(server.address(), true, screen).await?;
    Some((database, server, visitor))
}

#[tokio::test]
async fn each_line_has_a_button_that_copies_it_whole() {
    let Some((_database, server, visitor)) = start(Screen::Wide).await else { return };
    for path in ["/", "/docs/clients/"] {
        visitor.open(path).await;
        visitor.run(NOTE_COPIES, vec![]).await;
        let pressed = visitor.run(PRESS_ALL, vec![]).await;
        let html = server.client().send("GET", path, &[], b"").unwrap().text();
        let expected = copied(&html);
        assert_eq!(pressed, json!(expected.len()), "{path}");
        let noted = patiently(async || {
            let noted = visitor.run("return window.copied", vec![]).await;
            (noted.as_array()?.len() == expected.len()).then_some(noted)
        });
        assert_eq!(noted.await, Some(json!(expected)), "{path}");
        visitor.sees("Copied").await;
        let names = "return [...document.querySelectorAll('.line .copy')].every((b) => b.getAttribute('aria-label').startsWith('Copy '))";
        assert_eq!(visitor.run(names, vec![]).await, Value::Bool(true));
    }
    assert_eq!(visitor.console().await, Vec::<String>::new());
}

/// A page over plain http, other than of this machine, has no clipboard.
#[tokio::test]
async fn lines_are_copied_without_a_clipboard_too() {
    let Some((_database, _server, visitor)) = start(Screen::Wide).await else { return };
    visitor.open("/").await;
    let prepare = "
        Object.defineProperty(navigator, 'clipboard', { value: undefined });
        document.execCommand = (command) => {
            window.copied = [command, document.activeElement.value];
            return true;
        };";
    visitor.run(prepare, vec![]).await;
    let press = "const button = document.querySelector('.line .copy');
                 button.focus();
                 button.click();
                 return document.querySelector('.line pre').dataset.copy;";
    let line = visitor.run(press, vec![]).await;
    visitor.sees("Copied").await;
    assert_eq!(visitor.run("return window.copied", vec![]).await, json!(["copy", line]));
    let focused = "return document.activeElement.matches('.copy') && !document.querySelector('textarea')";
    assert_eq!(
        visitor.run(focused, vec![]).await,
        Value::Bool(true),
        "the focus is back, and nothing is left"
    );
}

#[tokio::test]
async fn no_line_wraps_and_no_page_is_wider_than_the_screen() {
    let Some((_database, _server, visitor)) = start(Screen::Wide).await else { return };
    for path in ["/", "/docs/", "/docs/api/", "/docs/charges/", "/docs/clients/"] {
        for width in [1280, 768, 390, 320] {
            visitor.set_size(width, 844).await;
            visitor.open(path).await;
            assert_eq!(visitor.run(WRAPPED, vec![]).await, json!([]), "{path} at {width} px");
            let whole = "return Math.max(document.documentElement.scrollWidth, document.body.scrollWidth)";
            let whole = visitor.run(whole, vec![]).await.as_u64().unwrap();
            assert!(whole <= u64::from(width), "{path} is {whole} px wide at {width} px");
        }
    }
}

/// Without scripts there are no buttons: a click selects a line, and only that line.
#[tokio::test]
async fn a_click_selects_a_line_without_scripts() {
    let Some((_database, server, _)) = start(Screen::Wide).await else { return };
    let Some(visitor) = Visitor::arrive(server.address(), false, Screen::Phone).await else { return };
    visitor.open("/").await;
    visitor.sees("Ask ada@example.org for an account.").await;
    visitor.sees("Ready").await;
    let count = "return document.querySelectorAll('.line .copy').length";
    assert_eq!(visitor.run(count, vec![]).await, json!(0));
    visitor.element(".line code").await.click().await.unwrap();
    let selected = "return [String(getSelection()), document.querySelector('.line pre').dataset.copy]";
    let selected = visitor.run(selected, vec![]).await;
    assert_eq!(selected[0], selected[1]);
}
