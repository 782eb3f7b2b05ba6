//! The last line of defence: statements that the database itself refuses.

use diesel::connection::SimpleConnection;
use rstest::rstest;
use tollgate::db::{DbConnection, Scope};
use tollgate::error::Error;

use crate::support::On;
use crate::support::ledger::{Ledger, charge, charged, hold, key};

/// A ledger with one user, one paid chat of 100 tokens with a key, and one hold.
struct Scene {
    ledger: Ledger,
    on: On,
    user: i64,
    chat: i64,
    hold: i64,
}

impl Scene {
    async fn create(on: On) -> Option<Scene> {
        let ledger = Ledger::create(on)?;
        let ada = ledger.user("ada", 4000).await;
        let keyed = tollgate::metering::Charge { key: Some(key("one", "hi")), ..charge(ada.auth_token) };
        let chat = charged(ledger.db.write_set(keyed).await.unwrap()).chat_id;
        let hold = charged(ledger.db.write_set(hold(ada.auth_token)).await.unwrap()).chat_id;
        Some(Scene { ledger, on, user: ada.id, chat, hold })
    }

    /// Returns a literal of `count` bytes for this database.
    fn bytes(&self, count: usize) -> String {
        let digits = "7a".repeat(count);
        match self.on {
            On::Sqlite => format!("x'{digits}'"),
            On::Postgres => format!("'\\x{digits}'::bytea"),
        }
    }

    fn entry(&self, kind: &str, amount: i64, balance_after: i64, chat: Option<i64>) -> String {
        let chat = chat.map_or("NULL".to_owned(), |id| id.to_string());
        format!(
            "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
             VALUES ({}, {amount}, {balance_after}, '{kind}', {chat}, {}, '2026-01-01 00:00:00')",
            self.user,
            self.bytes(16)
        )
    }

    fn chat(&self, state: &str, origin: &str, charge: i64, deadline: &str) -> String {
        format!(
            "INSERT INTO chats (user_id, message, model, state, charge, origin, created_at, deadline)
             VALUES ({}, 'hi', 'dummy', '{state}', {charge}, '{origin}', '2026-01-01 00:00:00', {deadline})",
            self.user
        )
    }

    /// Checks that a constraint or a trigger refuses each statement. Rolls back in any case.
    #[track_caller]
    fn assert_all_refused(&self, statements: &[String]) {
        let mut conn = self.ledger.raw();
        for statement in statements {
            conn.batch_execute("BEGIN").unwrap();
            let outcome = conn.batch_execute(statement);
            conn.batch_execute("ROLLBACK").unwrap();
            assert!(outcome.is_err(), "not refused: {statement}");
            let why = outcome.unwrap_err().to_string();
            let by_a_guard = ["constraint", "append-only", "would go back"];
            assert!(by_a_guard.iter().any(|text| why.contains(text)), "{statement}: {why}");
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_ledger_is_append_only(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let mut statements = vec![
        "UPDATE ledger_entries SET amount = amount".to_owned(),
        "UPDATE ledger_entries SET note = 'x' WHERE kind = 'opening'".to_owned(),
        "DELETE FROM ledger_entries".to_owned(),
        format!("DELETE FROM ledger_entries WHERE chat_id = {}", scene.hold),
        format!("DELETE FROM users WHERE id = {}", scene.user),
        format!("DELETE FROM chats WHERE id = {}", scene.chat),
    ];
    match on {
        On::Postgres => statements.push("TRUNCATE ledger_entries CASCADE".to_owned()),
        On::Sqlite => statements.push(format!("{REPLACE} 1 FROM ledger_entries WHERE kind = 'opening'")),
    }
    scene.assert_all_refused(&statements);
    scene.ledger.assert_sound();
}

/// Replaces the opening entry by one of a million tokens.
const REPLACE: &str = "INSERT OR REPLACE INTO ledger_entries
    (id, user_id, amount, balance_after, kind, operation_id, created_at, chat_id, note)
    SELECT id, user_id, 1000000, 1000000, kind, operation_id, created_at, chat_id,";

/// `recursive_triggers` must be on for Tollgate's own connection: otherwise REPLACE fires no DELETE
/// trigger.
#[tokio::test(flavor = "multi_thread")]
async fn replace_cannot_bypass_the_triggers_on_tollgates_own_connection() {
    let Some(scene) = Scene::create(On::Sqlite).await else { return };
    let statement = format!("{REPLACE} 1 FROM ledger_entries WHERE kind = 'opening'");
    let job = move |conn: &mut DbConnection| Ok(conn.batch_execute(&statement)?);
    let refused = scene.ledger.db.write(Scope::none(), job).await;
    assert!(matches!(&refused, Err(Error::Unavailable(why)) if why.contains("append-only")), "{refused:?}");
    assert_eq!(scene.ledger.entries(scene.user)[0].amount, 4000);
    scene.ledger.assert_sound();
}

/// A read connection must not write: only the writer's queue and transactions handle failed writes.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_read_connection_cannot_write(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let write = |conn: &mut DbConnection| Ok(conn.batch_execute("UPDATE users SET tokens = 1000000")?);
    scene.ledger.db.read(write).await.unwrap_err();
    assert_eq!(scene.ledger.balance(scene.user), 3800);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_chat_has_one_charge_and_no_more_is_returned_than_was_charged(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(scene) = Scene::create(on).await else { return };
    let (chat, hold) = (Some(scene.chat), Some(scene.hold));
    let with_another_id = |statement: String| statement.replace("7a7a", "7b7b");
    scene.assert_all_refused(&[
        scene.entry("charge", -100, 3700, chat),
        scene.entry("charge", 0, 3800, chat),
        scene.entry("refund", 101, 3901, hold),
        scene.entry("settlement", 101, 3901, chat),
        format!(
            "{}; {}",
            scene.entry("refund", 60, 3860, hold),
            with_another_id(scene.entry("settlement", 41, 3901, hold))
        ),
        format!(
            "{}; {}",
            scene.entry("refund", 0, 3800, hold),
            with_another_id(scene.entry("refund", 0, 3800, hold))
        ),
        format!(
            "{}; {}",
            scene.entry("settlement", 1, 3801, chat),
            with_another_id(scene.entry("settlement", 1, 3802, chat))
        ),
        format!(
            "{}; {}",
            scene.chat("complete", "live", 0, "NULL"),
            scene.entry("refund", 1, 3801, Some(999))
        ),
        scene.entry("opening", 4000, 7800, None),
    ]);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn amounts_have_the_sign_of_their_kind_and_balances_are_never_negative(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(scene) = Scene::create(on).await else { return };
    let hold = Some(scene.hold);
    scene.assert_all_refused(&[
        "UPDATE users SET tokens = -1".to_owned(),
        "UPDATE users SET tokens = tokens - 3801".to_owned(),
        scene.entry("adjustment", -4000, -200, None),
        scene.entry("adjustment", 0, 3800, None),
        scene.entry("refund", -1, 3799, hold),
        scene.entry("settlement", -1, 3799, hold),
        scene.entry("charge", 1, 3801, hold),
        scene.entry("gift", 1, 3801, None),
        scene.entry("charge", -1, 3799, None),
        scene.entry("refund", 1, 3801, None),
        scene.entry("adjustment", 1, 3801, hold),
        scene.chat("complete", "live", -1, "NULL"),
    ]);
    scene.ledger.assert_sound();
}

#[tokio::test(flavor = "multi_thread")]
async fn on_sqlite_a_balance_stays_an_integer() {
    let Some(scene) = Scene::create(On::Sqlite).await else { return };
    let overflow = "UPDATE users SET tokens = 9223372036854775807; UPDATE users SET tokens = tokens + 1";
    let mut statements: Vec<String> =
        [overflow, "UPDATE users SET tokens = 0.5", "UPDATE users SET tokens = 'x'"]
            .map(str::to_owned)
            .to_vec();
    let entry = scene.entry("adjustment", 1, 3801, None);
    statements.extend([entry.replace(" 1,", " 0.5,"), entry.replace(" 3801,", " 3801.5,")]);
    scene.assert_all_refused(&statements);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_hold_has_a_deadline_and_no_other_chat_has_one(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let time = "'2026-01-01 00:00:00'";
    scene.assert_all_refused(&[
        scene.chat("pending", "live", 100, "NULL"),
        scene.chat("complete", "live", 100, time),
        scene.chat("forgotten", "live", 100, "NULL"),
        scene.chat("complete", "elsewhere", 100, "NULL"),
        format!("UPDATE chats SET state = 'complete' WHERE id = {}", scene.hold),
    ]);
    scene.ledger.assert_sound();
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn unique_values_and_references_are_enforced(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::create(on).await else { return };
    let Scene { user, chat, hold, .. } = scene;
    let time = "'2026-01-01 00:00:00'";
    let name = |canonical: &str| {
        format!(
            "INSERT INTO users (username, username_canonical, password, tokens, is_active, is_staff, is_superuser,
                                date_joined, version)
             VALUES ('x', '{canonical}', '!', 0, TRUE, FALSE, FALSE, {time}, 0)"
        )
    };
    let token = |user: i64, digest: &str| {
        format!(
            "INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
             VALUES ({user}, {digest}, 'tg_', {time})"
        )
    };
    let stored_key = |user: i64, key: &str, fingerprint: usize, chat: i64| {
        format!(
            "INSERT INTO idempotency_keys (user_id, key, fingerprint, chat_id, created_at)
             VALUES ({user}, '{key}', {}, {chat}, {time})",
            scene.bytes(fingerprint)
        )
    };
    let same_operation = scene
        .entry("adjustment", 1, 3801, None)
        .replace(&scene.bytes(16), "(SELECT operation_id FROM ledger_entries WHERE kind = 'opening')");
    scene.assert_all_refused(&[
        name("ada"),
        token(user, "(SELECT digest FROM auth_tokens)"),
        token(user, &scene.bytes(31)),
        token(999, &scene.bytes(32)),
        stored_key(user, "one", 32, hold),
        stored_key(user, "two", 32, chat),
        stored_key(user, "two", 31, hold),
        stored_key(user, "two", 32, 999),
        same_operation,
        scene.entry("adjustment", 1, 3801, None).replace(&scene.bytes(16), &scene.bytes(15)),
        "INSERT INTO compatibility (id, oldest_binary) VALUES (2, '0.1.0')".to_owned(),
    ]);
    scene.ledger.assert_sound();
}
