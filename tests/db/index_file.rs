//! The index's file heals itself, whatever happens to it.

use std::fs::{self, File, FileTimes};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use actix_web::ResponseError;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rstest::rstest;
use tollgate::clock;
use tollgate::db::{Db, DbConnection, Scope};
use tollgate::domain::{FailureReason, OperationId};
use tollgate::index::rebuild;
use tollgate::index::search::{SearchIndex, Span, Wanted, find, wanted_parts, wanted_words};
use tollgate::metering::{Ending, end_hold};
use tollgate::models::{Chat, Keyset, LedgerEntry};

use crate::support::index::{assert_caught_up, catch_up};
use crate::support::ledger::{
    Account, Ledger, adjustment, charge, charged, hold, lines, open, run_adjustment,
};
use crate::support::{On, TestDatabase};

pub(super) fn index_of(ledger: &Ledger) -> PathBuf {
    PathBuf::from(ledger.url().replace(".db", "-index.db"))
}

pub(super) fn beside(path: &Path, suffix: &str) -> PathBuf {
    PathBuf::from(format!("{}{suffix}", path.display()))
}

/// Adds two users, and for each a chat, an adjustment, a hold that ended and an open one.
pub(super) async fn add(ledger: &Ledger, name: &str) -> Vec<Account> {
    let mut accounts = Vec::new();
    for number in 0..2 {
        let account = ledger.user(&format!("{name}-{number}"), 3_000).await;
        ledger.db.write_set(charge(account.auth_token)).await.unwrap();
        run_adjustment(&ledger.db, adjustment(account.id, 7)).await.unwrap();
        for answered in [true, false] {
            let chat = charged(ledger.db.write_set(hold(account.auth_token)).await.unwrap()).chat_id;
            if answered {
                end(&ledger.db, chat, Ending::answered("an answer".to_owned())).await;
            }
        }
        accounts.push(account);
    }
    accounts
}

pub(super) async fn end(db: &Db, chat_id: i64, ending: Ending) {
    let (id, now) = (OperationId::generate(), clock::now());
    let job = move |conn: &mut DbConnection| Ok(end_hold(conn, chat_id, &ending, id, now)?);
    db.write(Scope::none(), job).await.unwrap();
}

/// Checks that the index has everything, once, and that a user's own rows are complete.
#[track_caller]
pub(super) fn assert_healed(ledger: &Ledger, accounts: &[Account]) {
    assert_caught_up(ledger);
    ledger.assert_sound();
    for account in accounts {
        let of_user = |table: &str| format!("{table} WHERE user_id = {}", account.id);
        assert_eq!(ledger.chats(account.id).len() as i64, ledger.count(&of_user("chats")));
        assert_eq!(ledger.entries(account.id).len() as i64, ledger.count(&of_user("ledger_entries")));
    }
}

/// Returns how many users are found by a part of their names.
pub(super) fn found(db: &Db, part: &'static str) -> usize {
    let span = Span { above: 0, below: i64::MAX, descending: true, limit: 100 };
    let wanted = move || Wanted::terms(wanted_parts(part));
    db.read_blocking(move |conn| Ok(find(conn, SearchIndex::Users, &wanted(), span)?)).unwrap().ids.len()
}

/// What happens to the file while a server has it open.
#[derive(Clone, Copy, Debug)]
enum Harm {
    Deleted,
    LogDeleted,
    Emptied,
    Overwritten,
    OtherVersion,
    OfAnotherDatabase,
}

fn harm(harm: Harm, index: &Path, other: &Path) {
    match harm {
        Harm::Deleted => fs::remove_file(index).unwrap(),
        Harm::LogDeleted => fs::remove_file(beside(index, "-wal")).unwrap(),
        Harm::Emptied => {
            fs::remove_file(index).unwrap();
            File::create(index).unwrap();
        }
        Harm::Overwritten => {
            let file = File::options().read(true).write(true).open(index).unwrap();
            let length = file.metadata().unwrap().len();
            // All but the header and the first page.
            let noise = vec![0xA5; usize::try_from(length - 4096).unwrap()];
            file.write_all_at(&noise, 4096).unwrap();
        }
        Harm::OtherVersion => {
            let mut conn = SqliteConnection::establish(index.to_str().unwrap()).unwrap();
            conn.batch_execute("PRAGMA user_version = 99").unwrap();
        }
        Harm::OfAnotherDatabase => {
            fs::remove_file(index).unwrap();
            fs::copy(other, index).unwrap();
        }
    }
}

/// Makes an index of another database, in one file.
async fn of_another_database(folder: &Path) -> PathBuf {
    let other = Ledger::create(On::Sqlite).unwrap();
    for _ in 0..3 {
        add(&other, &format!("other{}", other.count("users"))).await;
    }
    closed_index(&other, folder).await
}

/// Closes a database. Returns a copy of its index, in one file.
pub(super) async fn closed_index(other: &Ledger, folder: &Path) -> PathBuf {
    catch_up(&other.db).await;
    other.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
    let copy = folder.join("other-index.db");
    fs::copy(index_of(other), &copy).unwrap();
    copy
}

#[rstest]
#[case(Harm::Deleted)]
#[case(Harm::LogDeleted)]
#[case(Harm::Emptied)]
#[case(Harm::Overwritten)]
#[case(Harm::OtherVersion)]
#[case(Harm::OfAnotherDatabase)]
#[tokio::test(flavor = "multi_thread")]
async fn a_harmed_index_is_built_anew(#[case] kind: Harm, #[values(true, false)] while_open: bool) {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let folder = crate::support::temporary::directory();
    let other = of_another_database(folder.path()).await;
    let mut accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    let index = index_of(&ledger);
    if !while_open {
        ledger.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
        if matches!(kind, Harm::LogDeleted) {
            return assert!(!beside(&index, "-wal").exists(), "a stop leaves one file");
        }
    } else {
        // Otherwise the file has only its header.
        let mut conn = SqliteConnection::establish(index.to_str().unwrap()).unwrap();
        conn.batch_execute("PRAGMA wal_checkpoint(TRUNCATE)").unwrap();
    }
    harm(kind, &index, &other);
    let ledger = if while_open { ledger } else { ledger.reopened() };
    // Chats go on at once.
    accounts.extend(add(&ledger, "grace").await);
    for account in &accounts {
        let chats = ledger.count(&format!("chats WHERE user_id = {}", account.id));
        let page = Keyset { limit: 100, before: None };
        let id = account.id;
        match ledger.db.read_blocking(move |conn| Chat::page_within(conn, id, page, usize::MAX)) {
            Ok(page) => assert_eq!(page.rows.len() as i64, chats, "a history that is not complete"),
            Err(error) => assert_eq!(error.status_code(), 503, "{error:?}"),
        }
    }
    heal(&ledger, kind).await;
    assert_healed(&ledger, &accounts);
    assert_eq!((found(&ledger.db, "ada"), found(&ledger.db, "grace"), found(&ledger.db, "other")), (2, 2, 0));
}

/// Lets the follower run until the index is complete. It may need a reader, or a second round, to
/// meet the damage.
async fn heal(ledger: &Ledger, kind: Harm) {
    let mut follower = tollgate::index::follower::Follower::default();
    for _ in 0..20 {
        let _ = follower.round(&ledger.db).await;
        let span = Span { above: 0, below: i64::MAX, descending: true, limit: 100 };
        let search = move |conn: &mut DbConnection| {
            let words = Wanted::terms(wanted_words("hello"));
            Ok(find(conn, SearchIndex::Chats, &words, span)?)
        };
        let _ = ledger.db.read(search).await;
        let period = [(clock::now(), clock::now())];
        let _ = ledger.db.read(move |conn| Ok(tollgate::models::PeriodTotals::of(conn, &period)?)).await;
    }
    println!("{kind:?}");
    catch_up(&ledger.db).await;
}

/// Copies of database and index from different moments, as after a power cut or a restore.
#[rstest]
#[case("the index is older", 1, 0)]
#[case("the index is newer", 0, 1)]
#[case("both are older", 0, 0)]
#[tokio::test(flavor = "multi_thread")]
async fn database_and_index_may_be_of_different_ages(
    #[case] name: &str,
    #[case] database_age: usize,
    #[case] index_age: usize,
    #[values(true, false)] goes_on_first: bool,
) {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let folder = crate::support::temporary::directory();
    let copy = |age: usize, what: &str| folder.path().join(format!("{what}-{age}"));
    let account = ledger.user("ada", 3_000).await;
    let pending = charged(ledger.db.write_set(hold(account.auth_token)).await.unwrap()).chat_id;
    catch_up(&ledger.db).await;
    let keep = |age: usize, ledger: &Ledger| {
        ledger.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
        fs::copy(ledger.url(), copy(age, "database")).unwrap();
        fs::copy(index_of(ledger), copy(age, "index")).unwrap();
    };
    keep(0, &ledger);
    let ledger = ledger.reopened();
    end(&ledger.db, pending, Ending::answered("an answer".to_owned())).await;
    add(&ledger, "grace").await;
    catch_up(&ledger.db).await;
    keep(1, &ledger);
    fs::copy(copy(database_age, "database"), ledger.url()).unwrap();
    fs::copy(copy(index_age, "index"), index_of(&ledger)).unwrap();
    let ledger = ledger.reopened();
    if goes_on_first {
        // As many rows as the other history had, so that counting them would not tell.
        add(&ledger, "linus").await;
    }
    let tokens = ledger.balance(account.id);
    run_adjustment(&ledger.db, adjustment(account.id, 5)).await.unwrap();
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &[account]);
    assert_eq!(ledger.balance(account.id), tokens + 5, "{name}");
    let grace = if database_age == 1 { 2 } else { 0 };
    let linus = if goes_on_first { 2 } else { 0 };
    assert_eq!((found(&ledger.db, "grace"), found(&ledger.db, "linus")), (grace, linus), "{name}");
}

/// What a power cut may leave: the database with its log, the index, and the index's log, each as
/// it was at one of three moments. (An operator who puts files back may leave any of these, too.)
#[tokio::test(flavor = "multi_thread")]
async fn after_a_power_cut_files_of_any_ages_heal() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let folder = crate::support::temporary::directory();
    let mut known = Vec::new();
    for (age, name) in ["ada", "grace", "linus"].into_iter().enumerate() {
        add(&ledger, name).await;
        add_history(&ledger, &format!("{name}-history")).await;
        catch_up(&ledger.db).await;
        // A part of the rows is in the file, and a part in the log.
        ledger.db.empty_index_log().await.unwrap();
        known.push(add(&ledger, &format!("{name}-late")).await);
        catch_up(&ledger.db).await;
        let keep = folder.path().join(age.to_string());
        fs::create_dir(&keep).unwrap();
        copy_files(&folder_of(&ledger), &keep, |_| true);
    }
    for (database, before) in known.iter().enumerate() {
        for index in 0..3 {
            for log in [None, Some(0), Some(1), Some(2)] {
                let case = format!("database {database}, index {index}, its log {log:?}");
                let put = crate::support::temporary::directory();
                let age = |age: usize| folder.path().join(age.to_string());
                copy_files(&age(database), put.path(), |name| !name.contains("-index"));
                copy_files(&age(index), put.path(), |name| name.ends_with("-index.db"));
                if let Some(log) = log {
                    let is_log = |name: &str| name.ends_with("-index.db-wal") || name.ends_with("-pair");
                    copy_files(&age(log), put.path(), is_log);
                }
                println!("{case}");
                let restored = Ledger::of(TestDatabase::sqlite_in(put.path()));
                assert_complete_or_refused(&restored, before);
                let mut accounts = before.clone();
                accounts.extend(add(&restored, "after").await);
                assert_complete_or_refused(&restored, &accounts);
                catch_up(&restored.db).await;
                assert_healed(&restored, &accounts);
                let late = ["ada-late", "grace-late", "linus-late"].map(|name| found(&restored.db, name));
                assert_eq!(late, [0, 1, 2].map(|age| if age <= database { 2 } else { 0 }), "{case}");
                assert_eq!(found(&restored.db, "after"), 2, "{case}");
            }
        }
    }
}

/// Adds a user whose keys fill pages of their own.
async fn add_history(ledger: &Ledger, name: &str) {
    let id = ledger.user(name, 0).await.id;
    ledger.sql(&format!(
        "WITH RECURSIVE n (i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 1500)
         INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
         SELECT {id}, 'hello', 'hello', 'dummy', 'complete', 0, 'imported', '2026-01-01 00:00:00',
                '2026-01-01 00:00:00' FROM n"
    ));
}

/// A crash leaves the log. As both files are what was left there, the index is used, which takes no
/// time.
#[tokio::test(flavor = "multi_thread")]
async fn after_a_crash_the_index_is_used_as_it_was() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    ledger.db.empty_index_log().await.unwrap();
    add(&ledger, "grace").await;
    catch_up(&ledger.db).await;
    let put = crate::support::temporary::directory();
    copy_files(&folder_of(&ledger), put.path(), |_| true);
    let restored = Ledger::of(TestDatabase::sqlite_in(put.path()));
    let before = inode(&index_of(&restored));
    restored.db.open_index();
    assert_eq!((inode(&index_of(&restored)), restored.db.index_failure()), (before, None));
    assert_eq!(restored.count("chat_keys"), 12, "the log counts");
    catch_up(&restored.db).await;
    assert_healed(&restored, &accounts);
}

fn inode(path: &Path) -> u64 {
    fs::metadata(path).unwrap().ino()
}

fn folder_of(ledger: &Ledger) -> PathBuf {
    Path::new(ledger.url()).parent().unwrap().to_owned()
}

/// Copies files with their times, except SQLite's shared memory, which is lost in a power cut.
fn copy_files(from: &Path, to: &Path, is_wanted: impl Fn(&str) -> bool) {
    for entry in fs::read_dir(from).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_str().unwrap();
        if !name.ends_with("-shm") && is_wanted(name) {
            fs::copy(&path, to.join(name)).unwrap();
            let times = FileTimes::new().set_modified(fs::metadata(&path).unwrap().modified().unwrap());
            File::options().write(true).open(to.join(name)).unwrap().set_times(times).unwrap();
        }
    }
}

/// Checks that histories and statements are complete, in order and the user's own, or refused.
#[track_caller]
pub(super) fn assert_complete_or_refused(ledger: &Ledger, accounts: &[Account]) {
    for account in accounts {
        let (id, page) = (account.id, Keyset { limit: 1_000, before: None });
        let expected = |table: &str| ids(ledger, &format!("{table} WHERE user_id = {id}"));
        match ledger.db.read_blocking(|conn| Chat::page_within(conn, id, page, usize::MAX)) {
            Ok(found) => {
                assert!(found.rows.iter().all(|chat| chat.user_id == id), "chats of others");
                let found: Vec<i64> = found.rows.iter().map(|chat| chat.id).collect();
                assert_eq!(found, expected("chats"));
            }
            Err(error) => assert_eq!(error.status_code(), 503, "{error:?}"),
        }
        match ledger.db.read_blocking(|conn| LedgerEntry::page_of(conn, id, page)) {
            Ok(found) => {
                assert!(found.iter().all(|entry| entry.user_id == id), "entries of others");
                let found: Vec<i64> = found.iter().map(|entry| entry.id).collect();
                assert_eq!(found, expected("ledger_entries"));
            }
            Err(error) => assert_eq!(error.status_code(), 503, "{error:?}"),
        }
    }
}

/// Returns the ids of `FROM …`, the highest first.
fn ids(ledger: &Ledger, from: &str) -> Vec<i64> {
    let query = format!("SELECT CAST(id AS TEXT) AS line FROM {from} ORDER BY id DESC");
    lines(&mut ledger.raw(), &query).iter().map(|id| id.parse().unwrap()).collect()
}

/// An index that knows the end of a chat, while the database was restored to before it. No row was
/// added, so only the chat itself tells.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn an_end_that_only_the_index_knows_is_forgotten(#[values(true, false)] fails: bool) {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let folder = crate::support::temporary::directory();
    let before = folder.path().join("before.db");
    let account = ledger.user("ada", 3_000).await;
    let pending = charged(ledger.db.write_set(hold(account.auth_token)).await.unwrap()).chat_id;
    catch_up(&ledger.db).await;
    ledger.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
    fs::copy(ledger.url(), &before).unwrap();
    let ledger = ledger.reopened();
    end(&ledger.db, pending, Ending::answered("an answer".to_owned())).await;
    catch_up(&ledger.db).await;
    ledger.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
    fs::copy(&before, ledger.url()).unwrap();
    let ledger = ledger.reopened();
    let ending = match fails {
        true => Ending::failed(FailureReason::ServerError),
        false => Ending::answered("another answer".to_owned()),
    };
    catch_up(&ledger.db).await;
    end(&ledger.db, pending, ending).await;
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &[account]);
}

/// The index is in a folder that cannot be written, or on a full disk.
#[tokio::test(flavor = "multi_thread")]
async fn without_an_index_chats_and_histories_go_on() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let index = index_of(&ledger);
    fs::create_dir(&index).unwrap();
    let accounts = add(&ledger, "ada").await;
    let error = tollgate::index::follower::Follower::default().round(&ledger.db).await.unwrap_err();
    assert!(format!("{error:?}").contains("-index.db"), "{error:?} does not name the file");
    for account in &accounts {
        assert_eq!(ledger.chats(account.id).len(), 3);
        assert_eq!(ledger.entries(account.id).len(), 5);
    }
    fs::remove_dir(&index).unwrap();
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn the_index_is_rebuilt_on_request_while_nodes_follow(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let mut accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    let other = ledger.node();
    let (mut reports, rebuilding) = (0, ledger.node());
    let mut report = |_| reports += 1;
    let (rebuilt, more, ()) = tokio::join!(rebuild(&rebuilding, &mut report), add(&ledger, "grace"), async {
        let mut follower = tollgate::index::follower::Follower::default();
        for _ in 0..20 {
            // While the tables are emptied, a round may fail.
            let _ = follower.round(&other).await;
        }
    });
    assert!(rebuilt.unwrap() > 0);
    accounts.extend(more);
    catch_up(&ledger.db).await;
    assert!(reports > 0);
    assert_healed(&ledger, &accounts);
}

/// Two processes that open the same index at once make one of it.
#[tokio::test(flavor = "multi_thread")]
async fn two_processes_make_one_index() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let accounts = add(&ledger, "ada").await;
    let nodes: Vec<Db> = (0..4).map(|_| open(ledger.url(), 1)).collect();
    let followers = nodes.iter().map(|db| async move {
        let mut follower = tollgate::index::follower::Follower::default();
        for _ in 0..5 {
            follower.round(db).await.unwrap();
        }
    });
    futures_util::future::join_all(followers).await;
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
}
