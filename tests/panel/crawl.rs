//! Every link leads to a page, and every form to a route that accepts it. This covers every page of
//! the panel, including responses to forms.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use rstest::rstest;

use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::Form;
use crate::support::panel::{Browser, ORIGIN, Page, encoded};
use crate::support::server::PASSWORD;

/// The number of addresses of one path, with different queries, that are opened.
const MOST_QUERIES: usize = 8;

/// The progress of the crawl.
struct Crawl<'a> {
    app: &'a TestApp,
    browser: Browser<'a>,
    /// Addresses to open, each with the page that links to it.
    waiting: VecDeque<(String, String)>,
    seen: BTreeSet<String>,
    queries: BTreeMap<String, usize>,
    /// One form for each action on the pages, with its initial values.
    forms: BTreeMap<String, Form>,
}

/// Replaces each number in a path by `{id}`.
fn pattern(path: &str) -> String {
    let path = path.split(['?', '#']).next().unwrap_or_default();
    let part = |part: &str| if part.parse::<i64>().is_ok() { "{id}".to_owned() } else { part.to_owned() };
    path.split('/').map(part).collect::<Vec<_>>().join("/")
}

/// Returns a link of a page as a full address, without its fragment.
fn absolute(page: &str, link: &str) -> String {
    let link = link.split('#').next().unwrap_or_default();
    let own = page.split('?').next().unwrap_or_default();
    match link.chars().next() {
        None => page.to_owned(),
        Some('?') => format!("{own}{link}"),
        Some(_) => link.to_owned(),
    }
}

impl<'a> Crawl<'a> {
    fn new(app: &'a TestApp, browser: Browser<'a>) -> Crawl<'a> {
        let (seen, queries, forms) = Default::default();
        Crawl {
            app,
            browser,
            waiting: VecDeque::from([("/admin/".to_owned(), String::new())]),
            seen,
            queries,
            forms,
        }
    }

    /// Opens everything that is reachable.
    async fn run(&mut self) {
        while let Some((path, from)) = self.waiting.pop_front() {
            let page = self.browser.get(&path).await;
            assert!(page.status() < 400, "{from} leads to {path}: {} {}", page.status(), page.text());
            if page.status() == 200 {
                self.look_at(&page).await;
            }
        }
    }

    /// Notes where a page leads, and sends each of its forms without the session's token: the
    /// form's route must return 403.
    async fn look_at(&mut self, page: &Page) {
        // Links within the page are not addresses.
        for link in page.links().into_iter().filter(|link| !link.starts_with('#')) {
            self.note(absolute(&page.path, &link), page);
        }
        // Only the page's script sends the forms of the reference: tests/browser/reference.rs.
        let has_own = page.path != "/docs/";
        for form in page.forms().into_iter().filter(|_| has_own) {
            if form.method != "post" {
                let own = form.action.split('?').next().unwrap_or_default();
                self.note(format!("{own}?{}", encoded(&form.fields)), page);
                continue;
            }
            if let Some(here) = form.field("here") {
                self.note(here.to_owned(), page);
            }
            let forged = self.browser.send(&form.clone().with(&[("csrf", "x")])).await;
            let (from, action) = (&page.path, &form.action);
            // A browser that is signed in already is led on by the form of the sign-in page.
            let is_refused =
                forged.status() == 403 || (forged.status() == 303 && action.ends_with("/sign-in/"));
            assert!(is_refused, "the form of {from} is sent to {action}: {}", forged.text());
            self.forms.entry(pattern(&form.action)).or_insert(form);
        }
    }

    fn note(&mut self, link: String, from: &Page) {
        let is_new = link.starts_with('/') && self.seen.insert(link.clone());
        let queries = self.queries.entry(pattern(&link)).or_default();
        if is_new && *queries < MOST_QUERIES {
            *queries += 1;
            self.waiting.push_back((link, from.path.clone()));
        }
    }

    /// Sends each form for real, and opens the pages that it leads to: those with errors, with
    /// questions for confirmation, and with messages. Returns all statuses.
    async fn send_everything(&mut self, fields: &[(&str, &str)]) -> BTreeSet<u16> {
        let mut statuses = BTreeSet::new();
        for form in self.forms.clone().into_values() {
            // An earlier form may have ended the session.
            if self.browser.get("/admin/settings/").await.status() != 200 {
                self.browser = Browser::signed_in(self.app, "root").await;
            }
            let csrf = self.browser.csrf().await;
            let boxes = form.boxes.first().map(|(name, value)| (name.as_str(), value.as_str()));
            let filled: Vec<_> =
                fields.iter().copied().chain(boxes).chain([("csrf", csrf.as_str())]).collect();
            let from = format!("{ORIGIN}{}", form.action);
            let sent = self.browser.form_request(&form.clone().with(&filled)).header("Referer", &from);
            let page = Page { answer: sent.send().await, path: form.action.clone() };
            let status = page.status();
            statuses.insert(status);
            assert!(
                ![404, 405].contains(&status) && status < 500,
                "{}: {status} {}",
                form.action,
                page.text()
            );
            if status == 303 {
                let to = page.location().to_owned();
                let there = self.browser.get(&to).await;
                assert!(there.status() < 400, "{} leads to {to}: {}", form.action, there.text());
                self.look_at(&there).await;
            } else {
                self.look_at(&page).await;
            }
        }
        self.run().await;
        statuses
    }
}

#[rstest]
#[actix_web::test]
async fn every_link_leads_to_a_page_and_every_form_is_accepted(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    app.sql("INSERT INTO verifications (started_at, finished_at) VALUES ('2026-01-01 00:00:00', '2026-01-01 00:00:00')");
    let mut crawl = Crawl::new(&app, root);
    // Pages that no link of this test leads to.
    for path in ["/admin/search/?q=ada", "/admin/users/?q=nobody", "/admin/chats/?q=zzz&user=nobody"] {
        crawl.waiting.push_back((path.to_owned(), "the test".to_owned()));
    }
    crawl.run().await;
    assert!(crawl.seen.len() > 100, "only {} addresses were found", crawl.seen.len());
    let actions: Vec<&String> = crawl.forms.keys().collect();
    assert!(actions.len() > 15, "{actions:?}");
    for path in ["/admin/nowhere/", "/admin/users/987654321/", "/admin/verify/"] {
        let page = crawl.browser.get(path).await;
        assert!([404, 405].contains(&page.status()), "{path}");
        crawl.look_at(&page).await;
    }
    // Once with the initial values, once with wrong values, and once for real.
    let mut statuses = crawl.send_everything(&[]).await;
    let wrong =
        [("amount", "much"), ("username", "two words"), ("page_size", "0"), ("name", ""), ("user", "x")];
    statuses.extend(crawl.send_everything(&wrong).await);
    let name = format!("user {}", world.user);
    let right = [
        ("amount", "5"),
        ("reason", "a reason"),
        ("name", name.as_str()),
        ("user", "ada"),
        ("own_password", PASSWORD),
        ("operation", "00000000000000000000000000000001"),
    ];
    statuses.extend(crawl.send_everything(&right).await);
    for status in [200, 303, 400] {
        assert!(statuses.contains(&status), "no form was answered with {status}: {statuses:?}");
    }
}

#[rstest]
#[actix_web::test]
async fn every_link_of_an_empty_panel_and_of_a_staff_members_panel_leads_to_a_page(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    Crawl::new(&app, root).run().await;
    let (_, _) = furnish(&app, "boss").await;
    let staff = app.staff("grace").await;
    let mut crawl = Crawl::new(&app, staff);
    crawl.run().await;
    assert!(crawl.seen.len() > 50, "only {} addresses were found", crawl.seen.len());
}
