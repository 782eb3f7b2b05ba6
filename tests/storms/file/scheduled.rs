//! Backups that the server makes by itself: under load, at a restart, on a full disk, in a folder
//! that disappears, and when it is stopped or killed in the middle of one.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::{assert_good, beside, file, run, said, stop_clean};
use crate::blackbox::load::{self, Load, OPENING, Outcome, RICH};
use crate::support::honest::HonestUser;
use crate::support::server::{Launch, Server, assert_verified};
use crate::support::small_disk::SmallDisk;
use crate::support::{On, TestDatabase, figures, temporary, wait};

const PATIENCE: Duration = Duration::from_secs(60);

/// A part of the names of another database's backups.
const OTHER: &str = "-00000000";

/// A database, and a folder for its backups.
struct Place {
    database: TestDatabase,
    folder: tempfile::TempDir,
}

impl Place {
    fn new() -> Place {
        Place { database: TestDatabase::create(On::Sqlite).unwrap(), folder: temporary::directory() }
    }

    fn folder(&self) -> &Path {
        self.folder.path()
    }

    /// Starts a server that makes a backup each `every` and keeps `keep` of them.
    fn serve(&self, every: &str, keep: &str) -> Server {
        self.launch(every, keep).start()
    }

    fn launch(&self, every: &str, keep: &str) -> Launch {
        let folder = self.folder().to_str().unwrap();
        let flags = ["--backup-dir", folder, "--backup-every", every, "--backup-keep", keep];
        Launch::on(&self.database).flags(&flags).flags(&RICH).flags(&["--min-free-disk", "1"])
    }

    /// Returns all names in the folder, in order.
    fn names(&self) -> Vec<String> {
        names_in(self.folder())
    }

    /// Returns the backups, the latest last.
    fn backups(&self) -> Vec<PathBuf> {
        let names = self.names().into_iter().filter(|name| is_backup(name));
        names.map(|name| self.folder().join(name)).collect()
    }

    /// Waits until this many backups are there that are not among `known`.
    fn await_new(&self, known: &[PathBuf], count: usize) -> Vec<PathBuf> {
        wait::until("a backup", PATIENCE, || {
            let new: Vec<_> = self.backups().into_iter().filter(|path| !known.contains(path)).collect();
            (new.len() >= count).then_some(new)
        })
    }
}

fn names_in(folder: &Path) -> Vec<String> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name());
    let mut names: Vec<String> = entries.map(|name| name.into_string().unwrap()).collect();
    names.sort();
    names
}

/// Whether a name is one that the server gives: `tollgate-20261202T031500Z-9f3a1c2b.db`.
fn is_backup(name: &str) -> bool {
    let is_other = name.contains(OTHER);
    name.len() == 37 && name.starts_with("tollgate-2") && name.ends_with(".db") && !is_other
}

/// Returns the second at which a backup was begun, as its name has it.
fn begun(path: &Path) -> String {
    path.file_name().unwrap().to_str().unwrap()[9..25].to_owned()
}

/// Returns the present second in the same form.
fn second_of_now() -> String {
    tollgate::clock::now().format("%Y%m%dT%H%M%SZ").to_string()
}

/// Checks that a backup alone is a sound database that only its owner may read.
#[track_caller]
fn assert_sound(backup: &Path) {
    assert_eq!(fs::metadata(backup).unwrap().permissions().mode() & 0o777, 0o600);
    let copy = TestDatabase::create(On::Sqlite).unwrap();
    fs::copy(backup, copy.url()).unwrap();
    assert_verified(&copy);
}

/// Makes the database large, by chats as an import leaves them.
fn enlarge(database: &TestDatabase, mib: usize) {
    let mut connection = SqliteConnection::establish(database.url()).unwrap();
    connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
    let rows = mib * 16;
    let statement = format!(
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < {rows})
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at)
         SELECT (SELECT min(id) FROM users), printf('%.*c', 30000, 'x'), printf('%.*c', 35000, 'y'), 'old', 'complete', 0,
                'imported', '2020-01-01 00:00:00' FROM n"
    );
    connection.batch_execute(&statement).unwrap();
}

/// The drill: backups are made while chats run, the machine is lost, and the newest backup brings
/// back every chat that was answered before it was begun.
#[test]
fn the_newest_backup_restores_every_chat_that_was_answered_before_it() {
    let place = Place::new();
    let mut server = place.serve("2s", "3");
    let (early, late) = (load::users(&server, "early", 2), load::users(&server, "late", 2));
    let honest = HonestUser::start(&server, &server.user("honest"));
    let load = Load::start(&server, &early, "early");
    let during = Load::start(&server, &late, "late");
    load.await_acknowledged(300);
    let answered = load.stop();
    let (known, ended) = (place.backups(), second_of_now());
    let begun_at = Instant::now();
    wait::until("a backup that began after these chats", PATIENCE, || {
        place.await_new(&known, 1).into_iter().find(|path| begun(path) > ended)
    });
    let waited = begun_at.elapsed();
    during.await_acknowledged(50);
    let report = honest.stop();
    // All other users are still chatting.
    server.kill9();
    let others = during.stop();
    report.assert_undisturbed();
    let mut made = place.backups();
    // The last one may have been made a moment before the oldest is deleted.
    assert!(made.len() <= 4, "{made:?}");
    let newest = made.pop().unwrap();
    assert!(begun(&newest) > ended, "{newest:?}");
    assert_sound(&newest);
    let output = run(&place.database, &["restore", "--delete-old", newest.to_str().unwrap()]);
    assert_good(&output);
    assert_verified(&place.database);
    let server = Server::start(&place.database, &RICH);
    let stored = load::assert_books(&server, &early, &answered);
    // Of those who chatted meanwhile, the backup has the chats up to some moment, and each is paid.
    for token in &late {
        let messages = server.messages(token);
        let of_user = others.iter().filter(|one| one.token == *token);
        let accepted = of_user.filter(|one| !matches!(one.outcome, Outcome::Refused(_)));
        let sent: Vec<&str> = accepted.map(|one| one.message.as_str()).collect();
        assert!(messages.len() <= sent.len());
        for (message, sent) in messages.iter().rev().zip(&sent) {
            assert_eq!(message, sent, "the chats before this one are missing");
        }
        assert_eq!(server.tokens(token), OPENING - 100 * messages.len() as i64);
    }
    let lost = others.iter().filter(|one| matches!(one.outcome, Outcome::Acknowledged(_))).count();
    figures::report(
        "a restore drill under load",
        &format!(
            "{stored} of {stored} chats from before the backup restored, of {lost} during it those up to one moment; \
             the backup was there after {} ms; {}",
            waited.as_millis(),
            report.summary()
        ),
    );
}

#[test]
fn old_backups_are_deleted_and_other_files_are_left_alone() {
    let place = Place::new();
    let others = [
        "notes.txt",
        "tollgate-before-upgrade.db",
        "tollgate-20200101T000000Z-00000000.db",
        "tollgate-20200101T000000Z-00000000.db.part",
        "tollgate.db",
    ];
    for name in others {
        fs::write(place.folder().join(name), name).unwrap();
    }
    let mut server = place.serve("1s", "2");
    server.user("ada");
    let first = place.await_new(&[], 1);
    wait::until("the first backups to be deleted", PATIENCE, || {
        let backups = place.backups();
        (backups.len() >= 2 && !backups.contains(&first[0])).then_some(())
    });
    stop_clean(&mut server, &place.database);
    let backups = place.backups();
    assert_eq!(backups.len(), 2, "{:?}", place.names());
    backups.iter().for_each(|backup| assert_sound(backup));
    assert_eq!(place.names().len(), others.len() + 2, "{:?}", place.names());
    for name in others {
        assert_eq!(fs::read_to_string(place.folder().join(name)).unwrap(), name);
    }
    assert!(server.log().contains("deleted the old backup"), "{}", server.log());
}

#[test]
fn a_restart_makes_no_backup_if_the_last_one_is_recent() {
    let place = Place::new();
    let mut server = place.serve("1h", "7");
    let first = place.await_new(&[], 1);
    for _ in 0..2 {
        stop_clean(&mut server, &place.database);
        server = place.serve("1h", "7");
        std::thread::sleep(Duration::from_secs(2));
        assert_eq!(place.backups(), first);
    }
    // The schedule follows the file: without it, the next start makes one.
    stop_clean(&mut server, &place.database);
    fs::remove_file(&first[0]).unwrap();
    let _server = place.serve("1h", "7");
    let second = place.await_new(&first, 1);
    assert_sound(&second[0]);
}

#[test]
fn on_a_full_disk_a_backup_fails_leaves_nothing_and_deletes_nothing() {
    let Some(disk) = SmallDisk::mount() else { return };
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let folder = disk.path().to_str().unwrap();
    let flags =
        ["--backup-dir", folder, "--backup-every", "1s", "--backup-keep", "1", "--min-free-disk", "1"];
    let server = Launch::on(&database).flags(&flags).flags(&RICH).start();
    let token = server.user("ada");
    wait::until("the first backup", PATIENCE, || {
        names_in(disk.path()).iter().any(|name| is_backup(name)).then_some(())
    });
    for _ in 0..200 {
        assert_eq!(server.chat(&token, &"x".repeat(30_000)).status, 201);
    }
    wait::until("a backup that fails", PATIENCE, || server.log().contains("no room").then_some(()));
    let left = names_in(disk.path());
    assert!(left.iter().all(|name| is_backup(name)), "{left:?}");
    assert!(!left.is_empty(), "the good backup was deleted");
    assert_sound(&disk.path().join(&left[0]));
    assert_eq!(server.chat(&token, "Hello").status, 201, "chats go on");
    assert!(server.log().contains("lower --backup-keep"), "{}", server.log());
}

/// The room is checked before the copy, but the disk may fill up at any later step: while the copy
/// is written, checked or given its name. Each of these failures says what to do.
#[test]
fn a_backup_that_nearly_fits_says_what_to_do_or_is_made() {
    let Some(disk) = SmallDisk::mount() else { return };
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let folder = disk.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let flags = ["--backup-dir", folder.to_str().unwrap(), "--backup-every", "1s", "--backup-keep", "1"];
    let mut server = Launch::on(&database).start();
    server.user("ada");
    stop_clean(&mut server, &database);
    let size = fs::metadata(database.url()).unwrap().len();
    let (mut made, mut failed) = (0, 0);
    for pages in (0..24).step_by(3) {
        let filler = disk.fill(size + pages * 4096);
        let mut server = Launch::on(&database).flags(&flags).start();
        let line = wait::until("the end of a backup", PATIENCE, || {
            let log = server.log();
            let is_end = |line: &&str| line.contains("made the backup") || line.contains("failed: ");
            log.lines().find(is_end).map(str::to_owned)
        });
        server.kill9();
        match line.contains("made the backup") {
            true => made += 1,
            false => {
                assert!(line.contains("no room") && line.contains("lower --backup-keep"), "{pages}: {line}");
                failed += 1;
            }
        }
        fs::remove_file(filler).unwrap();
        fs::remove_dir_all(&folder).unwrap();
        fs::create_dir(&folder).unwrap();
    }
    assert!(made > 0 && failed > 0, "{made} were made, {failed} failed");
}

#[test]
fn commands_that_copy_say_what_to_do_on_a_full_disk() {
    let Some(disk) = SmallDisk::mount() else { return };
    let database = TestDatabase::create(On::Sqlite).unwrap();
    let mut server = Launch::on(&database).start();
    server.user("ada");
    stop_clean(&mut server, &database);
    let size = fs::metadata(database.url()).unwrap().len();
    let elsewhere = temporary::directory();
    let source = elsewhere.path().join("backup.db");
    assert_good(&run(&database, &["backup", source.to_str().unwrap()]));
    let target = disk.path().join("target.db");
    let restored = TestDatabase::sqlite_in(disk.path());
    let commands = [
        (&database, vec!["backup", target.to_str().unwrap()]),
        (&restored, vec!["restore", source.to_str().unwrap()]),
    ];
    for (database, command) in commands {
        let mut good = 0;
        for pages in [-100, 60].into_iter().chain(-1..32) {
            disk.fill(size.saturating_add_signed(pages * 4096));
            let output = run(database, &command);
            match output.status.success() {
                true => good += 1,
                false => {
                    let why = said(&output);
                    assert!(why.contains("make room"), "{command:?}, {pages} pages: {why}");
                    let left = names_in(disk.path()).into_iter().filter(|name| !name.ends_with("-lock"));
                    assert_eq!(left.collect::<Vec<_>>(), ["filler"], "{command:?}, {pages} pages");
                }
            }
            for name in names_in(disk.path()) {
                fs::remove_file(disk.path().join(name)).unwrap();
            }
        }
        assert!((1..35).contains(&good), "{command:?}: {good}");
    }
}

#[test]
fn on_the_disk_of_the_database_a_backup_leaves_room_for_chats() {
    let Some(disk) = SmallDisk::mount() else { return };
    let database = TestDatabase::sqlite_in(disk.path());
    let folder = disk.path().join("backups");
    fs::create_dir(&folder).unwrap();
    let flags = ["--backup-dir", folder.to_str().unwrap(), "--backup-every", "1s", "--min-free-disk", "8"];
    let server = Launch::on(&database).flags(&flags).start();
    let token = server.user("ada");
    wait::until("a backup that fails", PATIENCE, || server.log().contains("no room").then_some(()));
    assert!(server.log().contains("8 MiB of the database's disk stay free"), "{}", server.log());
    assert_eq!(names_in(&folder), Vec::<String>::new());
    assert_eq!(server.chat(&token, "Hello").status, 201);
}

#[test]
fn a_folder_that_disappears_stops_backups_until_it_is_back() {
    let place = Place::new();
    let mut server = place.serve("1s", "0");
    let token = server.user("ada");
    let known = place.await_new(&[], 1);
    let elsewhere = place.folder().with_extension("moved");
    fs::rename(place.folder(), &elsewhere).unwrap();
    wait::until("the fault in the log", PATIENCE, || {
        server.log().contains("there is no folder").then_some(())
    });
    assert!(server.log().contains("mkdir -m 700"), "{}", server.log());
    assert!(!place.folder().exists(), "the folder was made anew");
    assert_eq!(server.chat(&token, "Hello").status, 201, "chats go on");
    fs::rename(&elsewhere, place.folder()).unwrap();
    let after = place.backups();
    let new = place.await_new(&after, 1);
    assert_sound(&new[0]);
    assert!(place.backups().iter().any(|path| known.contains(path)), "0 keeps all");
    stop_clean(&mut server, &place.database);
}

#[test]
fn a_server_that_is_stopped_or_killed_during_a_backup_leaves_no_half_of_one() {
    let place = Place::new();
    let mut server = Server::start(&place.database, &RICH);
    server.user("ada");
    enlarge(&place.database, 200);
    stop_clean(&mut server, &place.database);
    let is_unfinished = || place.names().iter().any(|name| name.ends_with(".db.part"));
    let await_unfinished = || wait::until("an unfinished copy", PATIENCE, || is_unfinished().then_some(()));
    // A stop ends the copy, and the file alone is the database.
    let mut server = place.serve("1h", "7");
    await_unfinished();
    let begun = Instant::now();
    stop_clean(&mut server, &place.database);
    let took = begun.elapsed();
    assert!(took < Duration::from_secs(10), "the stop took {took:?}");
    assert_eq!(place.names(), Vec::<String>::new(), "{}", server.log());
    assert!(server.log().contains("was not finished, as the server is being stopped"), "{}", server.log());
    // After a kill, the next start removes what is left, and makes the backup.
    let mut server = place.serve("1h", "7");
    await_unfinished();
    server.kill9();
    assert!(is_unfinished(), "{:?}", place.names());
    let mut server = place.serve("1h", "7");
    let made = place.await_new(&[], 1);
    assert_sound(&made[0]);
    assert_eq!(place.names().len(), 1, "{:?}", place.names());
    stop_clean(&mut server, &place.database);
    assert!(!beside(&place.database, "-wal").exists());
    figures::report("a stop during a backup", &format!("the server ended after {} ms", took.as_millis()));
}

#[test]
fn a_copy_whose_books_are_wrong_replaces_no_good_backup() {
    let place = Place::new();
    let mut server = place.serve("1h", "1");
    server.user("ada");
    let good = place.await_new(&[], 1);
    stop_clean(&mut server, &place.database);
    let mut connection = SqliteConnection::establish(place.database.url()).unwrap();
    connection.batch_execute("UPDATE users SET tokens = tokens + 1").unwrap();
    drop(connection);
    let server = place.serve("1s", "1");
    wait::until("a backup that fails", PATIENCE, || {
        server.log().contains("books of the copy are wrong").then_some(())
    });
    assert_eq!(place.backups(), good);
    assert_eq!(place.names().len(), 1, "{:?}", place.names());
}

#[test]
fn scheduled_backups_are_off_on_postgresql() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let folder = temporary::directory();
    let flags = ["--backup-dir", folder.path().to_str().unwrap(), "--backup-every", "1s"];
    let server = Launch::on(&database).flags(&flags).start();
    assert!(server.log().contains("--backup-dir has no effect on PostgreSQL"), "{}", server.log());
    std::thread::sleep(Duration::from_secs(2));
    assert_eq!(names_in(folder.path()), Vec::<String>::new());
}

/// A backup is one file that `tollgate backup` could have made: a command beside the server works,
/// too.
#[test]
fn a_backup_by_command_works_beside_the_schedule() {
    let place = Place::new();
    let mut server = place.serve("1s", "2");
    server.user("ada");
    place.await_new(&[], 1);
    let target = file(&place.database).with_file_name("by-hand.db");
    let output = run(&place.database, &["backup", target.to_str().unwrap()]);
    assert_good(&output);
    assert!(said(&output).contains("backup written to"), "{}", said(&output));
    assert_sound(&target);
    stop_clean(&mut server, &place.database);
}
