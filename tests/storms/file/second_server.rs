//! A second server on one file fails to start, by whatever name it opens the file.

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::{assert_no_start, assert_refused, file, run, serve};
use crate::support::server::{Server, assert_verified};
use crate::support::{On, TestDatabase, require, temporary};

/// A mount of a file or a folder at another place, until it is dropped.
struct Mount(PathBuf);

impl Mount {
    fn bind(from: &Path, to: &Path) -> Option<Mount> {
        let mounted = Command::new("mount").arg("--bind").arg(from).arg(to).output();
        if !mounted.is_ok_and(|output| output.status.success()) {
            require::skipped("bind mounts are not allowed here");
            return None;
        }
        Some(Mount(to.to_owned()))
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).status();
    }
}

/// Checks that the first server continues, and that its books are right.
#[track_caller]
fn assert_continues(server: Server, token: &str, database: &TestDatabase) {
    assert_eq!(server.chat(token, "Hello").status, 201);
    assert_eq!(server.tokens(token), 3900);
    drop(server);
    assert_verified(database);
}

#[test]
fn a_hard_link_to_the_database_is_refused() {
    let (database, server, token) = serve();
    let elsewhere = temporary::directory();
    let link = TestDatabase::sqlite_in(elsewhere.path());
    fs::hard_link(database.url(), link.url()).unwrap();
    assert_no_start(&link, &["has 2 names", "tollgate backup"]);
    // A command under the other name would start a separate log.
    assert_refused(&run(&link, &["adjust", "ada", "5", "--note", "x"]), &["has 2 names"]);
    fs::remove_file(link.url()).unwrap();
    assert_continues(server, &token, &database);
}

#[test]
fn a_symbolic_link_leads_to_the_same_lock() {
    let (database, server, token) = serve();
    let elsewhere = temporary::directory();
    let link = TestDatabase::sqlite_in(elsewhere.path());
    symlink(database.url(), link.url()).unwrap();
    assert_no_start(&link, &["another `tollgate serve` already serves"]);
    assert!(run(&link, &["adjust", "ada", "100", "--note", "x"]).status.success());
    assert!(run(&database, &["adjust", "ada", "-100", "--note", "x"]).status.success());
    assert_continues(server, &token, &database);
}

#[test]
fn a_symbolic_link_retargeted_to_another_file_is_noticed() {
    let (one, other) = (TestDatabase::create(On::Sqlite).unwrap(), TestDatabase::create(On::Sqlite).unwrap());
    drop(Server::start(&other, &[]));
    let elsewhere = temporary::directory();
    let link = TestDatabase::sqlite_in(elsewhere.path());
    fs::File::create(one.url()).unwrap();
    symlink(one.url(), link.url()).unwrap();
    let server = Server::start(&link, &[]);
    let token = server.user("ada");
    fs::remove_file(link.url()).unwrap();
    symlink(other.url(), link.url()).unwrap();
    assert_eq!(server.chat(&token, "Hello").status, 503);
}

#[test]
fn another_mount_of_the_folder_leads_to_the_same_lock() {
    let (database, server, token) = serve();
    let elsewhere = temporary::directory();
    let Some(_mount) = Mount::bind(file(&database).parent().unwrap(), elsewhere.path()) else { return };
    let other = TestDatabase::sqlite_in(elsewhere.path());
    assert_no_start(&other, &["another `tollgate serve` already serves"]);
    assert!(run(&other, &["adjust", "ada", "100", "--note", "x"]).status.success());
    assert!(run(&database, &["adjust", "ada", "-100", "--note", "x"]).status.success());
    assert_continues(server, &token, &database);
}

#[test]
fn a_mount_of_the_single_file_is_refused() {
    let (database, server, token) = serve();
    let elsewhere = temporary::directory();
    let other = TestDatabase::sqlite_in(elsewhere.path());
    fs::File::create(other.url()).unwrap();
    let Some(_mount) = Mount::bind(file(&database), file(&other)) else { return };
    assert_no_start(&other, &["mount of a single file", "mount the folder"]);
    assert_refused(&run(&other, &["adjust", "ada", "5", "--note", "x"]), &["mount of a single file"]);
    assert_continues(server, &token, &database);
}

#[test]
fn a_folder_in_place_of_the_file_is_refused() {
    let folder = temporary::directory();
    let database = TestDatabase::sqlite_in(folder.path());
    fs::create_dir(database.url()).unwrap();
    assert_no_start(&database, &["is a folder, not a file"]);
}
