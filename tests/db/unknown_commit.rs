//! A COMMIT with an unknown outcome: PostgreSQL disconnected before it answered. What was committed
//! is found by its operation id, and the rest is run. Nothing is done twice.

use std::time::Duration;

use futures_util::future::join_all;
use rstest::rstest;
use tollgate::auth::{NewSuperuser, make_superuser};
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId, Username};
use tollgate::error::{Error, Result};
use tollgate::metering::{Adjusted, Charge, Ended, Ending, Verdict, end_hold};

use super::eight::{Connection, Eight};
use crate::support::On;
use crate::support::ledger::{Account, Ledger, adjustment, charge, charged, hold, key, open, run_adjustment};
use crate::support::proxy::Proxy;
use crate::support::wait;
use crate::support::writer::{HeldWriter, queue};

/// Ends the connection during the first COMMIT only: a sequence is not rolled back.
const DIE_IN_FIRST_COMMIT: &str = "
    CREATE SEQUENCE commits;
    CREATE FUNCTION die_once() RETURNS trigger LANGUAGE plpgsql AS $$
    BEGIN
        IF nextval('commits') = 1 THEN
            PERFORM pg_terminate_backend(pg_backend_pid());
            PERFORM pg_sleep(10);
        END IF;
        RETURN NULL;
    END;
    $$;
    CREATE CONSTRAINT TRIGGER die_once AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
        FOR EACH ROW EXECUTE FUNCTION die_once()";

#[tokio::test(flavor = "multi_thread")]
async fn jobs_that_a_broken_commit_did_not_do_are_run_again() {
    let Some(eight) = Eight::create(On::Postgres).await else { return };
    eight.ledger.sql(DIE_IN_FIRST_COMMIT);
    let outcome = eight.run(|_, _| Ok(())).await;
    outcome.assert([200; 8], [2; 8], Connection::ThrownAway);
    eight.assert_recovered().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_that_a_broken_commit_did_not_do_are_run_again() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    ledger.sql(DIE_IN_FIRST_COMMIT);
    let verdicts = charge_together(&ledger.db, (0..8).map(|_| charge(ada.auth_token)).collect()).await;
    let balances: Vec<i64> = verdicts.into_iter().map(|verdict| charged(verdict.unwrap()).balance).collect();
    assert_eq!(balances, [3900, 3800, 3700, 3600, 3500, 3400, 3300, 3200]);
    assert_eq!(ledger.balance(ada.id), 3200);
    ledger.assert_sound();
}

/// Runs the charges as one batch.
async fn charge_together(db: &Db, charges: Vec<Charge>) -> Vec<Result<Verdict>> {
    let held = HeldWriter::hold(db);
    let queued: Vec<_> = charges
        .into_iter()
        .map(|charge| {
            let db = db.clone();
            queue(async move { db.write_set(charge).await })
        })
        .collect();
    held.release().await;
    join_all(queued).await
}

/// The number of the COMMIT of the batch. The first one is of the job that holds the writer.
const THE_BATCH: u32 = 2;

/// A database with two users, behind a proxy that can lose the response to a COMMIT.
struct Scene {
    ledger: Ledger,
    proxy: Proxy,
    /// Connects through the proxy, with one writer.
    db: Db,
    ada: Account,
    bob: Account,
}

impl Scene {
    async fn create() -> Option<Scene> {
        let ledger = Ledger::create(On::Postgres)?;
        let proxy = Proxy::start(ledger.url());
        let db = open(&proxy.url(ledger.url()), 1);
        let (ada, bob) = (ledger.user("ada", 4000).await, ledger.user("bob", 50).await);
        Some(Scene { ledger, proxy, db, ada, bob })
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_that_were_committed_but_not_confirmed_are_found_and_not_done_twice() {
    let Some(Scene { ledger, proxy, db, ada, bob }) = Scene::create().await else { return };
    let keyed = |charge| Charge { key: Some(key("one", "hi")), ..charge };
    let charges = vec![
        charge(ada.auth_token),
        keyed(charge(ada.auth_token)),
        charge(bob.auth_token),
        hold(ada.auth_token),
        keyed(charge(ada.auth_token)),
    ];
    proxy.lose_commit(THE_BATCH);
    let verdicts = charge_together(&db, charges).await.into_iter().map(|verdict| verdict.unwrap());
    assert!(proxy.has_lost_commits());
    let verdicts: Vec<Verdict> = verdicts.collect();
    let [plain, keyed, poor, held, repeated] = verdicts.try_into().unwrap();
    let paid = [plain, keyed, held].map(|verdict| charged(verdict));
    assert!(matches!(poor, Verdict::Insufficient { balance: 50 }), "{poor:?}");
    assert!(matches!(&repeated, Verdict::Replay { chat, .. } if chat.id == paid[1].chat_id), "{repeated:?}");
    let stored: Vec<i64> = ledger.chats(ada.id).iter().map(|chat| chat.id).collect();
    assert_eq!(stored, paid.map(|charged| charged.chat_id));
    assert_eq!(paid.map(|charged| charged.balance), [3900, 3800, 3700]);
    assert_eq!((ledger.balance(ada.id), ledger.balance(bob.id)), (3700, 50));
    ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_in_one_statement_that_was_not_confirmed_are_found_and_not_done_twice() {
    let Some(Scene { ledger, proxy, db, ada, bob }) = Scene::create().await else { return };
    proxy.lose_commit(THE_BATCH);
    let payers = [ada, bob, ada];
    let verdicts = charge_together(&db, payers.map(|payer| charge(payer.auth_token)).to_vec()).await;
    assert!(proxy.has_lost_commits());
    let verdicts: Vec<Verdict> = verdicts.into_iter().map(|verdict| verdict.unwrap()).collect();
    let [one, poor, two] = verdicts.try_into().unwrap();
    assert_eq!([one, two].map(|verdict| charged(verdict).balance), [3900, 3800]);
    assert!(matches!(poor, Verdict::Insufficient { balance: 50 }), "{poor:?}");
    assert_eq!((ledger.balance(ada.id), ledger.count("chats")), (3800, 2));
    ledger.assert_sound();
}

/// A proxy has accepted the statement and lost its client. It delivers the statement when the
/// client has been told that nothing was charged. A look-up that cannot connect (`refuses`), or
/// that fails to end the lost connection, is followed by another one, in the end in the slow lane.
#[rstest]
#[case::at_once(false, 0)]
#[case::nobody_connects(true, 0)]
#[case::two_connections_break(false, 2)]
#[case::the_slow_lane_ends_it(false, 4)]
#[tokio::test(flavor = "multi_thread")]
async fn a_charge_that_was_rejected_is_not_made_when_its_statement_arrives_later(
    #[case] refuses: bool,
    #[case] lost_ends: u32,
) {
    let Some(Scene { ledger, proxy, db, bob, .. }) = Scene::create().await else { return };
    let held = HeldWriter::hold(&db);
    let queued = queue({
        let db = db.clone();
        async move { db.write_set(charge(bob.auth_token)).await }
    });
    proxy.lose_ends(lost_ends);
    proxy.withhold_statement(refuses);
    held.release().await;
    wait::until("the statement", Duration::from_secs(20), || proxy.has_withheld().then_some(()));
    proxy.accept_again();
    let verdict = queued.await.unwrap();
    assert!(matches!(verdict, Verdict::Insufficient { balance: 50 }), "{verdict:?}");
    assert!(proxy.has_lost_ends());
    run_adjustment(&ledger.db, adjustment(bob.id, 100)).await.unwrap();
    proxy.deliver();
    assert_eq!((ledger.balance(bob.id), ledger.count("chats")), (150, 0));
    assert_eq!(charged(db.write_set(charge(bob.auth_token)).await.unwrap()).balance, 50);
    ledger.assert_sound();
}

/// The server's role may not end connections, so nobody knows what the statement will do. Others
/// are charged as before.
#[tokio::test(flavor = "multi_thread")]
async fn a_charge_whose_connection_cannot_be_ended_is_not_confirmed() {
    let Some(ledger) = Ledger::create(On::Postgres) else { return };
    let (ada, bob) = (ledger.user("ada", 4000).await, ledger.user("bob", 50).await);
    ledger.sql(
        "CREATE ROLE harmless LOGIN;
         GRANT ALL ON ALL TABLES IN SCHEMA public TO harmless;
         GRANT ALL ON ALL SEQUENCES IN SCHEMA public TO harmless;
         REVOKE EXECUTE ON FUNCTION pg_terminate_backend FROM PUBLIC",
    );
    let proxy = Proxy::start(ledger.url());
    let db = open(&proxy.url(ledger.url()).replace("postgres@", "harmless@"), 1);
    charged(db.write_set(charge(ada.auth_token)).await.unwrap());
    proxy.withhold_statement(false);
    let verdict = db.write_set(charge(bob.auth_token)).await;
    assert!(matches!(verdict, Err(Error::Unavailable(_))), "{verdict:?}");
    assert!(proxy.has_withheld());
    assert_eq!(charged(db.write_set(charge(ada.auth_token)).await.unwrap()).balance, 3800);
    ledger.assert_sound();
}

/// PostgreSQL was restarted, or a firewall has closed the connection while it was idle. That is not
/// a failure that an operator is called for.
#[tokio::test(flavor = "multi_thread")]
async fn an_idle_connection_that_was_closed_costs_nothing() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let ada = ledger.user("ada", 4000).await;
    ledger.db.write_set(charge(ada.auth_token)).await.unwrap();
    ledger.sql(
        "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity
         WHERE datname = current_database() AND application_name = 'tollgate-writer'",
    );
    assert_eq!(charged(ledger.db.write_set(charge(ada.auth_token)).await.unwrap()).balance, 3800);
    assert_eq!(ledger.db.writer_measures().failures.value(), 0);
    ledger.assert_sound();
}

/// A deferred trigger of somebody else fails when the statement is committed.
#[tokio::test(flavor = "multi_thread")]
async fn charges_whose_commit_is_refused_are_not_made() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let (ada, bob) = (ledger.user("ada", 4000).await, ledger.user("bob", 4000).await);
    ledger.sql(&format!(
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RAISE EXCEPTION ''not today''; END';
         CREATE CONSTRAINT TRIGGER refuse AFTER INSERT ON ledger_entries DEFERRABLE INITIALLY DEFERRED
             FOR EACH ROW WHEN (NEW.user_id = {}) EXECUTE FUNCTION refuse()",
        bob.id
    ));
    let charges = [ada, bob].map(|payer| charge(payer.auth_token)).to_vec();
    for verdict in charge_together(&ledger.db, charges).await {
        assert!(matches!(verdict, Err(Error::Unavailable(_))), "{verdict:?}");
    }
    assert_eq!((ledger.balance(ada.id), ledger.count("chats")), (4000, 0));
    assert_eq!(charged(ledger.db.write_set(charge(ada.auth_token)).await.unwrap()).balance, 3900);
    ledger.assert_sound();
}

/// A trigger of somebody else prevents the debit of one user. The statement is the whole
/// transaction, so it must undo itself. Only that user gets an error.
#[tokio::test(flavor = "multi_thread")]
async fn a_set_of_charges_that_debits_too_few_users_undoes_itself() {
    let Some(ledger) = Ledger::with_writers(On::Postgres, 1) else { return };
    let (ada, bob) = (ledger.user("ada", 4000).await, ledger.user("bob", 4000).await);
    ledger.sql(&format!(
        "CREATE FUNCTION keep() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
         CREATE TRIGGER keep BEFORE UPDATE ON users FOR EACH ROW WHEN (OLD.id = {}) EXECUTE FUNCTION keep()",
        bob.id
    ));
    let charges = [ada, bob].map(|payer| charge(payer.auth_token)).to_vec();
    let [adas, bobs] = charge_together(&ledger.db, charges).await.try_into().unwrap();
    assert_eq!(charged(adas.unwrap()).balance, 3900);
    assert!(matches!(bobs, Err(Error::Database(_))), "{bobs:?}");
    assert_eq!((ledger.balance(bob.id), ledger.count("chats")), (4000, 1));
    ledger.assert_sound();
}

/// The connection breaks again while what was committed is looked up: one to three times.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_interrupted_lookup_is_repeated_and_nothing_is_done_twice(#[values(2, 3, 4)] cuts: u32) {
    let Some(Scene { ledger, proxy, db, ada, bob }) = Scene::create().await else { return };
    let charges =
        vec![charge(ada.auth_token), charge(bob.auth_token), hold(ada.auth_token), charge(ada.auth_token)];
    proxy.lose_commits(THE_BATCH, cuts);
    let verdicts: Vec<Verdict> =
        charge_together(&db, charges).await.into_iter().map(|v| v.unwrap()).collect();
    assert!(proxy.has_lost_commits());
    let [one, poor, two, three] = verdicts.try_into().unwrap();
    assert_eq!([one, two, three].map(|verdict| charged(verdict).balance), [3900, 3800, 3700]);
    assert!(matches!(poor, Verdict::Insufficient { balance: 50 }), "{poor:?}");
    assert_eq!((ledger.balance(ada.id), ledger.count("chats")), (3700, 3));
    ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn charges_that_cannot_be_looked_up_get_503_and_are_done_once() {
    let Some(Scene { ledger, proxy, db, ada, .. }) = Scene::create().await else { return };
    proxy.lose_commit_and_refuse(THE_BATCH);
    let verdicts = charge_together(&db, (0..3).map(|_| charge(ada.auth_token)).collect()).await;
    for verdict in &verdicts {
        assert!(matches!(verdict, Err(Error::Unavailable(_))), "{verdict:?}");
    }
    assert_eq!(ledger.balance(ada.id), 3700, "they were committed, and that was not confirmed");
    proxy.accept_again();
    let next = charged(db.write_set(charge(ada.auth_token)).await.unwrap());
    assert_eq!(next.balance, 3600);
    ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_else_that_was_committed_but_not_confirmed_is_found_and_not_done_twice() {
    let Some(Scene { ledger, proxy, db, ada, bob }) = Scene::create().await else { return };
    let mut holds = Vec::new();
    for _ in 0..2 {
        holds.push(charged(db.write_set(hold(ada.auth_token)).await.unwrap()).chat_id);
    }
    let held = HeldWriter::hold(&db);
    let adjustments = [(ada, 70), (bob, -20), (bob, -1000), (ada, 5)].map(|(account, amount)| {
        let (db, adjustment) = (db.clone(), adjustment(account.id, amount));
        queue(async move { run_adjustment(&db, adjustment).await })
    });
    let registrations = ["eve", "Ada", "mallory"].map(|name| {
        let db = db.clone();
        queue(async move { register(&db, name).await })
    });
    let refunded = queue(end(db.clone(), ada, holds[0], Ending::failed(FailureReason::ServerError)));
    let settled = queue(end(db.clone(), ada, holds[1], Ending::answered("yes".to_owned())));
    proxy.lose_commit(THE_BATCH);
    held.release().await;

    let adjusted: Vec<Adjusted> = join_all(adjustments).await.into_iter().map(|a| a.unwrap()).collect();
    let done = |balance| Adjusted::Done { balance, is_new: false };
    assert_eq!(adjusted, [done(3870), done(30), Adjusted::OutOfRange { balance: 30 }, done(3875)]);
    let ids = join_all(registrations).await;
    assert!(matches!(ids[1], Err(Error::UsernameTaken)), "{ids:?}");
    assert!(ids[0].is_ok() && ids[2].is_ok(), "{ids:?}");
    assert_eq!(refunded.await.unwrap(), Ended::Earlier { balance: 3975 });
    assert_eq!(settled.await.unwrap(), Ended::AlreadyComplete);
    assert!(proxy.has_lost_commits());
    assert_eq!((ledger.balance(ada.id), ledger.balance(bob.id)), (3975, 30));
    assert_eq!((ledger.count("users"), ledger.entries(ada.id).len()), (4, 6));
    ledger.assert_sound();
}

async fn register(db: &Db, name: &str) -> Result<i64> {
    let username = Username::parse(name).unwrap();
    make_superuser(db, NewSuperuser { username, password_hash: "!".to_owned(), tokens: 10 }).await
}

async fn end(db: Db, account: Account, chat_id: i64, ending: Ending) -> Result<Ended> {
    let operation_id = OperationId::generate();
    let job =
        move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, operation_id, clock::now())?);
    db.write(Scope::user(account.id), job).await
}
