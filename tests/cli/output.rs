//! Standard output that nobody reads, or that cannot be written.

use std::fs::File;
use std::process::{Command, Stdio};

use rstest::rstest;

use super::{BINARY, Said, run};
use crate::support::{On, TestDatabase};

/// Runs a command with this standard output.
fn run_into(output: impl Into<Stdio>, database: &TestDatabase, words: &[&str]) -> Said {
    let mut command = Command::new(BINARY);
    command.args(words).env_clear().env("DATABASE_URL", database.url()).stdin(Stdio::null());
    let done = command.stdout(output).stderr(Stdio::piped()).output().unwrap();
    Said {
        code: done.status.code(),
        out: String::new(),
        err: String::from_utf8_lossy(&done.stderr).into_owned(),
    }
}

#[rstest]
fn a_reader_that_has_gone_is_not_a_failure_and_a_full_disk_is_reported(
    #[values(
        &["config"],
        &["config", "--json"],
        &["verify"],
        &["verify", "--json"],
        &["migrate"],
        &["migrate", "--status"],
        &["migrate", "--status", "--json"],
        &["reindex"],
        &["reindex", "--json"],
    )]
    words: &[&str],
) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    run(&database, &["migrate"]).assert_good();
    let (reader, writer) = std::io::pipe().unwrap();
    drop(reader);
    let said = run_into(writer, &database, words);
    assert_eq!((said.code, said.err.contains("panicked")), (Some(0), false), "{said:?}");
    let full = File::options().write(true).open("/dev/full").unwrap();
    let said = run_into(full, &database, words);
    said.assert_refused(1, "cannot be written to standard output");
    assert!(!said.err.contains("panicked"), "{said:?}");
}
