//! The query plans of the panel's pages on SQLite: a scan goes in the order of a table or an index
//! and to a limit, and only small results are sorted.

use tollgate::panel::SECTIONS;

use super::plans::{explain, sent_to, watch};
use crate::support::app::TestApp;
use crate::support::ledger::{lines, open, raw};
use crate::support::panel::Page;
use crate::support::{On, TestDatabase};

/// The tables that stay small, or of which a page may read all. Any other table grows with use.
const SMALL: [&str; 11] = [
    "__diesel_schema_migrations",
    "chats_to_follow",
    "compatibility",
    "database_identity",
    "follower_marks",
    "index_owner",
    "models",
    "panel_columns",
    "panel_settings",
    "saved_views",
    "sessions",
];

/// Pages with several parameters. Those with one are the links and fields of each section.
const PAGES: [&str; 42] = [
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
    "/admin/users/?chatted=7days&balance=zero",
    "/admin/users/?chatted=never&sort=balance",
    "/admin/users/?tokens_from=1&sort=balance",
    "/admin/users/?tokens_to=1&sort=name",
    "/admin/users/1/",
    "/admin/users/1/?older=10~10~10",
    "/admin/users/1/?tab=statement",
    "/admin/users/1/?tab=chats",
    "/admin/users/1/?tab=auth-tokens",
    "/admin/users/1/?tab=security",
    "/admin/users/1/history/",
    "/admin/chats/?user=ada",
    "/admin/chats/?state=failed",
    "/admin/chats/?state=failed&reason=x",
    "/admin/chats/?reason=x&user=ada&q=hello",
    "/admin/chats/?q=hello&date=today",
    "/admin/chats/?endpoint=embeddings&date=today",
    "/admin/chats/?endpoint=embeddings&reason=x",
    "/admin/chats/?endpoint=messages&user=ada",
    "/admin/chats/?endpoint=none&state=pending",
    "/admin/chats/?endpoint=embeddings&user=ada&state=pending",
    "/admin/chats/1/",
    "/admin/holds/?overdue=no",
    "/admin/auth-tokens/?user=ada&state=live&facets=1",
    "/admin/auth-tokens/?q=tg_&kind=named",
    "/admin/ledger/?kind=refund&user=ada&date=today&sums=1",
    "/admin/ledger/?q=x&user=ada&date=today",
    "/admin/history/?action=sign_in&actor=root&date=7days",
    "/admin/history/?q=ada&date=today",
    "/admin/users/?q=da&sort=balance&active=yes",
    "/admin/search/?q=adjust+ada",
    "/admin/search/?q=1",
];

/// Returns the table that this step of a plan scans, unless it is small. `None` for a scan of a
/// subquery.
fn scanned(step: &str, tables: &[String]) -> Option<String> {
    let name = step.strip_prefix("SCAN ")?.split_whitespace().next()?;
    let name = name.trim_start_matches("main.").trim_start_matches("idx.");
    tables.iter().find(|table| *table == name && !SMALL.contains(&name)).cloned()
}

/// Returns the addresses that a list's own links and fields lead to: each sort, each choice of a
/// filter, each tab, and each user or word that can be typed.
fn narrowed(list: &Page, path: &str) -> Vec<String> {
    let links = list.links().into_iter().filter_map(|link| link.strip_prefix('?').map(str::to_owned));
    let fields = list.tags().into_iter().filter_map(|tag| {
        let id = tag.attribute("id")?;
        let name = id.strip_prefix("filter-")?.strip_suffix("-text")?;
        Some(format!("{name}=ada"))
    });
    let mut select = String::new();
    let options = list.tags().into_iter().filter_map(move |tag| {
        if tag.name == "select" {
            select = tag.attribute("name")?.to_owned();
        }
        let value = tag.attribute("value").filter(|value| tag.name == "option" && !value.is_empty())?;
        Some(format!("{select}={value}"))
    });
    links.chain(fields).chain(options).map(|query| format!("{path}?{query}")).collect()
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
    for section in SECTIONS {
        let list = root.get(section.path).await;
        list.assert_status(200);
        for page in narrowed(&list, section.path) {
            root.get(&page).await.assert_status(200);
        }
    }
    for page in PAGES {
        root.get(page).await.assert_status(200);
    }
    let sent = sent_to(app.database());
    assert!(sent.len() > 400, "only {} statements were sent", sent.len());
    let mut conn = raw(On::Sqlite, &url);
    let tables = lines(
        &mut conn,
        "SELECT name AS line FROM main.sqlite_schema WHERE type = 'table'
         UNION SELECT name FROM idx.sqlite_schema WHERE type = 'table'",
    );
    let selects =
        sent.iter().filter(|statement| statement.starts_with("SELECT") && !statement.contains("(1=0)"));
    for statement in selects {
        let steps = explain(&mut conn, statement);
        for (place, step) in steps.iter().enumerate() {
            let Some(table) = scanned(step, &tables) else { continue };
            // A scan in the order of the table or of an index, even of one with few rows, ends at
            // its limit. A sort would have to read everything.
            let is_in_order = statement.contains("ORDER BY") || step.contains("USING ");
            let is_walk = is_in_order && statement.contains("LIMIT");
            let is_sorted = steps.iter().skip(place).any(|step| step.contains("TEMP B-TREE FOR ORDER BY"));
            assert!(is_walk && !is_sorted, "{table}: {steps:#?}: {statement}");
        }
    }
}
