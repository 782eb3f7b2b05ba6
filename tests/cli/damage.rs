//! `verify` finds every kind of damage: at least one case for each of its claims.

use std::fs::File;
use std::os::unix::fs::FileExt;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::BigInt;
use rstest::rstest;

use super::sql::{execute, execute_unguarded, fill};
use super::{Said, run};
use crate::support::{On, TestDatabase};

const BALANCE: &str = "every balance equals the sum of its ledger";
const NOT_NEGATIVE: &str = "no balance is below 0";
const CHAIN: &str = "balance_after runs unbroken";
const OPENING: &str = "every user has one opening entry";
const CHARGED: &str = "every live chat has its charge";
const ONCE: &str = "a chat has at most one charge, one settlement and one refund";
const NO_MORE_BACK: &str = "no more goes back for a chat than was charged";
const FAILED_FREE: &str =
    "a failed chat costs nothing, unless its upstream worked, and a pending one has nothing given back";
const SETTLED: &str = "only a chat is settled that was answered, or that its upstream worked for";
const BELONGS: &str = "ledger entries belong to users and chats that exist, and to the chat's own user";
const KEYS: &str = "idempotency keys name chats of their own user";
const OVERDUE: &str = "no hold is past its deadline";
const INTEGERS: &str = "amounts are integers";
const GUARDS: &str = "the triggers and unique indexes that guard the ledger are there";
const REFERENCES: &str = "references name rows that exist";
const SOUND: &str = "the database file is sound";

/// Returns a database without damage, as `verify` confirms.
fn sound_database(on: On) -> Option<TestDatabase> {
    let database = TestDatabase::create(on)?;
    run(&database, &["migrate"]).assert_good();
    fill(&database, on);
    let said = run(&database, &["verify"]);
    said.assert_good();
    assert!(!said.out.contains("WRONG"), "{said:?}");
    Some(database)
}

/// Checks that the command failed and listed `fault` under the heading of this claim.
#[track_caller]
fn assert_found(said: &Said, claim: &str, fault: &str) {
    assert_eq!(said.code, Some(1), "{said:?}");
    let heading = format!("WRONG  {claim}\n");
    let (_, rest) = said.out.split_once(&heading).unwrap_or_else(|| panic!("{claim} holds:\n{}", said.out));
    let faults: Vec<&str> =
        rest.lines().take_while(|line| line.starts_with("         ")).map(str::trim).collect();
    assert!(faults.iter().any(|line| line.starts_with(fault)), "{fault:?} is not among {faults:?}");
    assert!(said.err.contains("of the claims above do not hold"), "{said:?}");
}

/// Returns a statement that adds a ledger entry with a unique operation id, on either database.
fn another_entry(on: On, values: &str) -> String {
    let operation_id = match on {
        On::Sqlite => "randomblob(16)",
        On::Postgres => "uuid_send(gen_random_uuid())",
    };
    format!(
        "INSERT INTO ledger_entries (id, user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
         SELECT {values}, {operation_id}, '2026-01-02 03:04:06'"
    )
}

#[rstest]
#[case(
    "UPDATE users SET tokens = tokens + 1 WHERE id = 1",
    BALANCE,
    "user 1 (ada) has 3901 tokens, but the ledger sums to 3900"
)]
#[case(
    "DELETE FROM ledger_entries WHERE user_id = 2",
    BALANCE,
    "user 2 (bob) has 4000 tokens, but the ledger sums to 0"
)]
#[case("UPDATE users SET tokens = -1 WHERE id = 2", NOT_NEGATIVE, "user 2 has -1 tokens")]
#[case(
    "UPDATE ledger_entries SET balance_after = 3801 WHERE id = 4",
    CHAIN,
    "ledger entry 4 of user 1 says 3801 after -100, but before it were 3900"
)]
#[case(
    "DELETE FROM ledger_entries WHERE id = 4",
    CHAIN,
    "ledger entry 5 of user 1 says 3900 after 100, but before it were 3900"
)]
#[case("UPDATE ledger_entries SET kind = 'adjustment' WHERE id = 2", OPENING, "user 2 has 0 opening entries")]
#[case("DELETE FROM ledger_entries WHERE chat_id = 1", CHARGED, "chat 1 has no charge")]
#[case(
    "UPDATE chats SET charge = 50 WHERE id = 1",
    CHARGED,
    "chat 1 costs 50 of user 1, but ledger entry 3 takes 100 of user 1"
)]
#[case(
    "UPDATE chats SET user_id = 2 WHERE id = 1",
    CHARGED,
    "chat 1 costs 100 of user 2, but ledger entry 3 takes 100 of user 1"
)]
#[case(
    "UPDATE ledger_entries SET amount = 150 WHERE id = 5",
    NO_MORE_BACK,
    "chat 2 gave back 50 more than it took"
)]
#[case(
    "UPDATE chats SET state = 'failed' WHERE id = 1",
    FAILED_FREE,
    "chat 1 is failed, but 100 of its charge of 100 stay taken"
)]
#[case(
    "UPDATE ledger_entries SET kind = 'settlement' WHERE id = 5",
    SETTLED,
    "chat 2 is failed, but ledger entry 5 settles it"
)]
#[case(
    "UPDATE chats SET state = 'pending', deadline = '2999-01-01 00:00:00' WHERE id = 2",
    FAILED_FREE,
    "chat 2 is pending, but 0 of its charge of 100 stay taken"
)]
#[case(
    "UPDATE ledger_entries SET user_id = 99 WHERE id = 2",
    BELONGS,
    "ledger entry 2 of user 99 names chat - of user -"
)]
#[case(
    "UPDATE ledger_entries SET chat_id = 99 WHERE id = 3",
    BELONGS,
    "ledger entry 3 of user 1 names chat 99 of user -"
)]
#[case(
    "UPDATE ledger_entries SET user_id = 2 WHERE id = 3",
    BELONGS,
    "ledger entry 3 of user 2 names chat 1 of user 1"
)]
#[case(
    "UPDATE ledger_entries SET chat_id = NULL WHERE id = 3",
    BELONGS,
    "ledger entry 3 of user 1 names chat - of user -"
)]
#[case(
    "UPDATE ledger_entries SET chat_id = 1 WHERE id = 1",
    BELONGS,
    "ledger entry 1 of user 1 names chat 1 of user 1"
)]
#[case("UPDATE idempotency_keys SET user_id = 2", KEYS, "chat 1 has an idempotency key of user 2")]
#[case("UPDATE idempotency_keys SET chat_id = 99", KEYS, "chat 99 has an idempotency key of user 1")]
#[case(
    "UPDATE chats SET state = 'pending', deadline = '2026-01-02 03:04:05' WHERE id = 1",
    OVERDUE,
    "chat 1 is pending, and its deadline was 2026-01-02 03:04:05"
)]
fn verify_names_the_row_that_was_changed_by_hand(
    #[case] damage: &str,
    #[case] claim: &str,
    #[case] fault: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = sound_database(on) else { return };
    execute_unguarded(&database, on, damage);
    assert_found(&run(&database, &["verify"]), claim, fault);
}

#[rstest]
#[case(
    "ledger_entries_once_per_chat",
    "6, 1, -100, 3800, 'charge', 1",
    ONCE,
    "chat 1 has 2 entries of kind charge"
)]
#[case(
    "ledger_entries_once_per_chat",
    "6, 1, 0, 3900, 'refund', 2",
    ONCE,
    "chat 2 has 2 entries of kind refund"
)]
#[case(
    "ledger_entries_one_opening",
    "6, 1, 4000, 7900, 'opening', CAST(NULL AS BIGINT)",
    OPENING,
    "user 1 has 2 opening entries"
)]
fn verify_names_duplicates(
    #[case] index: &str,
    #[case] entry: &str,
    #[case] claim: &str,
    #[case] fault: &str,
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = sound_database(on) else { return };
    execute_unguarded(&database, on, &format!("DROP INDEX {index}; {}", another_entry(on, entry)));
    let said = run(&database, &["verify"]);
    assert_found(&said, claim, fault);
    assert_found(&said, GUARDS, &format!("{index} is missing"));
}

#[rstest]
#[case("UPDATE users SET tokens = 4000.5 WHERE id = 2", INTEGERS, "user 2 has tokens of type real")]
#[case(
    "UPDATE ledger_entries SET amount = 'much' WHERE id = 2",
    INTEGERS,
    "ledger entry 2 has an amount of type text"
)]
#[case(
    "UPDATE ledger_entries SET balance_after = 0.5 WHERE id = 2",
    INTEGERS,
    "ledger entry 2 has an amount of type integer and a balance of type real"
)]
#[case(
    "UPDATE auth_tokens SET user_id = 99",
    REFERENCES,
    "row 1 of auth_tokens refers to a row of users that does not exist"
)]
#[case("UPDATE users SET tokens = -1 WHERE id = 2", SOUND, "the file CHECK constraint failed in users")]
fn verify_names_damage_that_only_sqlite_allows(
    #[case] damage: &str,
    #[case] claim: &str,
    #[case] fault: &str,
) {
    let Some(database) = sound_database(On::Sqlite) else { return };
    execute_unguarded(&database, On::Sqlite, damage);
    assert_found(&run(&database, &["verify"]), claim, fault);
}

#[rstest]
fn verify_names_each_missing_guard(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = sound_database(on) else { return };
    let table = if on == On::Postgres { " ON ledger_entries" } else { "" };
    let mut drops = vec![
        ("ledger_entries_refuse_update", format!("DROP TRIGGER ledger_entries_refuse_update{table}")),
        ("ledger_entries_refuse_delete", format!("DROP TRIGGER ledger_entries_refuse_delete{table}")),
        ("ledger_entries_within_charge", format!("DROP TRIGGER ledger_entries_within_charge{table}")),
        ("ledger_entries_once_per_chat", "DROP INDEX ledger_entries_once_per_chat".to_owned()),
        ("ledger_entries_one_opening", "DROP INDEX ledger_entries_one_opening".to_owned()),
    ];
    if on == On::Postgres {
        let switch_off = "ALTER TABLE ledger_entries DISABLE TRIGGER ledger_entries_refuse_truncate";
        drops.push(("ledger_entries_refuse_truncate", switch_off.to_owned()));
    }
    for (number, (guard, drop)) in drops.iter().enumerate() {
        execute(&database, on, drop);
        let said = run(&database, &["verify"]);
        assert_found(&said, GUARDS, &format!("{guard} is missing"));
        assert_eq!(said.out.matches(" is missing").count(), number + 1, "{said:?}");
    }
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[test]
fn verify_names_a_corrupt_page_of_the_file() {
    let Some(database) = sound_database(On::Sqlite) else { return };
    let mut conn = SqliteConnection::establish(database.url()).unwrap();
    conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    let mut number = |query: &str| -> u64 {
        let found: Number = diesel::sql_query(query).get_result(&mut conn).unwrap();
        u64::try_from(found.number).unwrap()
    };
    let size = number("SELECT page_size AS number FROM pragma_page_size");
    let index = number("SELECT rootpage AS number FROM sqlite_master WHERE name = 'users_by_joined'");
    let empty = number("SELECT rootpage AS number FROM sqlite_master WHERE name = 'chats_pending_by_user'");
    drop(conn);
    // Replaces an index's page by that of an empty index: every row is then missing from it.
    let file = File::options().read(true).write(true).open(database.url()).unwrap();
    let mut page = vec![0; usize::try_from(size).unwrap()];
    file.read_exact_at(&mut page, (empty - 1) * size).unwrap();
    file.write_all_at(&page, (index - 1) * size).unwrap();
    drop(file);
    assert_found(&run(&database, &["verify"]), SOUND, "the file row 1 missing from index users_by_joined");
}

#[rstest]
fn a_hold_within_its_deadline_is_not_damage(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = sound_database(on) else { return };
    let held = "UPDATE chats SET state = 'pending', deadline = '2999-01-01 00:00:00' WHERE id = 1";
    execute(&database, on, held);
    run(&database, &["verify"]).assert_good();
}

#[rstest]
fn verify_lists_a_hundred_faults_of_a_claim_and_says_that_there_are_more(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(database) = sound_database(on) else { return };
    let rows = (10..120).map(|id| format!("({id}, 'u{id}', 'u{id}', '!', 1, '2026-01-02 03:04:05')"));
    let rows: Vec<String> = rows.collect();
    let insert = "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)";
    execute(&database, on, &format!("{insert} VALUES {}", rows.join(", ")));
    let said = run(&database, &["verify"]);
    assert_found(&said, BALANCE, "and more");
    assert_eq!(said.out.matches("but the ledger sums to 0").count(), 100, "{said:?}");
}
