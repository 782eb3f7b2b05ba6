//! Paging through lists, in every order and both ways, also while rows are added.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::column;
use crate::support::panel::{Browser, Page};

/// Returns the names on a page of the list of users.
fn names(page: &Page) -> Vec<String> {
    column(&page.html(), "Name")
}

/// Registers this number of users, with varied names, balances and times, many of them equal.
/// Returns a superuser's browser with pages of 10 rows.
async fn people(app: &TestApp, number: usize) -> Browser<'_> {
    for number in 0..number {
        app.register(&format!("{}person.{number}", ["b", "a", "é", "Z"][number % 4]))
            .await
            .assert_status(201);
    }
    app.sql("UPDATE users SET date_joined = '2024-02-29 12:00:00.123456' WHERE id % 3 = 0");
    app.sql("UPDATE users SET last_login = '2025-01-01 00:00:00.000001' WHERE id % 2 = 0");
    app.catch_up().await;
    let root = app.superuser("root").await;
    app.catch_up().await;
    for id in (1..number).step_by(3) {
        let page = format!("/admin/users/{id}/adjust/");
        let amount = format!("-{}", (id % 4) * 1000);
        if amount != "-0" {
            root.submit(&page, &[("amount", &amount), ("reason", "x")]).await.assert_status(303);
        }
    }
    app.catch_up().await;
    root.submit("/admin/settings/", &[("page_size", "10")]).await.assert_status(303);
    root
}

/// Follows the links with the text `way` to the end. Returns the cells of a column, page by page,
/// and the last page.
async fn walk(browser: &Browser<'_>, mut page: Page, way: &str, label: &str) -> (Vec<Vec<String>>, Page) {
    let mut pages = vec![column(&page.html(), label)];
    while page.html().contains(&format!(">{way}</a>")) {
        assert!(pages.len() < 40, "the list never ends");
        page = browser.click(&page, way).await;
        page.assert_status(200);
        pages.push(column(&page.html(), label));
    }
    (pages, page)
}

#[rstest]
#[actix_web::test]
async fn each_user_is_on_exactly_one_page_in_every_order_both_ways(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = people(&app, 33).await;
    for sort in ["joined", "-joined", "name", "-name", "balance", "-balance", "last_login", "-last_login"] {
        let first = root.get(&format!("/admin/users/?sort={sort}")).await;
        first.assert_shows(&["34 users"]);
        let (forth, last) = walk(&root, first, "Next ›", "Name").await;
        let all: Vec<String> = forth.concat();
        let mut once = all.clone();
        once.sort();
        once.dedup();
        assert_eq!((all.len(), once.len()), (34, 34), "{sort}: {all:?}");
        assert_eq!(forth.iter().map(Vec::len).collect::<Vec<_>>(), [10, 10, 10, 4]);
        // Backwards from the last page, in the same order.
        let (mut back, _) = walk(&root, last.clone(), "‹ Previous", "Name").await;
        back.reverse();
        assert_eq!(back.concat(), all, "{sort} backwards");
        let jump = root.get(&format!("/admin/users/?sort={sort}&last=1")).await;
        assert_eq!(names(&jump), all[24..], "the last page of {sort} must be a full one");
        let turned = sort.strip_prefix('-').map_or_else(|| format!("-{sort}"), str::to_owned);
        let (other, _) =
            walk(&root, root.get(&format!("/admin/users/?sort={turned}")).await, "Next ›", "Name").await;
        let mut other = other.concat();
        other.reverse();
        assert_eq!(other, all, "{sort} the other way round");
    }
    let by_name = root.get("/admin/users/?sort=name").await;
    assert_eq!(names(&by_name)[..2], ["aperson.1", "aperson.13"]);
    let balances: Vec<i64> = column(&root.get("/admin/users/?sort=balance").await.html(), "Balance")
        .iter()
        .map(|tokens| tokens.replace(',', "").parse().unwrap())
        .collect();
    assert!(balances.is_sorted() && balances[0] < balances[9], "{balances:?}");
}

#[rstest]
#[actix_web::test]
async fn nobody_is_missed_or_seen_twice_while_others_are_added(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = people(&app, 25).await;
    for sort in ["-joined", "name", "balance"] {
        let mut page = root.get(&format!("/admin/users/?sort={sort}")).await;
        let (there, _) = walk(&root, page.clone(), "Next ›", "Name").await;
        let there = there.concat();
        let mut seen = names(&page);
        let mut number = 0;
        while page.html().contains(">Next ›</a>") {
            for begins in ["0", "m", "zz"] {
                number += 1;
                let name = format!("{begins}-new{number}{}", sort.trim_start_matches('-'));
                app.register(&name).await.assert_status(201);
            }
            app.catch_up().await;
            page = root.click(&page, "Next ›").await;
            seen.extend(names(&page));
        }
        let seen: Vec<String> = seen.into_iter().filter(|name| there.contains(name)).collect();
        assert_eq!(seen, there, "{sort}");
    }
}

#[rstest]
#[actix_web::test]
async fn the_other_lists_can_be_paged_both_ways_too(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for number in 0..22 {
        app.chat(&token, &format!("Hello {}", number % 3)).await.assert_status(201);
        app.token("ada").await;
    }
    app.hold(&token).await;
    let root = app.superuser("root").await;
    for reason in 0..20 {
        let reason = reason.to_string();
        let fields = [("amount", "1"), ("reason", reason.as_str())];
        root.submit("/admin/users/1/adjust/", &fields).await.assert_status(303);
    }
    app.catch_up().await;
    root.submit("/admin/settings/", &[("page_size", "10")]).await.assert_status(303);
    for (path, label, number) in [
        ("/admin/chats/?", "Chat", 23),
        ("/admin/chats/?user=ada", "Chat", 23),
        ("/admin/chats/?q=hello", "Chat", 22),
        ("/admin/chats/?q=hello+2&state=complete&user=ada", "Chat", 7),
        ("/admin/chats/?date=today&model=dummy", "Chat", 22),
        ("/admin/auth-tokens/?user=ada&state=live", "Begins with", 20),
        ("/admin/ledger/?", "Entry", 45),
        ("/admin/ledger/?user=ada&date=today", "Entry", 44),
        ("/admin/ledger/?kind=adjustment", "Entry", 20),
        ("/admin/ledger/?actor=root&kind=adjustment", "Entry", 20),
        ("/admin/history/?", "When", 21),
        ("/admin/history/?action=adjust&user=ada", "When", 20),
    ] {
        for sort in ["", "&sort=id", "&sort=-id", "&sort=when"] {
            let (forth, last) = walk(&root, root.get(&format!("{path}{sort}")).await, "Next ›", label).await;
            assert_eq!(forth.concat().len(), number, "{path}{sort}: {forth:?}");
            assert!(forth.iter().rev().skip(1).all(|page| page.len() == 10), "{path}{sort}: {forth:?}");
            let (mut back, _) = walk(&root, last, "‹ Previous", label).await;
            back.reverse();
            assert_eq!(back.concat(), forth.concat(), "{path}{sort} backwards");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn an_impossible_position_or_date_still_shows_a_list(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.catch_up().await;
    for query in [
        "sort=joined&after=262142-12-31T23:59:59~1",
        "sort=joined&after=%2B262142-12-31T23:59:59~1",
        "sort=joined&after=-262143-01-01T00:00:00~1",
        "sort=balance&after=9223372036854775807~9223372036854775807",
        "sort=balance&before=-9223372036854775808~-9223372036854775808",
        "sort=name&after=~1",
        "sort=name&after=%F4%8F%BF%BF~1",
        "sort=name&after=%FF~1",
        "after=x~y~z",
        "after=1&before=1&last=1",
        "sort=nothing&sort=name",
        "joined_from=1970-01-02&joined_to=9999-12-31",
        "joined_from=9999-12-31",
        "joined_to=%2B262142-12-31",
        "joined_from=%2B262142-12-31&sort=joined",
        "joined_from=-262143-01-01",
        "joined_from=2024-13-45",
        "joined_from=2024-02-02&joined_to=2024-02-01",
        "rows=0",
        "rows=-5",
        "rows=99999999999",
        "rows=201",
    ] {
        for path in ["/admin/users/", "/admin/ledger/", "/admin/history/", "/admin/chats/", "/admin/holds/"] {
            let query =
                if path == "/admin/users/" { query.to_owned() } else { query.replace("joined", "date") };
            root.get(&format!("{path}?{query}")).await.assert_status(200);
            root.get(&format!("{path}?{query}&q=a&facets=1&sums=1")).await.assert_status(200);
        }
    }
}
