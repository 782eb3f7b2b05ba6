//! Bulk operations: what is selected, what is done, and what fails.

use rstest::rstest;
use tollgate::administration::finish_all;

use crate::support::On;
use crate::support::app::TestApp;
use crate::support::ledger;
use crate::support::panel::Browser;

/// Registers this number of users, named `user-0` and so on. Returns a superuser's browser.
async fn crowd(app: &TestApp, number: usize) -> Browser<'_> {
    for number in 0..number {
        app.register(&format!("user-{number}")).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    root
}

const GIFT: [(&str, &str); 2] = [("amount", "25"), ("reason", "a gift")];

/// Returns the number of users who got the gift, and checks that each got it exactly once.
fn gifts(app: &TestApp) -> i64 {
    let entries = app.count("ledger_entries WHERE kind = 'adjustment' AND amount = 25");
    let users =
        app.number("SELECT count(DISTINCT user_id) AS value FROM ledger_entries WHERE kind = 'adjustment'");
    let recorded =
        app.number("SELECT count(DISTINCT user_id) AS value FROM audit_log WHERE action = 'adjust'");
    assert_eq!(
        (users, recorded),
        (entries, entries),
        "each row must have one entry in the ledger and one in the history"
    );
    entries
}

#[rstest]
#[actix_web::test]
async fn a_bulk_operation_covers_what_matched_when_it_was_confirmed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 30).await;
    root.submit("/admin/settings/", &[("page_size", "10")]).await.assert_status(303);
    // Selected on the second page of the list, but also covers the first.
    let first = root.get("/admin/users/?q=user&sort=name").await;
    let second = root.click(&first, "Next ›").await;
    let confirm = root.send(&second.form().with(&[("all", "1")])).await;
    confirm.assert_shows(&["30 users: search user"]);
    let done = root.confirm(&confirm.form().with(&GIFT)).await;
    // A user who registers now is not selected. One who is renamed now stays selected.
    app.register("user-late").await.assert_status(201);
    app.sql("UPDATE users SET username = 'gone', username_canonical = 'gone' WHERE username = 'user-3'");
    root.follow(&done).await.assert_shows(&["0 of 30 done.", "Selection 30 users: search user", "running"]);
    finish_all(&app.services.db).await.unwrap();
    let page = root.follow(&done).await;
    page.assert_shows(&["All 30 done.", "Amount per user +25", "Reason a gift", "By root"]);
    page.assert_shows(&["There are no failures"]);
    assert_eq!(gifts(&app), 30);
    assert_eq!(app.number("SELECT tokens AS value FROM users WHERE username = 'user-late'"), 4000);
    assert_eq!(app.number("SELECT tokens AS value FROM users WHERE username = 'gone'"), 4025);
    assert_eq!(app.count("audit_log WHERE action = 'start' AND note = 'a gift'"), 1);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn only_the_ticked_rows_are_done(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 4).await;
    let list = root.get("/admin/users/?q=user").await;
    let ids = ["user-1", "user-2"].map(|name| app.id_of(name));
    // One of them twice, and an id that does not exist.
    let form =
        ids.iter().fold(list.form(), |form, id| form.tick("id", id)).tick("id", ids[0]).tick("id", 999_999);
    let confirm = root.send(&form).await;
    confirm.assert_shows(&["3 users, ticked one by one"]);
    let cancel = confirm.link("Cancel");
    assert_eq!(cancel, "/admin/users/?q=user", "the way back keeps the filters");
    let done = root.confirm(&confirm.form().with(&GIFT)).await;
    finish_all(&app.services.db).await.unwrap();
    let page = root.follow(&done).await;
    page.assert_shows(&["2 of 3 done.", "1 does not exist and was skipped.", "State with failures"]);
    page.assert_shows(&["user 999999 there is no such user"]);
    assert_eq!(gifts(&app), 2);
    for id in ids {
        assert_eq!(app.count(&format!("ledger_entries WHERE user_id = {id} AND amount = 25")), 1);
    }
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn rows_that_fail_are_listed_with_the_reason(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 3).await;
    let token = app.token("user-1").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let confirm = root.send(&root.get("/admin/users/?q=user").await.form().with(&[("all", "1")])).await;
    let done = root.confirm(&confirm.form().with(&[("amount", "-4000"), ("reason", "the end")])).await;
    finish_all(&app.services.db).await.unwrap();
    let page = root.follow(&done).await;
    page.assert_shows(&["2 of 3 done.", "Failed 1", "user-1 the balance would go below 0"]);
    page.assert_shows(&["1 has fewer than 4,000 tokens and was skipped."]);
    assert_eq!(app.balance(&token).await, 3900);
    assert_eq!(app.count("users WHERE tokens = 0"), 2);
    root.get("/admin/bulk-operations/?state=failures")
        .await
        .assert_shows(&["1 bulk operation", "3 1 with failures the end"]);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_changed_selection_must_be_confirmed_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 2).await;
    let confirm = root.send(&root.get("/admin/users/?q=user").await.form().with(&[("all", "1")])).await;
    app.register("user-late").await.assert_status(201);
    app.catch_up().await;
    let asked = root.send(&confirm.form().with(&GIFT)).await;
    asked.assert_status(400).assert_shows(&["users have changed: check the number", "3 users: search user"]);
    assert_eq!(app.count("bulk_operations"), 0);
    assert_eq!(asked.form().field("amount"), Some("25"), "the input is kept");
    // The same number of users, but different ones.
    let late = app.id_of("user-late");
    root.submit(&format!("/admin/users/{late}/edit/"), &[("username", "gone")]).await.assert_status(303);
    app.register("user-latest").await.assert_status(201);
    app.catch_up().await;
    let again = root.send(&asked.form()).await;
    again.assert_status(400).assert_shows(&["users have changed: check the number", "3 users: search user"]);
    root.send(&again.form()).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    assert_eq!(gifts(&app), 3);
}

#[rstest]
#[actix_web::test]
async fn a_form_without_a_selection_or_with_a_fault_starts_nothing(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 1).await;
    let page = root.send(&root.get("/admin/users/?q=user").await.form()).await;
    assert_eq!(page.location(), "/admin/users/?q=user");
    root.follow(&page).await.assert_shows(&["No user was selected"]);
    // The redirect leads to the list, whatever was sent as its query.
    for list in ["q=a\r\nSet-Cookie: x=y", "q=\u{e9}", "//evil.example", "q=<script>"] {
        for path in ["/admin/users/selected/", "/admin/auth-tokens/selected/"] {
            let form = root.bare_form(path).await.with(&[("list", list)]);
            let page = root.send(&form).await;
            page.assert_status(303);
            assert!(page.location().starts_with(&path.replace("selected/", "")), "{}", page.location());
            assert!(page.location().is_ascii() && page.answer.header("set-cookie").is_none());
        }
    }
    let confirm = root.send(&root.get("/admin/users/").await.form().with(&[("all", "1")])).await;
    for (fields, fault) in [
        ([("amount", "0"), ("reason", "x")], "0 changes nothing"),
        ([("amount", "ten"), ("reason", "x")], "Enter a whole number"),
        ([("amount", "5"), ("reason", "  ")], "Enter a reason"),
    ] {
        let page = root.send(&confirm.form().with(&fields)).await;
        page.assert_status(400).assert_shows(&[fault]);
    }
    assert_eq!(app.count("bulk_operations"), 0);
}

#[rstest]
#[actix_web::test]
async fn auth_tokens_are_revoked_in_bulk(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 2).await;
    let (one, two) = (app.token("user-0").await, app.token("user-0").await);
    let other = app.token("user-1").await;
    let form = root.get("/admin/auth-tokens/?user=user-0").await.form().with(&[("all", "1")]);
    let confirm = root.send(&form).await;
    confirm.assert_shows(&["2 auth tokens: user user-0", "This cannot be undone"]);
    root.send(&confirm.form().with(&[("reason", "they leaked")])).await.assert_status(303);
    finish_all(&app.services.db).await.unwrap();
    for token in [one, two] {
        app.get("/balance/", &token).await.assert_status(401);
    }
    assert_eq!(app.balance(&other).await, 4000);
    assert_eq!(app.count("audit_log WHERE action = 'revoke' AND note = 'they leaked'"), 2);
}

#[rstest]
#[actix_web::test]
async fn two_workers_at_once_do_each_row_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = crowd(&app, 5).await;
    // In several jobs: on PostgreSQL, one that takes longer than 1.5 s counts as hanging.
    for part in 0..7 {
        let job = move |conn: &mut tollgate::db::DbConnection| add_a_hundred_users(conn, part);
        app.services.db.write(tollgate::db::Scope::none(), job).await.unwrap();
    }
    app.catch_up().await;
    let confirm = root.send(&root.get("/admin/users/?q=user").await.form().with(&[("all", "1")])).await;
    let done = root.confirm(&confirm.form().with(&GIFT)).await;
    let node = ledger::open(app.database().url(), 2);
    let (here, there, again) =
        futures_util::join!(finish_all(&app.services.db), finish_all(&node), finish_all(&app.services.db));
    here.unwrap();
    there.unwrap();
    again.unwrap();
    root.follow(&done).await.assert_shows(&["All 705 done.", "There are no failures"]);
    assert_eq!(gifts(&app), 705);
    app.assert_sound();
}

/// Adds users number `part * 100` to `part * 100 + 99`.
fn add_a_hundred_users(conn: &mut tollgate::db::DbConnection, part: usize) -> tollgate::error::Result<()> {
    for number in part * 100..(part + 1) * 100 {
        let new = ledger::new_account(&format!("user-of-many-{number}"), 10);
        tollgate::metering::open_account(conn, &new)?;
    }
    Ok(())
}
