//! `tollgate backup`: under load, and at targets that it must refuse.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;
use std::time::Instant;

use super::{assert_good, assert_refused, back_up, beside, file, names, run, said, serve};
use crate::blackbox::load::{self, Load, RICH};
use crate::support::honest::HonestUser;
use crate::support::server::{Server, assert_verified, tollgate};
use crate::support::{On, TestDatabase, figures, require, temporary};

#[test]
fn a_backup_under_load_is_one_sound_file_and_disturbs_nobody() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let server = Server::start(&database, &RICH);
    let tokens = load::users(&server, "user", 2);
    let honest = HonestUser::start(&server, &server.user("honest"));
    let load = Load::start(&server, &tokens, "load");
    load.await_acknowledged(300);
    let begun = Instant::now();
    let target = file(&database).with_file_name("backup.db");
    let output = run(&database, &["backup", target.to_str().unwrap()]);
    assert_good(&output);
    assert!(said(&output).contains("copied"), "no progress: {}", said(&output));
    let took = begun.elapsed();
    load.await_acknowledged(50);
    load.stop();
    let report = honest.stop();
    report.assert_undisturbed();
    let size = fs::metadata(&target).unwrap().len() / 1024;
    figures::report(
        "a backup under load",
        &format!("{size} KiB in {} ms; {}", took.as_millis(), report.summary()),
    );
    assert_eq!(fs::metadata(&target).unwrap().permissions().mode() & 0o777, 0o600);
    for suffix in ["-wal", "-shm", "-journal", ".part"] {
        assert!(!target.with_file_name(format!("backup.db{suffix}")).exists(), "{suffix} is left");
    }
    let copy = TestDatabase::create(On::Sqlite).unwrap();
    fs::copy(&target, copy.url()).unwrap();
    assert_verified(&copy);
}

#[test]
fn a_backup_refuses_targets_where_it_would_do_harm() {
    let (database, server, token) = serve();
    for suffix in ["", "-wal", "-shm", "-journal", "-lock", "-generation"] {
        let target = beside(&database, suffix);
        let output = run(&database, &["backup", "--overwrite", target.to_str().unwrap()]);
        assert_refused(&output, &["is the database itself, or one of the files beside it"]);
    }
    let link = file(&database).with_file_name("link.db");
    symlink(database.url(), &link).unwrap();
    assert_eq!(run(&database, &["backup", "--overwrite", link.to_str().unwrap()]).status.code(), Some(1));
    fs::remove_file(link).unwrap();
    let target = back_up(&database, "backup.db");
    let before = fs::read(&target).unwrap();
    assert_refused(
        &run(&database, &["backup", target.to_str().unwrap()]),
        &["already exists", "--overwrite"],
    );
    assert_eq!(fs::read(&target).unwrap(), before);
    assert_eq!(server.chat(&token, "Hello").status, 201);
    assert_good(&run(&database, &["backup", "--overwrite", target.to_str().unwrap()]));
    assert_ne!(fs::read(&target).unwrap(), before);
    let folder = file(&database).parent().unwrap().to_str().unwrap();
    assert_refused(&run(&database, &["backup", folder]), &["is not a regular file"]);
    assert_refused(&run(&database, &["backup", &format!("{folder}/none/b.db")]), &["No such file"]);
    // The target is the database of another server.
    let other = TestDatabase::create(On::Sqlite).unwrap();
    let _server = Server::start(&other, &[]);
    assert_refused(&run(&database, &["backup", "--overwrite", other.url()]), &["in use by a server"]);
    assert_eq!(server.tokens(&token), 3900);
}

#[test]
fn a_backup_that_does_not_fit_leaves_nothing_behind() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let server = Server::start(&database, &RICH);
    let token = server.user("ada");
    for _ in 0..40 {
        assert_eq!(server.chat(&token, &"x".repeat(30_000)).status, 201);
    }
    let disk = temporary::directory();
    let mount = ["-t", "tmpfs", "-o", "size=1m", "tollgate-test"];
    let mounted = Command::new("mount").args(mount).arg(disk.path()).output();
    if !mounted.is_ok_and(|output| output.status.success()) {
        return require::skipped("mounting a file system is not allowed here");
    }
    let target = disk.path().join("backup.db");
    let output = run(&database, &["backup", target.to_str().unwrap()]);
    let left: Vec<_> = disk.path().read_dir().unwrap().collect();
    let _ = Command::new("umount").arg("-l").arg(disk.path()).status();
    assert_refused(&output, &["no room"]);
    assert!(left.is_empty(), "{left:?}");
    assert_eq!(server.chat(&token, "Hello").status, 201);
}

#[test]
fn a_backup_of_a_stopped_database_leaves_it_as_one_file() {
    let (database, mut server, token) = serve();
    assert_eq!(server.chat(&token, "Hello").status, 201);
    server.kill9();
    back_up(&database, "backup.db");
    assert_eq!(names(&database), ["backup.db", "tollgate.db"]);
}

#[test]
fn a_backup_keeps_to_its_rate() {
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let server = Server::start(&database, &RICH);
    let token = server.user("ada");
    for _ in 0..50 {
        assert_eq!(server.chat(&token, &"x".repeat(30_000)).status, 201);
    }
    let target = file(&database).with_file_name("backup.db");
    let begun = Instant::now();
    let output = run(&database, &["backup", "--no-verify", "--rate", "1", target.to_str().unwrap()]);
    assert_good(&output);
    let (size, took) = (fs::metadata(&target).unwrap().len(), begun.elapsed());
    assert!(took.as_secs_f64() > size as f64 / (1024.0 * 1024.0) - 1.5, "{size} bytes in {took:?}");
}

#[test]
fn backup_and_restore_refer_to_postgresqls_own_tools() {
    let elsewhere = temporary::directory();
    let target = elsewhere.path().join("b.db");
    for command in ["backup", "restore"] {
        let url = "postgres://nobody@127.0.0.1:1/none";
        let output = tollgate(&[command, target.to_str().unwrap(), "--database-url", url]);
        assert_refused(&output, &["PostgreSQL", "pg_"]);
    }
}
