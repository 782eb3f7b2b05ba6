//! Searching. Input is always words to find, even if it looks like a query language.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::column;
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
        ("hell", &[]),
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
        ("ünïcode", &[4]),
        ("UNÏCODE", &[]),
        ("STRASSE", &[]),
        ("東京", &[4]),
        ("京タ", &[4]),
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
    app.sql(if on == On::Sqlite {
        "DELETE FROM user_search WHERE rowid = 6"
    } else {
        "DELETE FROM user_search WHERE id = 6"
    });
    let mut conn = crate::support::ledger::raw(on, app.database().url());
    tollgate::index::search::index_user(&mut conn, 6, "100%!_sure").unwrap();
    for (words, expected) in [
        ("love", &["Ada.Lovelace"][..]),
        ("LOVELACE", &["Ada.Lovelace"]),
        ("ada", &["Ada.Lovelace", "ada_b", "adaxb"]),
        ("ada love", &["Ada.Lovelace"]),
        ("ada_b", &["ada_b"]),
        ("da_", &["ada_b"]),
        ("a%b", &[]),
        ("%", &[]),
        ("_", &[]),
        ("%ad", &[]),
        ("100%", &["100%!_sure"]),
        ("%!_", &["100%!_sure"]),
        ("ad", &["Ada.Lovelace", "ada_b", "adaxb"]),
        ("a", &["Ada.Lovelace", "ada_b", "adaxb"]),
        ("da", &[]),
        ("#4", &["Grace-Hopper"]),
        ("#4 grace", &["Grace-Hopper"]),
        ("#4 ada", &[]),
        ("zoë", &["Zoë"]),
        ("ZOË", &["Zoë"]),
        ("本語の", &["日本語の名前"]),
        ("日", &["日本語の名前"]),
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
    assert_eq!(found(&root, "/admin/users/", "Name", "amazing").await, ["Amazing.Grace"]);
    assert!(found(&root, "/admin/users/", "Name", "hopper").await.is_empty());
}

#[rstest]
#[actix_web::test]
async fn the_search_box_searches_everything(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat(&token, "what does ada say").await.assert_status(201);
    let root = app.superuser("root").await;
    app.catch_up().await;
    let page = root.get("/admin/search/?q=ada").await;
    page.assert_shows(&["Results for “ada”", "what does ada say", "3,900"]);
    let first: String = token.chars().take(8).collect();
    root.get(&format!("/admin/search/?q={first}")).await.assert_shows(&["Auth tokens 1 result"]);
    root.get("/admin/search/?q=1").await.assert_shows(&[
        "Users 1 result",
        "Chats 1 result",
        "Ledger 1 result",
    ]);
    for words in ["", "+", "%23", "%2399999999999999999999", "%00", "-1", "%F0%9F%98%80", "%27%22%5C"] {
        root.get(&format!("/admin/search/?q={words}")).await.assert_status(200);
    }
}
