//! A list returns a page for any query string: each parameter of each list, with values that match
//! nothing, cannot be parsed, or are as large as possible.

use std::collections::BTreeSet;

use rstest::rstest;
use url::form_urlencoded;

use super::route_table::gets;
use super::world::furnish;
use crate::support::On;
use crate::support::app::TestApp;
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
    assert!(asked > 1_000, "only {asked} query strings were sent");
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
