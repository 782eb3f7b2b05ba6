//! A list returns a page for any query string: each parameter of each list, with values that match
//! nothing, cannot be parsed, or are as large as possible.

use std::collections::{BTreeMap, BTreeSet};

use rstest::rstest;
use url::form_urlencoded;

use super::route_table::gets;
use super::world::furnish;
use crate::support::On;
use crate::support::app::{TestApp, eventually};
use crate::support::dice::Dice;
use crate::support::panel::{Browser, Page};

/// Parameters that do not appear on any page while there are few rows.
const HIDDEN: [&str; 10] =
    ["q", "sort", "after", "before", "last", "rows", "facets", "sums", "list", "unknown"];

/// Values, as written in the query string.
fn values() -> Vec<String> {
    let fixed = [
        "",
        "nobody",
        "-1",
        "%23-1",
        "0",
        "9223372036854775807",
        "-9223372036854775808",
        "9223372036854775808",
        "%239223372036854775807",
        "%23-9223372036854775808",
        "-9223372036854775808~-9223372036854775808",
        "9223372036854775807~9223372036854775807",
        "2026-02-30T99:00:00~1",
        "9999-12-31T23:59:59.999999~1",
        "x~",
        "~",
        "0001-01-01",
        "9999-12-31",
        "-id",
        "%00",
        "a%00b",
        "%FF%FE",
        "%",
        "%F0%9F%98%80%E2%80%AE",
        "%27%22%3B--%5C%25_!",
        "u%3D-1%20s%3Dx",
    ];
    let words: String = (0..1_500).map(|number| format!("w{number}+")).collect();
    let long = ["x".repeat(10_000), "%C3%A9".repeat(2_000), words];
    fixed.into_iter().map(str::to_owned).chain(long).collect()
}

/// Returns the parameters in a page's own links and forms.
fn parameters(page: &Page) -> BTreeSet<String> {
    let queries = page.links().into_iter().filter_map(|link| Some(link.split_once('?')?.1.to_owned()));
    let names = queries.flat_map(|query| {
        let pairs = form_urlencoded::parse(query.as_bytes()).into_owned();
        pairs.map(|(name, _)| name).collect::<Vec<_>>()
    });
    let tags = page.tags().into_iter().filter(|tag| tag.name == "input");
    let inputs = tags.filter_map(|tag| tag.attribute("name").map(str::to_owned));
    let known = names.chain(inputs).filter(|name| !["csrf", "here", "all", "id"].contains(&name.as_str()));
    known.chain(HIDDEN.map(str::to_owned)).collect()
}

/// Returns whether a parameter accepts any value, and not only a choice.
fn is_free(name: &str) -> bool {
    let free = ["q", "sort", "after", "before", "rows", "user", "actor", "model", "reason"];
    free.contains(&name) || name.ends_with("_from") || name.ends_with("_to")
}

async fn assert_answered(root: &Browser<'_>, path: &str, query: &str) {
    let page = root.get(&format!("{path}?{query}")).await;
    let shown: String = query.chars().take(200).collect();
    assert!(page.status() < 500, "{path}?{shown} returned {}: {}", page.status(), page.text());
}

#[rstest]
#[actix_web::test]
async fn no_parameter_of_any_page_causes_a_server_error(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (world, root) = furnish(&app, "root").await;
    let (values, mut dice) = (values(), Dice::new());
    let mut asked = 0;
    for path in gets(&world).into_iter().chain(["/admin/users/suggest/".to_owned()]) {
        let page = root.get(&path).await;
        let is_list =
            page.html().contains("class=\"count\"") || path.contains("search") || path.contains("suggest");
        let names: Vec<String> = parameters(&page).into_iter().collect();
        if !is_list {
            // This page has no parameter of its own, so one of each value is enough.
            for value in &values {
                assert_answered(&root, &path, &format!("q={value}&list={value}&{value}")).await;
            }
            continue;
        }
        for name in &names {
            // A choice only accepts its own values, so a few others are enough.
            let step = if is_free(name) { 1 } else { 6 };
            for value in values.iter().step_by(step) {
                assert_answered(&root, &path, &format!("{name}={value}")).await;
                asked += 1;
            }
        }
        for _ in 0..60 {
            let pairs = (0..dice.pick(2..6)).map(|_| {
                let name = &names[dice.pick(0..names.len() as u64) as usize];
                // All of the long values together would exceed the length of a request.
                format!("{name}={}", values[dice.pick(0..values.len() as u64 - 3) as usize])
            });
            let query = pairs.collect::<Vec<_>>().join("&");
            assert_answered(&root, &path, &query).await;
        }
    }
    assert!(asked > 800, "only {asked} query strings were sent");
}

/// The lists that have filters.
const FILTERED: [&str; 6] = [
    "/admin/users/",
    "/admin/chats/",
    "/admin/ledger/",
    "/admin/auth-tokens/",
    "/admin/holds/",
    "/admin/history/",
];

/// Returns the values that a page offers in links and choices, as `name=value`.
fn offered(page: &Page) -> BTreeSet<String> {
    let queries = page.links().into_iter().filter_map(|link| Some(link.split_once('?')?.1.to_owned()));
    let mut pairs: BTreeSet<String> = queries
        .flat_map(|query| query.split('&').map(str::to_owned).collect::<Vec<_>>())
        .filter(|pair| pair.contains('='))
        .collect();
    let mut select = String::new();
    for tag in page.tags() {
        match (tag.name.as_str(), tag.attribute("name"), tag.attribute("value")) {
            ("select", Some(name), _) => name.clone_into(&mut select),
            ("option", _, Some(value)) if !value.is_empty() => {
                pairs.insert(format!("{select}={value}"));
            }
            _ => {}
        }
    }
    pairs.retain(|pair| !pair.starts_with("action="));
    pairs
}

/// Returns at most three values of each parameter.
fn a_few_of_each(pairs: BTreeSet<String>) -> impl Iterator<Item = String> {
    let mut seen = BTreeMap::new();
    pairs.into_iter().filter(move |pair| {
        let count = seen.entry(pair.split('=').next().unwrap_or_default().to_owned()).or_insert(0);
        *count += 1;
        *count <= 3
    })
}

#[rstest]
#[actix_web::test]
async fn any_two_filters_combine_with_a_user_with_counts_and_with_sums(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (_, root) = furnish(&app, "root").await;
    let mut asked = 0;
    for path in FILTERED {
        let page = root.get(path).await;
        let all: Vec<String> = a_few_of_each(offered(&page)).chain(["q=hello".to_owned()]).collect();
        let has_user = page.html().contains("data-suggest");
        let users = if has_user { &["", "&user=ada", "&user=nobody"][..] } else { &[""] };
        for (place, one) in all.iter().enumerate() {
            for other in &all[place..] {
                for user in users {
                    assert_answered(&root, path, &format!("{one}&{other}{user}&facets=1&sums=1")).await;
                    asked += 1;
                }
            }
        }
    }
    assert!(asked > 800, "only {asked} query strings were sent");
}

#[rstest]
#[actix_web::test]
async fn the_count_of_a_choice_is_that_of_its_list(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (_, root) = furnish(&app, "root").await;
    let token = app.user("bob").await;
    for number in 0..3 {
        app.chat(&token, &format!("Hello {number}")).await.assert_status(201);
    }
    app.hold(&token).await;
    app.catch_up().await;
    for query in ["user=bob", "user=ada", "user=bob&endpoint=embeddings", "date=today"] {
        let path = format!("/admin/chats/?{query}&facets=1");
        // On a busy machine, the time limit may end the counting early.
        let counted = async || root.get(&path).await.counted_choices().len() >= 4;
        eventually("the counts of the choices", counted).await;
        for (choice, count) in root.get(&path).await.counted_choices() {
            assert_shows_rows(&root, &format!("/admin/chats/?{query}&{choice}"), count).await;
        }
    }
}

/// Checks that a list has this number of rows, and says so.
async fn assert_shows_rows(root: &Browser<'_>, path: &str, count: i64) {
    let page = root.get(path).await;
    page.assert_status(200).assert_shows(&[&format!("{count} of ")]);
    let rows = page.tags().into_iter().filter(|tag| tag.name == "tr").count() as i64 - 1;
    assert_eq!(rows.max(0), count, "{path}");
}

#[rstest]
#[actix_web::test]
async fn a_tab_adds_to_the_filters_and_says_how_many_rows_it_has(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (_, root) = furnish(&app, "root").await;
    app.catch_up().await;
    let mut counted = 0;
    for (path, query) in [
        ("/admin/users/", "staff=no&q=a&sort=-name"),
        ("/admin/users/", "tokens_from=1&chatted=7days"),
        ("/admin/chats/", "user=ada"),
        ("/admin/chats/", "user=ada&q=hello"),
        ("/admin/chats/", "date_from=2020-01-01&charge_to=1000"),
        ("/admin/ledger/", "user=ada&date=7days"),
        ("/admin/ledger/", "amount_from=1&actor=root"),
        ("/admin/auth-tokens/", "user=ada&q=tg"),
        ("/admin/holds/", "user=ada"),
        ("/admin/history/", "actor=root&user=ada"),
    ] {
        let page = root.get(&format!("{path}?{query}")).await;
        let tabs = page.tabs();
        assert!(tabs.len() > 1, "{path} has no tabs: {}", page.text());
        for (href, count) in tabs {
            let link = href.strip_prefix('?').unwrap_or_else(|| panic!("{path}: {href}"));
            let kept: BTreeSet<&str> = link.split('&').collect();
            // What the tab itself sets may replace what was there.
            let name = |pair: &str| pair.split(['=', '_']).next().unwrap_or_default().to_owned();
            let set: BTreeSet<String> =
                kept.iter().filter(|pair| !query.contains(**pair)).map(|p| name(p)).collect();
            for pair in query.split('&').filter(|pair| !set.contains(&name(pair))) {
                assert!(kept.contains(pair), "{path}?{query}: the tab {href} has lost {pair}");
            }
            if let Some(count) = count {
                counted += 1;
                assert_shows_rows(&root, &format!("{path}{href}"), count).await;
            }
        }
    }
    assert!(counted > 10, "only {counted} tabs had a count");
}

#[rstest]
#[actix_web::test]
async fn a_range_of_amounts_holds_beside_any_other_filter(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (_, root) = furnish(&app, "root").await;
    app.catch_up().await;
    let chats = [
        "",
        "q=hello",
        "user=ada",
        "model=dummy&state=complete",
        "state=complete",
        "state=failed",
        "state=pending",
        "date=today",
        "user=ada&state=complete",
        "q=hello&user=ada",
        "state=failed&date=today",
        "endpoint=all",
    ];
    let lists: [(&str, &str, &[&str]); 3] = [
        ("/admin/chats/", "charge", &chats),
        ("/admin/ledger/", "amount", &["", "user=ada", "kind=charge", "actor=root", "date=today"]),
        ("/admin/users/", "tokens", &["", "q=a", "staff=no", "active=yes", "chatted=7days", "joined=7days"]),
    ];
    for (path, name, others) in lists {
        for other in others {
            let rows = async |range: &str| {
                let page = root.get(&format!("{path}?{other}&{range}&rows=200")).await;
                page.assert_status(200);
                page.tags().into_iter().filter(|tag| tag.name == "tr").count()
            };
            let all = rows("").await;
            assert_eq!(rows(&format!("{name}_to=8000000000000000000")).await, all, "{path}?{other}");
            for nothing in ["_from=8000000000000000000", "_from=1.5", "_to=x"] {
                assert_eq!(rows(&format!("{name}{nothing}")).await, 0, "{path}?{other}&{name}{nothing}");
            }
        }
    }
}

#[rstest]
#[actix_web::test]
async fn a_filter_by_an_unknown_user_matches_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (_, root) = furnish(&app, "root").await;
    for user in ["nobody", "-1", "%23-1", "%239223372036854775807"] {
        for rest in ["q=hello", "state=failed&model=dummy", "q=hello&date=today", "q=hello&state=pending"] {
            let page = root.get(&format!("/admin/chats/?user={user}&{rest}")).await;
            page.assert_status(200).assert_shows(&["No chats match"]);
        }
    }
}

#[rstest]
#[actix_web::test]
async fn no_parameter_of_a_users_own_records_causes_a_server_error(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat(&token, "hello").await.assert_status(201);
    for path in ["/chats/", "/ledger/", "/conversations/", "/chats/1/", "/auth-tokens/", "/me/", "/tokens/"] {
        for name in ["limit", "before", "unknown"] {
            for value in values() {
                let answer = app.get(&format!("{path}?{name}={value}"), &token).await;
                assert!(answer.status < 500, "{path}?{name}={value:.100} returned {}", answer.status);
            }
        }
    }
}
