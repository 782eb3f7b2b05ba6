//! A tour of every page: accessible, without console messages, and no wider than the screen. If
//! `TOLLGATE_SCREENSHOTS` names a folder, it also takes screenshots (`scripts/screenshots`).

use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use super::demo::{Demo, STAFF, SUPERUSER};
use super::inspection::Faults;
use super::page::{Page, Who};
use super::pages::{before_the_first, of_a_busy_server, of_a_demo, of_a_fresh_server};
use super::visitor::{Screen, Visitor, patiently};
use crate::support::demo::{DemoServer, address};
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::{On, TestDatabase, require, temporary, wait};

/// Fills in a form of the page and submits it with a button, without the browser's validation: the
/// test is about what the server shows.
const SEND: &str = r#"
    const [fields, label] = arguments;
    for (const form of document.forms) form.noValidate = true;
    const buttons = [...document.querySelectorAll('main button')];
    const button = buttons.find((button) => button.textContent.trim() === label);
    if (!button) return `there is no button ${label}`;
    for (const [name, value] of fields) {
        const field = button.form.elements.namedItem(name);
        if (!field) return `there is no field ${name}`;
        if (field.type === 'checkbox') field.checked = true;
        else if (field.tagName === 'SELECT') field.add(new Option(value, value, true, true));
        else field.value = value;
    }
    button.click();
    return null;
"#;

/// An upstream that is never called.
const UPSTREAM: [&str; 3] = [
    "--responder=openai",
    "--upstream-url=http://127.0.0.1:9/v1",
    "--upstream-models=llama-3.1-8b,qwen2.5-32b,gemma-2-9b",
];

/// The browser, and the faults that were found so far.
struct Tour {
    visitor: Visitor,
    screen: Screen,
    /// The script is blocked: the pages are checked as served, and in one colour scheme.
    is_plain: bool,
    faults: Faults,
    pictures: Option<PathBuf>,
    who: Who,
}

/// Waits for the link that the server prints while there is no superuser, and returns its path.
pub fn first_run_link(server: &Server) -> String {
    wait::until("the first-run link", Duration::from_secs(10), || {
        let log = server.log();
        let (_, link) = log.split_once("/admin/first-run/")?;
        let (key, _) = link.split_once("/\n")?;
        Some(format!("/admin/first-run/{key}/"))
    })
}

impl Tour {
    async fn start(at: SocketAddr, has_scripts: bool, screen: Screen) -> Option<Tour> {
        // In a browser that blocks all scripts axe-core would not run either.
        let visitor = Visitor::arrive(at, true, screen).await?;
        if !has_scripts {
            visitor.block("*/static/admin.*").await;
        }
        let pictures = std::env::var_os("TOLLGATE_SCREENSHOTS").map(PathBuf::from).filter(|_| has_scripts);
        if let Some(folder) = &pictures {
            std::fs::create_dir_all(folder).unwrap();
        }
        Some(Tour {
            visitor,
            screen,
            is_plain: !has_scripts,
            faults: Faults::default(),
            pictures,
            who: Who::Guest,
        })
    }

    /// Signs in as another user, or signs out.
    async fn switch_to(&mut self, who: Who) {
        match who {
            _ if who == self.who => return,
            Who::Guest => self.visitor.forget_cookies().await,
            Who::Superuser => self.visitor.sign_in(SUPERUSER).await,
            Who::Staff => self.visitor.sign_in(STAFF).await,
        }
        self.who = who;
    }

    async fn show(&mut self, pages: &[Page]) {
        for page in pages {
            self.switch_to(page.who).await;
            self.go_to(page).await;
            self.check(page).await;
        }
    }

    async fn go_to(&self, page: &Page) {
        // Drops the console messages of the page before.
        self.visitor.console().await;
        self.visitor.open(&page.path).await;
        if let Some(button) = page.button {
            let answer = self.visitor.run(SEND, vec![json!(page.fields), json!(button)]).await;
            assert!(answer.is_null(), "{}: {answer}", page.name);
        }
        self.visitor.sees(page.says).await;
    }

    async fn check(&mut self, page: &Page) {
        let (visitor, faults) = (&self.visitor, &mut self.faults);
        // A phone has the content and the colours of a wide screen. Short runs measure it only.
        let is_thorough = require::proofs() || self.pictures.is_some();
        let has_axe = self.screen == Screen::Wide || is_thorough;
        let has_dark = !self.is_plain && has_axe && (page.has_folded || is_thorough);
        let schemes: &[&str] = if has_dark { &["light", "dark"] } else { &["light"] };
        for scheme in schemes.iter().copied() {
            visitor.prefer(scheme).await;
            let how = format!("{:?}, {scheme}", self.screen);
            match scheme {
                _ if !has_axe => faults.count_measured(),
                "light" => faults.check_access(visitor, &page.name, &how).await,
                _ => faults.check_colours(visitor, &page.name, &how).await,
            }
            let shown = match (self.screen, scheme) {
                (Screen::Wide, _) => Some(scheme),
                (_, "light") => Some("phone"),
                _ => None,
            };
            if let (Some(folder), Some(shown)) = (&self.pictures, shown) {
                visitor.picture(&Path::new(folder).join(format!("{}-{shown}.png", page.name))).await;
            }
        }
        if page.has_folded && !self.is_plain && has_axe {
            if has_dark {
                faults.check_folded(visitor, &page.name, "unfolded, dark").await;
            }
            visitor.prefer("light").await;
            faults.check_folded(visitor, &page.name, "unfolded, light").await;
        }
        visitor.prefer("light").await;
        faults.check_width(visitor, &page.name, self.screen).await;
        if self.screen == Screen::Phone {
            visitor.set_screen(Screen::Narrow).await;
            faults.check_width(visitor, &page.name, Screen::Narrow).await;
            visitor.set_screen(self.screen).await;
        }
        faults.check_console(visitor, &page.name, page.status).await;
    }
}

/// Waits until the follower has caught up with searches and balances.
async fn wait_for_the_follower(visitor: &Visitor) {
    visitor.sign_in(SUPERUSER).await;
    let caught_up = patiently(async || {
        visitor.open("/admin/chats/?q=photosynthesis").await;
        let chats = visitor.text().await;
        visitor.open("/admin/users/?sort=balance").await;
        let users = visitor.text().await;
        let is_behind = chats.contains("is catching up") || users.contains("not in this list yet");
        (!is_behind).then_some(())
    });
    assert!(caught_up.await.is_some(), "the follower does not catch up");
}

#[rstest]
#[case::wide(Screen::Wide, true)]
#[case::phone(Screen::Phone, true)]
#[case::without_scripts(Screen::Phone, false)]
#[tokio::test]
async fn every_page_of_a_busy_server_is_accessible(#[case] screen: Screen, #[case] has_scripts: bool) {
    let Some(demo) = Demo::write() else { return };
    assert_verified(&demo.database);
    let folder = temporary::directory();
    let mut flags = UPSTREAM.to_vec();
    flags.extend(["--backup-dir", folder.path().to_str().unwrap()]);
    let server = Server::start(&demo.database, &flags);
    let Some(mut tour) = Tour::start(server.address(), has_scripts, screen).await else { return };
    wait_for_the_follower(&tour.visitor).await;
    tour.visitor.open_until("/admin/backups/", "checked").await;
    let pages = of_a_busy_server(&demo);
    tour.show(&pages).await;
    tour.faults.judge(pages.len());
    drop(server);
    assert_verified(&demo.database);
}

#[rstest]
#[case::wide(Screen::Wide)]
#[case::phone(Screen::Phone)]
#[tokio::test]
async fn every_page_of_a_fresh_server_is_accessible(#[case] screen: Screen) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    let link = first_run_link(&server);
    let Some(mut tour) = Tour::start(server.address(), true, screen).await else { return };
    let before = before_the_first(&link);
    tour.show(&before).await;
    tour.visitor.open(&link).await;
    tour.visitor.fill(&[("username", SUPERUSER), ("password", PASSWORD), ("again", PASSWORD)]).await;
    tour.visitor.press("Create and sign in").await;
    tour.visitor.sees("Recent actions").await;
    tour.who = Who::Superuser;
    let after = of_a_fresh_server(&link);
    tour.show(&after).await;
    tour.faults.judge(before.len() + after.len());
}

/// What a newcomer sees who has started `tollgate demo`. Its users write in several scripts.
#[rstest]
#[case::wide(Screen::Wide)]
#[case::phone(Screen::Phone)]
#[tokio::test]
async fn the_pages_of_a_demo_are_accessible(#[case] screen: Screen) {
    let demo = DemoServer::spawn(&["--json"]);
    let document = demo.document();
    let text = |key: &str| document[key].as_str().unwrap();
    let Some(mut tour) = Tour::start(address(text("panel")), true, screen).await else { return };
    tour.visitor.sign_in_with(text("username"), text("password")).await;
    tour.who = Who::Superuser;
    tour.visitor.open_until("/admin/chats/?q=photosynthesis", "Explain photosynthesis").await;
    tour.visitor.open_until("/admin/users/?balance=zero", "0").await;
    let pages = of_a_demo();
    tour.show(&pages).await;
    tour.faults.judge(pages.len());
}
