//! *Undo* writes counter-entries, and only once, on however many nodes it is tried.

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::administration::{
    Bulk, EntryUndone, UndoStarted, Undoability, adjust_balance, finish_all, undo_bulk_operation, undo_entry,
};
use tollgate::audit::Actor;
use tollgate::db::Db;
use tollgate::domain::{OperationId, Reason};

use super::bulk_actions::in_bulk;
use crate::support::On;
use crate::support::app::TestApp;
use crate::support::ledger;

fn reason() -> Reason {
    Reason::parse("a mistake").unwrap()
}

#[rstest]
#[actix_web::test]
async fn undoing_restores_balances_once_and_leaves_out_what_failed(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let mut tokens = Vec::new();
    for name in ["ada", "bob", "eve"] {
        tokens.push(app.user(name).await);
    }
    app.chat(&tokens[2], "Hello").await.assert_status(201);
    let root = app.superuser("root").await;
    app.catch_up().await;
    let all = root.get("/admin/users/").await.form();
    let all = ["ada", "bob", "eve"].into_iter().fold(all, |form, name| form.tick("id", app.id_of(name)));
    let preview = root.send(&all.with(&[("amount", "-4000")])).await;
    let done = root.send(&preview.form().with(&[("reason", "a slip")])).await;
    let running = root.follow(&done).await;
    running.assert_hides(&["Undo…"]);
    finish_all(&app.services.db).await.unwrap();
    let result = root.follow(&done).await;
    result.assert_shows(&["2 of 3 done."]);
    let undo = root.click(&result, "Undo…").await;
    undo.assert_status(200).assert_shows(&[
        "2 users, +4,000 tokens each: +8,000 tokens in total.",
        "The first 2 users",
        "Undoes #1 adjust balances",
    ]);
    assert_eq!(undo.form().field("reason"), Some("Undo: a slip"));
    root.send(&undo.form().with(&[("reason", "")])).await.assert_status(400);
    let (first, second) = (undo.form(), root.click(&result, "Undo…").await.form());
    let undone = root.send(&first).await;
    assert_eq!(root.send(&first).await.location(), undone.location(), "the same form starts one operation");
    finish_all(&app.services.db).await.unwrap();
    let page = root.follow(&undone).await;
    page.assert_shows(&["All 2 done.", "Undoes bulk operation 1", "Undo: a slip"]).assert_hides(&["Undo…"]);
    for (token, balance) in tokens.iter().zip([4000, 4000, 3900]) {
        assert_eq!(app.balance(token).await, balance);
    }
    let refused = root.send(&second).await;
    let page = root.follow(&refused).await;
    page.assert_shows(&["This operation was undone before", "Undone by bulk operation 2"]);
    assert!(page.link("Show the operation that undid it").ends_with("/2/"));
    page.assert_hides(&["Undo…"]);
    // An undo cannot be undone.
    let again = root.get("/admin/bulk-operations/2/undo/").await;
    again.assert_status(400).assert_shows(&["An undo cannot be undone"]).assert_hides(&["Undo all"]);
    assert_eq!(app.count("bulk_operations"), 2);
    assert_eq!(app.count("audit_log WHERE action = 'start'"), 2);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn tokens_that_are_spent_are_not_taken_back(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    for message in ["one", "two"] {
        app.chat(&token, message).await.assert_status(201);
    }
    let root = app.superuser("root").await;
    app.catch_up().await;
    let all = root.get("/admin/chats/").await.form().with(&[("all", "1"), ("action", "refund")]);
    let preview = root.send(&all).await;
    let done = root.send(&preview.form().with(&[("reason", "sorry")])).await;
    finish_all(&app.services.db).await.unwrap();
    // 4,000 tokens, of which 150 are left.
    let adjust = format!("/admin/users/{}/adjust/", app.id_of("ada"));
    root.submit(&adjust, &[("amount", "-3850"), ("reason", "spent")]).await.assert_status(303);
    let undo = root.follow(&done).await;
    let undo = root.click(&undo, "Undo…").await;
    undo.assert_shows(&[
        "2 chats: −100 tokens in total.",
        "1 is of a user who has spent the tokens and will be skipped.",
        "1 will be undone: −100 tokens.",
    ]);
    let undone = root.send(&undo.form()).await;
    finish_all(&app.services.db).await.unwrap();
    root.follow(&undone).await.assert_shows(&["1 of 2 done.", "the tokens are spent"]);
    assert_eq!(app.balance(&token).await, 50);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn a_message_undoes_what_it_tells_of(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    // A refund, whose tokens are spent meanwhile.
    let refund = format!("/admin/chats/{}/refund/", app.number("SELECT max(id) AS value FROM chats"));
    let refunded = root.submit_and_follow(&refund, &[("reason", "sorry")]).await;
    root.submit(&format!("{user}adjust/"), &[("amount", "-3950"), ("reason", "spent")]).await;
    let undone = root.send(&refunded.undo_form()).await;
    root.follow(&undone).await.assert_shows(&["Nothing was undone: ada has only 50 tokens left"]);
    root.submit(&format!("{user}adjust/"), &[("amount", "100"), ("reason", "back")]).await;
    let undone = root.send(&refunded.undo_form()).await;
    root.follow(&undone).await.assert_shows(&["Undone: ada now has 50 tokens (−100)."]);
    // Limits.
    let limited = root.submit_and_follow(&format!("{user}limits/"), &[("concurrent_chats", "3")]).await;
    root.send(&limited.undo_form()).await.assert_status(303);
    assert_eq!(app.count("users WHERE concurrent_chats = 3"), 0);
    // Deactivating, and again after somebody has changed the user.
    let off = root.submit_and_follow(&format!("{user}deactivate/"), &[("reason", "spam")]).await;
    let undone = root.send(&off.undo_form()).await;
    root.follow(&undone).await.assert_shows(&["ada is reactivated."]);
    assert_eq!(app.count("audit_log WHERE action = 'reactivate' AND note = 'Undo: spam'"), 1);
    root.submit(&format!("{user}deactivate/"), &[]).await.assert_status(303);
    let stale = root.send(&off.undo_form()).await;
    root.follow(&stale).await.assert_shows(&["Nothing was undone: ada was changed in the meantime."]);
    assert_eq!(app.count("users WHERE username = 'ada' AND is_active"), 0);
    // What cannot be undone has no button.
    let out = root.submit_and_follow(&format!("{user}log-out/"), &[]).await;
    out.assert_shows(&["logged out everywhere"]).assert_hides(&["name=\"undo\""]);
    let result =
        in_bulk(&app, &root, ("/admin/users/", "log-out", app.id_of("ada")), &[("reason", "x")]).await;
    result.assert_shows(&["Undo not possible"]).assert_hides(&["Undo…"]);
    app.assert_sound();
}

/// Between a bulk operation and its undoing, somebody may have decided otherwise about a user.
#[rstest]
#[actix_web::test]
async fn undoing_leaves_later_decisions_alone(
    #[values(On::Sqlite, On::Postgres)] on: On,
    #[values(false, true)] starts_inactive: bool,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let root = app.superuser("root").await;
    let (turn, back) =
        if starts_inactive { ("reactivate", "deactivate") } else { ("deactivate", "reactivate") };
    for name in ["ada", "bob"] {
        app.user(name).await;
        if starts_inactive {
            root.submit(&format!("/admin/users/{}/{back}/", app.id_of(name)), &[]).await.assert_status(303);
        }
    }
    app.catch_up().await;
    let list = root.get("/admin/users/").await.form().with(&[("action", turn)]);
    let list = ["ada", "bob"].into_iter().fold(list, |form, name| form.tick("id", app.id_of(name)));
    let preview = root.send(&list).await;
    let done = root.send(&preview.form().with(&[("reason", "x")])).await;
    finish_all(&app.services.db).await.unwrap();
    for action in [back, turn] {
        root.submit(&format!("/admin/users/{}/{action}/", app.id_of("ada")), &[]).await.assert_status(303);
    }
    let undo = root.follow(&done).await;
    let undo = root.click(&undo, "Undo…").await;
    undo.assert_shows(&["1 has changed since and will be skipped."]);
    let undone = root.send(&undo.form()).await;
    finish_all(&app.services.db).await.unwrap();
    root.follow(&undone).await.assert_shows(&["1 of 2 done.", "changed since"]);
    let is_active = |name: &str| app.count(&format!("users WHERE username = '{name}' AND is_active")) == 1;
    assert_eq!((is_active("ada"), is_active("bob")), (starts_inactive, !starts_inactive));
}

/// No page offers it, but a form can be made by hand.
#[rstest]
#[actix_web::test]
async fn a_released_hold_is_not_charged_again(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    let user = format!("/admin/users/{}/", app.id_of("ada"));
    app.chat(&token, "Hello").await.assert_status(201);
    let chat = app.number("SELECT max(id) AS value FROM chats");
    let refund = format!("/admin/chats/{chat}/refund/");
    let refunded = root.submit_and_follow(&refund, &[("reason", "sorry")]).await;
    let hold = app.hold(&token).await;
    let release = root.get(&format!("/admin/chats/{hold}/release/")).await.form();
    let operation = release.field("operation").unwrap_or_default().to_owned();
    root.send(&release.with(&[("reason", "stuck")])).await.assert_status(303);
    let before = app.balance(&token).await;
    let by_hand = refunded.undo_form();
    assert_eq!(by_hand.action, format!("{user}undo/"));
    let answer = root.send(&by_hand.clone().with(&[("undone", operation.as_str())])).await;
    root.follow(&answer).await.assert_shows(&["There is nothing to undo"]);
    assert_eq!(app.balance(&token).await, before);
    // The refund of the chat can be undone.
    root.send(&by_hand).await.assert_status(303);
    assert_eq!(app.balance(&token).await, before - 100);
    app.assert_sound();
}

#[rstest]
#[actix_web::test]
async fn several_nodes_that_undo_at_once_undo_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let root = app.superuser("root").await;
    app.catch_up().await;
    let (ada, node, bulk) = (app.id_of("ada"), ledger::open(app.database().url(), 2), Bulk::default());
    let here: &Db = &app.services.db;
    let actor = Actor { user_id: Some(app.id_of("root")), address: "192.0.2.1".to_owned() };
    // One entry.
    let operation = OperationId::generate();
    adjust_balance(here, &actor, ada, 500, &reason(), operation).await.unwrap();
    let undos = (0..6).map(|number| undo_entry([here, &node][number % 2], &actor, ada, operation));
    for outcome in join_all(undos).await {
        let outcome = outcome.unwrap();
        let done = EntryUndone::Done { amount: -500, balance: 4000 };
        assert!([done, EntryUndone::Before].contains(&outcome), "{outcome:?}");
    }
    assert_eq!(undo_entry(here, &actor, ada, operation).await.unwrap(), EntryUndone::Before);
    assert_eq!(app.count("ledger_entries WHERE amount = -500"), 1);
    assert_eq!(app.balance(&token).await, 4000);
    // A bulk operation.
    in_bulk(&app, &root, ("/admin/users/", "adjust", ada), &[("amount", "70"), ("reason", "a gift")]).await;
    let undos = (0..6).map(|number| {
        let (db, seed) = ([here, &node][number % 2], OperationId::generate());
        let (bulk, actor) = (&bulk, &actor);
        async move { undo_bulk_operation(db, bulk, actor, 1, seed, &reason()).await.unwrap() }
    });
    let outcomes = join_all(undos).await;
    let undoing = app.number("SELECT undoing_id AS value FROM bulk_undos");
    let started = UndoStarted::Started(undoing);
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == started).count(), 1, "{outcomes:?}");
    let refused = UndoStarted::Refused(Undoability::Undone(undoing));
    assert_eq!(outcomes.iter().filter(|outcome| **outcome == refused).count(), 5, "{outcomes:?}");
    let (one, other) = futures_util::join!(finish_all(here), finish_all(&node));
    one.unwrap();
    other.unwrap();
    assert_eq!(app.count("ledger_entries WHERE amount = -70"), 1);
    assert_eq!(app.balance(&token).await, 4000);
    app.assert_sound();
}
