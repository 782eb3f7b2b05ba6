//! Searching. Input is always words to find, even if it looks like a query language.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::column;
use crate::support::ledger;
use crate::support::panel::Browser;

const CHATS: [&str; 6] = [
    "Hello world",
    "hello, WORLD of refunds!",
    "NOT a query AND no syntax OR anything",
    "Ünïcode straße 東京タワー",
    "100% of c++ & c# cost $5 (or 'so')",
    "a_b a-b a.b \"quoted phrase\" back\\slash",
];

/// Searches a list. Returns the cells of a column, sorted.
async fn found(root: &Browser<'_>, path: &str, label: &str, words: &str) -> Vec<String> {
    let words: String = url::form_urlencoded::byte_serialize(words.as_bytes()).collect();
    let page = root.get(&format!("{path}?q={words}")).await;
    page.assert_status(200);
    let mut found = column(&page.html(), label);
    found.sort();
    found
}

#[rstest]
#[actix_web::test]
async fn chats_are_found_if_they_have_all_the_words(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for message in CHATS {
        app.chat(&token, message).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    root.get("/admin/chats/?q=hello").await.assert_shows(&["The search index is catching up"]);
    app.catch_up().await;
    let all: &[usize] = &[1, 2, 3, 4, 5, 6];
    for (words, expected) in [
        ("hello", &[1, 2][..]),
        ("HELLO world", &[1, 2]),
        ("world refunds", &[2]),
        ("world nothing", &[]),
        ("hell", &[1, 2]),
        ("h w ref", &[2]),
        ("ello", &[]),
        ("response", all),
        ("not and or", &[3]),
        ("hello OR query", &[]),
        ("hello NOT world", &[]),
        ("\"hello world\"", &[1, 2]),
        ("hello*", &[1, 2]),
        ("hello:*", &[1, 2]),
        ("-hello", &[1, 2]),
        ("(hello", &[1, 2]),
        ("hello & world", &[1, 2]),
        ("hello | syntax", &[]),
        ("!hello", &[1, 2]),
        ("hello <-> world", &[1, 2]),
        ("terms:hello", &[]),
        ("NEAR(hello world)", &[]),
        ("'; DROP TABLE users; --", &[]),
        ("hello' OR '1'='1", &[]),
        ("\\", &[]),
        ("%", &[]),
        ("_", &[]),
        ("%%%", &[]),
        ("u=1", &[]),
        ("=u1", &[]),
        ("u1", &[]),
        ("ünïcode", &[4]),
        ("UNÏCODE", &[4]),
        ("unicode", &[4]),
        ("STRASSE", &[4]),
        ("東京", &[4]),
        ("京タ", &[4]),
        ("ワー", &[4]),
        ("京東", &[]),
        ("100 cost", &[5]),
        ("$5", &[5]),
        ("quoted phrase", &[6]),
        ("a_b", &[6]),
        ("#2", &[2]),
        ("#99", &[]),
        ("#99999999999999999999", &[]),
        ("\u{202e}hello", &[1, 2]),
        ("hello\0world", &[1, 2]),
    ] {
        let expected: Vec<String> = expected.iter().map(|id| format!("#{id}")).collect();
        let is_nul = words.contains('\0');
        let expected = if is_nul { all.iter().map(|id| format!("#{id}")).collect() } else { expected };
        assert_eq!(found(&root, "/admin/chats/", "Chat", words).await, expected, "{words:?}");
    }
    let long = "x".repeat(3_000);
    assert!(found(&root, "/admin/chats/", "Chat", &long).await.is_empty());
    let many: Vec<String> = (0..500).map(|number| number.to_string()).collect();
    assert!(found(&root, "/admin/chats/", "Chat", &many.join(" ")).await.is_empty());
}

#[rstest]
#[actix_web::test]
async fn users_are_found_by_any_part_of_their_names(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    for name in ["Ada.Lovelace", "ada_b", "adaxb", "Grace-Hopper", "Zoë", "xy", "日本語の名前"] {
        app.register(name).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    // An imported name need not follow today's rules.
    app.sql(
        "UPDATE users SET username = '100%!_sure', username_canonical = '100%!_sure' WHERE username = 'xy'",
    );
    let mut conn = crate::support::ledger::raw(on, app.database().url());
    tollgate::index::search::index_user(&mut conn, 6, "100%!_sure").unwrap();
    app.catch_up().await;
    for (words, expected) in [
        ("love", &["Ada.Lovelace"][..]),
        ("LOVELACE", &["Ada.Lovelace"]),
        ("ada", &["Ada.Lovelace", "ada_b", "adaxb"]),
        ("ada love", &["Ada.Lovelace"]),
        ("ada_b", &["ada_b"]),
        ("da_", &["ada_b"]),
        ("a%b", &[]),
        ("%", &["100%!_sure"]),
        ("_", &["100%!_sure", "ada_b"]),
        ("%ad", &[]),
        ("100%", &["100%!_sure"]),
        ("%!_", &["100%!_sure"]),
        ("ad", &["Ada.Lovelace", "ada_b", "adaxb"]),
        ("a", &["Ada.Lovelace", "Grace-Hopper", "ada_b", "adaxb"]),
        ("da", &["Ada.Lovelace", "ada_b", "adaxb"]),
        ("dax", &["adaxb"]),
        ("xad", &[]),
        ("#4", &["Grace-Hopper"]),
        ("#4 grace", &["Grace-Hopper"]),
        ("#4 ada", &[]),
        ("zoë", &["Zoë"]),
        ("ZOË", &["Zoë"]),
        ("oe", &["Zoë"]),
        ("本語の", &["日本語の名前"]),
        ("日", &["日本語の名前"]),
        ("前", &["日本語の名前"]),
        ("語本", &[]),
        ("ada OR grace", &[]),
        ("\"ada", &[]),
        ("ada*", &[]),
        ("'", &[]),
        ("\\", &[]),
        ("t=61", &[]),
    ] {
        assert_eq!(found(&root, "/admin/users/", "Name", words).await, expected, "{words:?}");
        for sort in ["name", "-balance", "last_login"] {
            let query: String = url::form_urlencoded::byte_serialize(words.as_bytes()).collect();
            let page = root.get(&format!("/admin/users/?q={query}&sort={sort}")).await;
            assert_eq!(column(&page.html(), "Name").len(), expected.len(), "{words:?} by {sort}");
        }
    }
    root.submit("/admin/users/4/edit/", &[("username", "Amazing.Grace")]).await.assert_status(303);
    app.catch_up().await;
    assert_eq!(found(&root, "/admin/users/", "Name", "amazing").await, ["Amazing.Grace"]);
    assert!(found(&root, "/admin/users/", "Name", "hopper").await.is_empty());
}

#[rstest]
#[actix_web::test]
async fn each_part_of_a_name_in_any_script_finds_it_and_nothing_else(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let names = ["王小明", "김민준", "さくら", "שירה", "Ελένη", "Дмитрий", "abcabd"];
    for name in names {
        app.register(name).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    for name in names {
        let characters: Vec<char> = name.chars().collect();
        for length in 1..=3 {
            for part in characters.windows(length).step_by(2) {
                let part: String = part.iter().collect();
                let expected: Vec<&str> = names.into_iter().filter(|name| name.contains(&part)).collect();
                assert_eq!(found(&root, "/admin/users/", "Name", &part).await, expected, "{part}");
            }
        }
    }
    // All terms of the second one are in the name, but in another order.
    assert_eq!(found(&root, "/admin/users/", "Name", "cabd").await, ["abcabd"]);
    assert!(found(&root, "/admin/users/", "Name", "cabc").await.is_empty());
}

#[rstest]
#[actix_web::test]
async fn reasons_and_invoice_numbers_are_found_in_the_ledger_and_in_the_history(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("ada").await.assert_status(201);
    app.register("bob").await.assert_status(201);
    let root = app.superuser("root").await;
    for (user, reason) in [("ada", "Invoice 2026-1187: Goodwill"), ("bob", "東京支店の請求書")] {
        let adjust = format!("/admin/users/{}/adjust/", app.id_of(user));
        root.submit(&adjust, &[("amount", "5"), ("reason", reason)]).await.assert_status(303);
    }
    root.get("/admin/ledger/?q=invoice").await.assert_shows(&["The search index is catching up"]);
    app.catch_up().await;
    for (words, users) in [
        ("2026-1187", &["ada"][..]),
        ("1187", &["ada"]),
        ("Invoice 2026", &["ada"]),
        ("GOODW", &["ada"]),
        ("支店", &["bob"]),
        ("店支", &[]),
        ("goodwill 支店", &[]),
        ("oodwill", &[]),
        ("=u1", &[]),
        ("\"'", &[]),
    ] {
        assert_eq!(found(&root, "/admin/ledger/", "User", words).await, users, "{words}");
        let in_history = found(&root, "/admin/history/", "Object", words).await;
        assert_eq!(in_history, users, "{words} in the history");
    }
    for (query, number) in [
        ("q=invoice&kind=adjustment&user=ada&actor=root&date=today", 1),
        ("q=invoice&kind=refund", 0),
        ("q=invoice&user=bob", 0),
        ("q=invoice&amount_from=6", 0),
        ("q=invoice&amount_from=5&sums=1", 1),
        ("q=%231", 1),
    ] {
        let page = root.get(&format!("/admin/ledger/?{query}")).await;
        assert_eq!(column(&page.html(), "Entry").len(), number, "{query}");
        page.assert_shows(&[&format!("{number} of 5")]);
    }
}

#[rstest]
#[actix_web::test]
async fn the_history_is_found_by_names_actions_changes_and_addresses(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.register("ada").await.assert_status(201);
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    root.submit(&format!("{user}edit/"), &[("username", "grace")]).await.assert_status(303);
    root.submit(&format!("{user}adjust/"), &[("amount", "5"), ("reason", "a gift")]).await.assert_status(303);
    app.sql("UPDATE audit_log SET address = '2001:db8::1f' WHERE action = 'change'");
    app.catch_up().await;
    let found = async |query: &str| {
        let page = root.get(&format!("/admin/history/?{query}")).await;
        page.assert_status(200);
        let mut actions = column(&page.html(), "Action");
        actions.sort();
        actions
    };
    let (changed, adjusted) = ("changed", "adjusted the balance");
    for (query, actions) in [
        ("q=gift", &[adjusted][..]),
        ("q=grace", &[adjusted, changed]),
        ("q=rac", &[adjusted, changed]),
        ("q=ada", &[changed]),
        ("q=adjusted+grace", &[adjusted]),
        ("q=balance+root+gift", &[adjusted]),
        ("q=2001:db8::", &[changed]),
        ("q=2001:DB8:0", &[changed]),
        ("q=2001:db8::1f", &[changed]),
        ("q=2001:db9", &[]),
        ("q=127.0+grace", &[adjusted]),
        ("q=127.0.0.1+grace", &[adjusted]),
        ("q=127.1+grace", &[]),
        ("q=grace&action=adjust", &[adjusted]),
        ("q=grace&actor=root&date=today", &[adjusted, changed]),
        ("q=grace&user=root", &[]),
        ("q=nobody", &[]),
    ] {
        assert_eq!(found(query).await, actions, "{query}");
    }
    // Nothing of a deleted entry is left.
    app.sql("UPDATE audit_log SET created_at = '2020-01-01 00:00:00' WHERE action = 'adjust'");
    assert_eq!(tollgate::audit::forget(&app.services.db, 365).await.unwrap(), 1);
    app.catch_up().await;
    assert_eq!(app.count("history_search"), app.count("audit_log"));
    assert_eq!(found("q=gift").await, [""; 0]);
}

#[actix_web::test]
async fn a_search_says_how_many_rows_match() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    app.register("ada").await.assert_status(201);
    let root = app.superuser("root").await;
    app.sql(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050)
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
         SELECT 1, CASE WHEN i % 100 = 0 THEN 'pear plum' ELSE 'pear' END, 'x', 'dummy', 'complete', 0, 'imported',
                '2026-01-01 00:00:00', '2026-01-01 00:00:00'
         FROM n",
    );
    app.catch_up().await;
    // A busy machine may not have counted in time, and then the page says so.
    for (query, count) in [
        ("q=plum", "100 of 10,000+ chats"),
        ("q=plum&sort=id&after=5000", "100 of 10,000+ chats"),
        ("q=pear", "10,000+ of 10,000+ chats"),
        ("q=pear&date_from=2026-01-01&date_to=2026-01-01", "10,000+ of 10,000+ chats"),
        ("q=apple", "0 of 10,000+ chats"),
    ] {
        crate::support::app::eventually(query, async || {
            root.get(&format!("/admin/chats/?{query}")).await.text().contains(count)
        })
        .await;
    }
    // A condition that is tested on each row ends at a bound, so the page does not say how many.
    let page = root.get("/admin/chats/?charge_from=1").await;
    page.assert_hides(&["+ of"]);
}

/// The history is searched for the newest users of a name, and says so.
#[actix_web::test]
async fn a_search_of_the_history_says_whose_entries_it_leaves_out() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let root = app.superuser("root").await;
    let many = |conn: &mut tollgate::db::DbConnection| {
        for number in 1..=51 {
            let new = ledger::new_account(&format!("twin-{number}"), 10);
            tollgate::metering::open_account(conn, &new)?;
        }
        Ok(())
    };
    app.services.db.write(tollgate::db::Scope::none(), many).await.unwrap();
    app.catch_up().await;
    let note = "Many users have “twin” in their names";
    root.get("/admin/history/?q=twin+signed").await.assert_shows(&[note]);
    root.get("/admin/history/?q=twin-1").await.assert_hides(&["in their names"]);
}
