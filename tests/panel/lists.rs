//! Lists: filters, tabs, chips, counts, and the viewer's settings.

use rstest::rstest;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::html::column;
use crate::support::panel::{Browser, Page};
use crate::support::server::PASSWORD;

/// Registers 16 users, one for each combination of active, staff, few tokens and joined long ago.
async fn combinations(app: &TestApp) -> Browser<'_> {
    for number in 0..16 {
        app.register(&format!("user-{number}")).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    for id in 1..=16 {
        let amount = ["-4000", "-3500"][usize::from(id % 16 > 7)];
        if id % 2 == 0 {
            let fields = [("amount", amount), ("reason", "x")];
            root.submit(&format!("/admin/users/{id}/adjust/"), &fields).await.assert_status(303);
        }
    }
    app.sql("UPDATE users SET is_active = FALSE WHERE id IN (3, 4, 7, 8, 11, 12, 15, 16)");
    app.sql("UPDATE users SET is_staff = TRUE WHERE id IN (5, 6, 7, 8, 13, 14, 15, 16)");
    app.sql("UPDATE users SET date_joined = '2024-02-29 12:00:00.123456' WHERE id BETWEEN 9 AND 16");
    app.catch_up().await;
    root
}

fn sorted(mut names: Vec<String>) -> Vec<String> {
    names.sort();
    names
}

#[rstest]
#[actix_web::test]
async fn filters_of_users_show_the_users_who_match_all_of_them(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = combinations(&app).await;
    let all = "string_agg(username, ' ')";
    let all = if on == On::Sqlite { "group_concat(username, ' ')" } else { all };
    for (active, is_active) in [("", "TRUE"), ("&active=yes", "is_active"), ("&active=no", "NOT is_active")] {
        for (staff, is_staff) in [
            ("", "TRUE"),
            ("&staff=yes", "(is_staff OR is_superuser)"),
            ("&staff=no", "NOT (is_staff OR is_superuser)"),
        ] {
            for (balance, is_low) in
                [("", "TRUE"), ("&balance=zero", "tokens = 0"), ("&balance=low", "tokens < 1000")]
            {
                for (joined, was) in [
                    ("", "TRUE"),
                    ("&joined=7days", "date_joined > '2025-01-01'"),
                    ("&joined_from=2024-02-29&joined_to=2024-02-29", "date_joined < '2025-01-01'"),
                ] {
                    let condition = format!("{is_active} AND {is_staff} AND {is_low} AND {was}");
                    let expected = app.text(&format!("SELECT {all} AS value FROM users WHERE {condition}"));
                    let expected = expected.unwrap_or_default();
                    let expected = sorted(expected.split_whitespace().map(str::to_owned).collect());
                    for sort in ["name", "-balance", "joined"] {
                        let path = format!("/admin/users/?sort={sort}{active}{staff}{balance}{joined}");
                        let page = root.get(&path).await;
                        assert_eq!(sorted(column(&page.html(), "Name")), expected, "{path}");
                    }
                }
            }
        }
    }
}

#[rstest]
#[actix_web::test]
async fn tabs_chips_and_counts_say_what_is_shown(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = combinations(&app).await;
    let users = root.get("/admin/users/").await;
    users.assert_shows(&["17 users"]);
    for (tab, number) in
        [("Low balance", 8), ("Inactive", 8), ("Staff", 9), ("New this week", 9), ("All", 17)]
    {
        let page = root.click(&users, tab).await;
        assert_eq!(column(&page.html(), "Name").len(), number, "{tab}");
    }
    let page = root.get("/admin/users/?active=no&staff=yes&q=user").await;
    page.assert_shows(&["4 of 17 users", "Active: No", "Staff: Yes", "Search: user", "Clear all filters"]);
    let without = |label: &str| {
        let tags = page.tags().into_iter();
        let label = format!("Remove {label}");
        let mut chips = tags.filter(|tag| tag.attribute("aria-label").is_some_and(|text| text == label));
        chips.next().and_then(|tag| tag.attribute("href").map(str::to_owned)).unwrap()
    };
    let fewer = root.get(&format!("/admin/users/{}", without("Staff: Yes"))).await;
    fewer.assert_shows(&["8 of 17 users"]).assert_hides(&["Staff: Yes"]);
    root.click(&page, "Clear all filters").await.assert_shows(&["17 users"]);
    page.assert_hides(&["Yes ("]);
    // Counting ends after 30 ms, so a busy machine may need more than one try.
    let counts = ["Yes (4)", "No (4)", "Zero (1)", "Low (below 1,000) (2)"];
    let mut counted = root.click(&page, "Show counts").await;
    for _ in 0..50 {
        if counts.iter().all(|count| counted.text().contains(count)) {
            break;
        }
        counted = root.click(&page, "Show counts").await;
    }
    counted.assert_shows(&counts);
}

/// Returns the titles of the times in a list: the exact times.
fn exact_times(page: &Page) -> Vec<String> {
    let times = page.tags().into_iter().filter(|tag| tag.name == "time");
    times.filter_map(|tag| tag.attribute("title").map(str::to_owned)).collect()
}

#[rstest]
#[actix_web::test]
async fn recent_times_are_relative_and_the_exact_time_is_in_the_title(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    app.user("ada").await;
    let root = app.superuser("root").await;
    app.sql("UPDATE users SET date_joined = '2024-02-29 12:00:00.123456' WHERE username = 'ada'");
    let page = root.get("/admin/users/?sort=joined").await;
    assert_eq!(column(&page.html(), "Joined"), ["29 Feb 2024", "just now"]);
    assert!(exact_times(&page).contains(&"2024-02-29 12:00:00".to_owned()), "{:?}", exact_times(&page));
}

#[rstest]
#[actix_web::test]
async fn a_long_name_is_cut_and_whole_in_its_title(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let name = "W".repeat(50);
    let token = app.user(&name).await;
    app.chat(&token, &"long ".repeat(100)).await.assert_status(201);
    let root = app.superuser("root").await;
    for path in ["/admin/users/", "/admin/chats/", "/admin/ledger/", "/admin/auth-tokens/"] {
        let page = root.get(path).await;
        let cells = page.tags().into_iter().filter(|tag| tag.name == "td");
        let titles: Vec<_> = cells.filter_map(|tag| tag.attribute("title").map(str::to_owned)).collect();
        assert!(titles.contains(&name), "{path}: {titles:?}");
    }
}

#[rstest]
#[actix_web::test]
async fn columns_that_say_nothing_are_hidden_until_somebody_chooses_them(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for _ in 0..2 {
        app.chat(&token, "Hello").await.assert_status(201);
    }
    let root = app.superuser("root").await;
    let grace = app.staff("grace").await;
    let has = |page: &Page, label: &str| !column(&page.html(), label).is_empty();
    let page = root.get("/admin/chats/?user=ada").await;
    assert!(has(&page, "State") && !has(&page, "Model"), "{}", page.text());
    let form = page.forms().into_iter().find(|form| form.action == "/admin/columns/").unwrap();
    let chosen = root.send(&form.clone().without("column").tick("column", "Model")).await;
    assert_eq!(chosen.location(), "/admin/chats/?user=ada");
    let page = root.follow(&chosen).await;
    assert!(has(&page, "Chat") && has(&page, "Model") && !has(&page, "State"), "{}", page.text());
    // A column that was neither added nor removed still appears when it says something.
    app.sql("UPDATE chats SET prompt_tokens = 3, completion_tokens = 4 WHERE id = 2");
    assert!(has(&root.get("/admin/chats/").await, "Usage"));
    // Each administrator has an own choice.
    assert!(has(&grace.get("/admin/chats/").await, "State"));
    let reset = root.send(&form.with(&[("reset", "1")])).await;
    let page = root.follow(&reset).await;
    assert!(has(&page, "State") && !has(&page, "Model"), "{}", page.text());
    app.sql("UPDATE chats SET model = 'other' WHERE id = 2");
    assert!(has(&root.get("/admin/chats/").await, "Model"), "two models differ");
}

#[rstest]
#[actix_web::test]
async fn a_saved_view_is_in_the_menu_of_those_who_may_see_it(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = combinations(&app).await;
    let grace = app.staff("grace").await;
    let page = root.get("/admin/users/?balance=zero&chatted=7days&sort=name&after=x&facets=1").await;
    let form = page.forms().into_iter().find(|form| form.action == "/admin/views/").unwrap();
    let saved = root.send(&form.clone().with(&[("name", "Empty and active")])).await;
    let page = root.follow(&saved).await;
    page.assert_shows(&["The view “Empty and active” was saved"]);
    let view = page.link("Empty and active");
    assert_eq!(view, "/admin/users/?balance=zero&chatted=7days&sort=name");
    root.get("/admin/chats/").await.assert_shows(&["Empty and active"]);
    grace.get("/admin/users/").await.assert_hides(&["Empty and active"]);
    // The same name again changes the view.
    root.send(&form.clone().with(&[("name", "Empty and active"), ("shared", "1")])).await;
    let shared = grace.get("/admin/users/").await;
    assert_eq!(
        shared.html().matches("Empty and active").count(),
        3,
        "in the menu, in that of phones, and in the list"
    );
    let delete = |page: &Page| page.forms().into_iter().find(|form| form.action.ends_with("/delete/"));
    assert!(delete(&shared).is_none(), "only its owner may delete it");
    let own = delete(&root.get("/admin/users/").await).unwrap();
    let csrf = grace.csrf().await;
    let stolen = grace.send(&own.clone().with(&[("csrf", &csrf)])).await;
    grace.follow(&stolen).await.assert_shows(&["belongs to somebody else", "Empty and active"]);
    let gone = root.send(&own).await;
    root.follow(&gone).await.assert_shows(&["The view was deleted"]).assert_hides(&["Empty and active"]);
    for name in ["", "\u{202e}", &"x".repeat(41)] {
        let refused = root.send(&form.clone().with(&[("name", name)])).await;
        root.follow(&refused).await.assert_shows(&["Nothing was saved"]);
    }
    let elsewhere = form.with(&[("name", "x"), ("list", "https://example.org/")]);
    assert_eq!(root.send(&elsewhere).await.location(), "/admin/");
}

#[rstest]
#[actix_web::test]
async fn users_are_found_by_their_balance_and_their_last_chat(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    app.user("eve").await;
    for token in [&bob, &bob, &ada] {
        app.chat(token, "Hello").await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.sql("UPDATE chats SET created_at = '2025-01-01 00:00:00' WHERE id < 3");
    app.catch_up().await;
    let names = async |query: &str| {
        let page = root.get(&format!("/admin/users/?{query}")).await;
        column(&page.assert_status(200).html(), "Name").join(" ")
    };
    for (query, expected) in [
        ("sort=name&tokens_from=3900", "ada eve root"),
        ("sort=name&tokens_to=3,900", "ada bob"),
        ("sort=-balance&tokens_from=3800&tokens_to=3900", "ada bob"),
        ("sort=name&tokens_from=3801&q=a", "ada"),
        ("sort=name&chatted=today", "ada"),
        ("sort=name&chatted=7days", "ada"),
        ("sort=-balance&chatted=30days", "ada"),
        ("sort=name&chatted=not30days", "bob eve root"),
        ("sort=-balance&chatted=never", "root eve"),
        ("sort=name&chatted=not30days&balance=zero", ""),
        ("sort=name&chatted=not30days&tokens_to=3999", "bob"),
    ] {
        assert_eq!(names(query).await, expected, "{query}");
    }
    let page = root.get("/admin/users/?sort=name").await;
    assert_eq!(column(&page.html(), "Chats in 7 days"), ["1", "0", "0", "0"]);
    assert_eq!(column(&page.html(), "Last chat"), ["just now", "1 Jan 2025", "–", "–"]);
}
#[rstest]
#[actix_web::test]
async fn counting_a_long_list_stops_at_ten_thousand(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    app.sql(
        "INSERT INTO audit_log (created_at, actor_id, action, object_kind, object_id, user_id, changes, note, address)
         WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 10050)
         SELECT '2026-01-01 00:00:00', 1, 'change', 'user', 1, 1, '[]', '', '' FROM n",
    );
    root.get("/admin/history/").await.assert_shows(&["10,000+ entries"]);
    root.get("/admin/history/?action=sign_in").await.assert_shows(&["1 of 10,000+ entries"]);
    let page = root.get("/admin/history/?last=1").await;
    assert_eq!(column(&page.html(), "When").len(), 50);
    root.get("/admin/users/1/history/").await.assert_shows(&["Only the latest 200 entries are shown"]);
}

#[rstest]
#[actix_web::test]
async fn filters_of_the_other_lists_show_the_rows_that_match(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let (ada, bob) = (app.user("ada").await, app.user("bob").await);
    for token in [&ada, &ada, &bob] {
        app.chat(token, "Hello").await.assert_status(201);
    }
    let hold = app.hold(&bob).await;
    let root = app.superuser("root").await;
    app.sql("UPDATE chats SET state = 'failed', model = 'other' WHERE id = 2");
    app.damages_its_books();
    let named = app.post("/auth-tokens/", &bob, serde_json::json!({ "name": "script" })).await;
    named.assert_status(201);
    app.sql("UPDATE auth_tokens SET expires_at = '2025-01-01 00:00:00' WHERE name = 'script'");
    root.submit("/admin/chats/1/refund/", &[("reason", "x")]).await.assert_status(303);
    root.submit("/admin/auth-tokens/1/revoke/", &[]).await.assert_status(303);
    app.catch_up().await;
    for (path, count) in [
        ("/admin/chats/?", 4),
        ("/admin/chats/?user=ADA", 2),
        ("/admin/chats/?user=%232", 2),
        ("/admin/chats/?user=nobody", 0),
        ("/admin/chats/?state=pending", 1),
        ("/admin/chats/?state=failed", 1),
        ("/admin/chats/?state=failed&user=bob", 0),
        ("/admin/chats/?state=complete&user=bob", 1),
        ("/admin/chats/?model=other&user=ada", 1),
        ("/admin/chats/?date=today&state=complete", 2),
        ("/admin/chats/?date_to=2020-01-01", 0),
        ("/admin/holds/?", 1),
        ("/admin/holds/?overdue=yes", 0),
        ("/admin/holds/?overdue=no&user=bob", 1),
        ("/admin/holds/?user=ada", 0),
        ("/admin/auth-tokens/?", 3),
        ("/admin/auth-tokens/?user=bob", 2),
        ("/admin/auth-tokens/?state=live", 1),
        ("/admin/auth-tokens/?state=revoked", 1),
        ("/admin/auth-tokens/?state=expired", 1),
        ("/admin/auth-tokens/?kind=named&user=bob", 1),
        ("/admin/auth-tokens/?kind=login&user=bob", 1),
        ("/admin/auth-tokens/?q=scr", 1),
        ("/admin/auth-tokens/?q=tg_&state=live", 1),
        ("/admin/ledger/?kind=charge", 4),
        ("/admin/ledger/?kind=charge&user=bob", 2),
        ("/admin/ledger/?kind=refund&actor=root", 1),
        ("/admin/ledger/?kind=opening&date=today", 3),
        ("/admin/ledger/?date_to=2020-01-01", 0),
        ("/admin/history/?actor=root", 3),
        ("/admin/history/?user=ada&action=refund", 1),
        ("/admin/history/?date=today", 3),
        ("/admin/history/?date_to=2020-01-01&action=refund", 0),
    ] {
        let page = root.get(path).await;
        let label = match path.split('/').nth(2) {
            Some("auth-tokens") => "Begins with",
            Some("ledger") => "Entry",
            Some("history") => "When",
            _ => "Chat",
        };
        assert_eq!(column(&page.html(), label).len(), count, "{path}: {}", page.text());
        if count == 0 && !path.contains("user=nobody") {
            page.assert_shows(&["match", "Clear all filters"]);
        }
    }
    root.get("/admin/ledger/?user=bob&sums=1").await.assert_shows(&[
        "Added +4,000",
        "Taken −200",
        "Net +3,800",
    ]);
    root.get(&format!("/admin/chats/?q=%23{hold}")).await.assert_shows(&["pending"]);
}

#[rstest]
#[actix_web::test]
async fn an_edit_leads_back_to_the_list_with_its_filters(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = combinations(&app).await;
    let list = root.get("/admin/users/?q=user&sort=-name&staff=no").await;
    let user = root.click(&list, "user-0").await;
    let edit = root.click(&user, "Edit").await;
    let saved = root.send(&edit.form().with(&[("staff", "1"), ("own_password", PASSWORD)])).await;
    let back = root.follow(&saved).await;
    back.assert_shows(&["Saved user-0", "Staff: No", "Search: user", "7 of 17 users"]);
    assert_eq!(column(&back.html(), "Name")[0], "user-9");
    // The message is shown once.
    root.get("/admin/users/").await.assert_hides(&["Saved user-0"]);
    for (button, there) in [("another", "/admin/users/add/"), ("continue", "/admin/users/1/edit/")] {
        let page = root.submit("/admin/users/1/edit/", &[(button, "1")]).await;
        assert!(page.location().starts_with(there), "{}", page.location());
    }
}

#[rstest]
#[actix_web::test]
async fn each_administrator_has_a_page_size_and_a_time_zone(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = combinations(&app).await;
    let grace = app.staff("grace").await;
    app.sql("UPDATE users SET date_joined = '2026-07-14 22:30:00' WHERE username = 'user-0'");
    let fields = [("time_zone", "Europe/Berlin"), ("page_size", "10"), ("theme", "dark")];
    let saved = grace.submit_and_follow("/admin/settings/", &fields).await;
    saved.assert_shows(&["Settings saved", "times in Europe/Berlin"]);
    assert_eq!(saved.form().field("theme"), Some("dark"));
    assert!(saved.html().contains("data-theme=\"dark\""));
    let joined = |page: &Page| exact_times(page).first().cloned().unwrap_or_default();
    let query = "/admin/users/?joined_from=2026-07-15&joined_to=2026-07-15";
    let there = grace.get(query).await;
    assert_eq!(joined(&there), "2026-07-15 00:30:00");
    root.get(query).await.assert_shows(&["0 of 18 users"]);
    let here = root.get(&query.replace("-15", "-14")).await;
    assert_eq!(joined(&here), "2026-07-14 22:30:00");
    assert_eq!(column(&grace.get("/admin/users/").await.html(), "Name").len(), 10);
    assert_eq!(column(&root.get("/admin/users/").await.html(), "Name").len(), 18);
    for wrong in [("page_size", "0"), ("page_size", "201"), ("time_zone", "Mars/Olympus"), ("theme", "pink")]
    {
        grace
            .submit("/admin/settings/", &[wrong])
            .await
            .assert_status(400)
            .assert_shows(&["Please correct this"]);
    }
}

#[rstest]
#[actix_web::test]
async fn an_empty_list_says_what_to_do(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    for (path, text) in [
        ("/admin/users/?sort=balance", "1 new user is not in this list yet"),
        ("/admin/chats/", "There are no chats yet. They arrive through the API"),
        ("/admin/holds/", "No chat is waiting for its answer"),
        ("/admin/auth-tokens/", "There are no auth tokens yet"),
        ("/admin/bulk-operations/", "There are no bulk operations yet. To start one, tick users"),
        ("/admin/users/?q=nobody", "No users match"),
        ("/admin/search/", "Type part of a user's name"),
        ("/admin/search/?q=nothing", "Nothing found"),
    ] {
        root.get(path).await.assert_shows(&[text]);
    }
}
