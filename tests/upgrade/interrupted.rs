//! An upgrade that is killed, one that several nodes run at once, and one that this binary must
//! reject.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use rstest::rstest;

use super::dump::{Content, Dump};
use crate::cli::run_with;
use crate::support::server::{Launch, assert_verified};
use crate::support::{On, require, wait};

const BINARY: &str = env!("CARGO_BIN_EXE_tollgate");

/// Starts `tollgate migrate`, under another program if any.
fn migrating(dump: &Dump, under: &[&str]) -> Child {
    let words: Vec<&str> =
        under.iter().copied().chain([BINARY, "migrate", "--database-url", dump.database.url()]).collect();
    let mut command = Command::new(words[0]);
    command.args(&words[1..]).env_clear().env("PATH", std::env::var_os("PATH").unwrap_or_default());
    command.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap()
}

/// Checks that the upgrade was done completely or not at all, and lost nothing. Returns whether it
/// was done.
#[track_caller]
fn assert_old_or_new(dump: &Dump, before: &Content, old: &[String]) -> bool {
    before.assert_kept(dump);
    let applied = dump.migrations();
    let db = crate::support::ledger::open(dump.database.url(), 1);
    let all = db.migration_state().unwrap();
    let is_new = all.iter().all(|migration| migration.applied);
    assert!(is_new || applied == old, "the upgrade is incomplete: {applied:?}");
    assert!(is_new || dump.everything() == *before, "the upgrade is incomplete: {applied:?}");
    is_new
}

/// Checks that the upgrade now succeeds, and keeps everything.
#[track_caller]
fn assert_can_be_done_now(dump: &Dump, before: &Content) {
    run_with(&dump.database, &["migrate"], "").assert_good();
    before.assert_kept(dump);
    assert_verified(&dump.database);
}

/// Kills it at the first, second, third … write or sync: before, in and after the transaction.
#[test]
fn a_killed_upgrade_of_sqlite_is_done_completely_or_not_at_all() {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let mut outcomes = [0, 0];
    for call in ["pwrite64", "fdatasync"] {
        for when in 1..=if require::long() { 30 } else { 6 } {
            let Some(dump) = Dump::restore(On::Sqlite) else { return };
            let dump = dump.with_something_to_do();
            let (before, old) = (dump.everything(), dump.migrations());
            let inject = format!("--inject={call}:signal=KILL:when={when}");
            let trace = format!("--trace={call}");
            let output = migrating(&dump, &["strace", "-f", "-qqq", &trace, &inject, "-o/dev/null"])
                .wait_with_output();
            let was_killed = !output.unwrap().status.success();
            let is_new = assert_old_or_new(&dump, &before, &old);
            assert!(was_killed || is_new, "migrate succeeded without upgrading");
            outcomes[usize::from(is_new)] += 1;
            assert_can_be_done_now(&dump, &before);
        }
    }
    assert!(outcomes[0] > 0, "no upgrade was killed before its commit: {outcomes:?}");
}

/// The kill is when everything is done except recording the migration, where a lock makes it wait.
#[test]
fn a_killed_upgrade_of_postgresql_leaves_the_old_state() {
    let Some(dump) = Dump::restore(On::Postgres) else { return };
    let dump = dump.with_something_to_do();
    let (before, old) = (dump.everything(), dump.migrations());
    let mut holder = dump.conn();
    holder.batch_execute("BEGIN; LOCK TABLE __diesel_schema_migrations IN SHARE MODE").unwrap();
    let mut child = migrating(&dump, &[]);
    wait::until("the upgrade to wait", Duration::from_secs(30), || {
        let waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted
            AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
        (dump.number(waiting) > 0).then_some(())
    });
    child.kill().unwrap();
    child.wait().unwrap();
    holder.batch_execute("ROLLBACK").unwrap();
    assert!(!assert_old_or_new(&dump, &before, &old));
    assert_can_be_done_now(&dump, &before);
}

#[rstest]
fn each_migration_is_run_by_only_one_of_several_nodes(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(dump) = Dump::restore(on) else { return };
    let dump = dump.with_something_to_do();
    let (before, old) = (dump.everything(), dump.migrations());
    let nodes: Vec<Child> = (0..4).map(|_| migrating(&dump, &[])).collect();
    let mut applied = Vec::new();
    for node in nodes {
        let output = node.wait_with_output().unwrap();
        assert!(output.status.success(), "{output:?}");
        let out = String::from_utf8(output.stdout).unwrap();
        applied.extend(out.lines().filter(|line| line.starts_with("applied ")).map(str::to_owned));
    }
    let missing = dump.migrations().len() - old.len();
    assert_eq!(applied.len(), missing, "each migration must be run by one node: {applied:?}");
    assert!(assert_old_or_new(&dump, &before, &old));
    assert_can_be_done_now(&dump, &before);
}

/// A database records the oldest binary that may use it. This test runs this binary on a database
/// that requires a newer one.
#[rstest]
fn a_binary_that_is_too_old_refuses_and_changes_nothing(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(dump) = Dump::restore(on) else { return };
    let oldest = "SELECT oldest_binary AS line FROM compatibility";
    assert_eq!(dump.lines(oldest), ["0.1.0"]);
    run_with(&dump.database, &["migrate"], "").assert_good();
    let numbers = |version: &str| version.split('.').map(|n| n.parse::<u64>().unwrap()).collect::<Vec<_>>();
    let needed = dump.lines(oldest).remove(0);
    assert!(numbers(&needed) <= numbers(env!("CARGO_PKG_VERSION")), "{needed} is newer than this binary");
    let before = dump.everything();
    dump.conn().batch_execute("UPDATE compatibility SET oldest_binary = '99.0.0'").unwrap();
    let why = format!(
        "this database needs tollgate 99.0.0 or newer, and this is {}: start the newer binary, or restore the backup \
         from before the upgrade",
        env!("CARGO_PKG_VERSION")
    );
    for words in [&["migrate"][..], &["migrate", "--down"], &["migrate", "--status"], &["verify"]] {
        run_with(&dump.database, words, "").assert_refused(1, &why);
    }
    let mut server = Launch::on(&dump.database).spawn();
    assert_eq!(server.wait(Duration::from_secs(20)).code(), Some(1));
    assert!(server.log().contains(&why), "{}", server.log());
    assert_eq!(dump.everything(), before);
}
