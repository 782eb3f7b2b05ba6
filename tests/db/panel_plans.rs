//! The query plans of the panel's pages on SQLite: a scan goes in the order of a table or an index
//! and to a limit, and only small results are sorted.

use tollgate::panel::SECTIONS;

use super::plans::{explain, sent_to, watch};
use crate::support::app::TestApp;
use crate::support::ledger::{open, raw};
use crate::support::{On, TestDatabase};

/// The tables that grow with use.
const LARGE: [&str; 6] = ["users", "auth_tokens", "chats", "ledger_entries", "audit_log", "user_balances"];

/// The pages other than the start pages of the sections.
const PAGES: [&str; 24] = [
    "/admin/users/?sort=name",
    "/admin/users/?sort=-joined&last=1",
    "/admin/users/?sort=balance&after=10~1",
    "/admin/users/?sort=-last_login&before=2020-01-01T00:00:00~1",
    "/admin/users/?active=no&sort=name",
    "/admin/users/?staff=yes&balance=low&sort=joined",
    "/admin/users/?balance=zero&sort=balance&facets=1",
    "/admin/users/?joined=7days&sort=joined",
    "/admin/users/?q=ada&sort=balance",
    "/admin/users/?q=a&sort=name",
    "/admin/users/1/",
    "/admin/users/1/history/",
    "/admin/chats/?user=ada",
    "/admin/chats/?state=failed",
    "/admin/chats/?state=failed&reason=x",
    "/admin/chats/?reason=x&user=ada&q=hello",
    "/admin/chats/?q=hello&date=today",
    "/admin/chats/1/",
    "/admin/holds/?overdue=no",
    "/admin/auth-tokens/?user=ada&state=live&facets=1",
    "/admin/auth-tokens/?q=tg_&kind=named",
    "/admin/ledger/?kind=refund&user=ada&date=today&sums=1",
    "/admin/history/?action=sign_in&actor=root&date=7days",
    "/admin/search/?q=1",
];

/// Returns the large table that this step of a plan scans, if any.
fn scanned(step: &str) -> Option<&'static str> {
    let name = step.strip_prefix("SCAN ")?.split_whitespace().next()?;
    LARGE.into_iter().find(|table| *table == name)
}

#[actix_web::test]
async fn no_page_of_the_panel_reads_a_whole_table() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    open(database.url(), 1).migrate().unwrap();
    let url = database.url().to_owned();
    watch(&database);
    let app = TestApp::spawn_on(database, &[]).await;
    let token = app.user("ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    app.hold(&token).await;
    let root = app.superuser("root").await;
    app.catch_up().await;
    root.submit("/admin/chats/1/refund/", &[("reason", "x")]).await.assert_status(303);
    let sections = SECTIONS.iter().map(|section| section.path);
    for page in sections.chain(PAGES) {
        root.get(page).await.assert_status(200);
    }
    let sent = sent_to(app.database());
    assert!(sent.len() > 80, "only {} statements were sent", sent.len());
    let mut conn = raw(On::Sqlite, &url);
    let selects =
        sent.iter().filter(|statement| statement.starts_with("SELECT") && !statement.contains("(1=0)"));
    for statement in selects {
        let steps = explain(&mut conn, statement);
        for (place, step) in steps.iter().enumerate() {
            let Some(table) = scanned(step) else { continue };
            // A scan in the order of the table or of an index, even of one with few rows, ends at
            // its limit. A sort would have to read everything.
            let is_in_order = statement.contains("ORDER BY") || step.contains("USING ");
            let is_walk = is_in_order && statement.contains("LIMIT");
            let is_sorted = steps.iter().skip(place).any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
            assert!(is_walk && !is_sorted, "{table}: {steps:#?}: {statement}");
        }
    }
}
