//! Whatever is put in the index's place while a server runs: chats go on, nobody sees rows of
//! others, and nothing is taken for an index that is none.

use std::fs::{self, File};
use std::os::unix::fs::{FileExt, MetadataExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use actix_web::ResponseError;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rstest::rstest;
use tollgate::db::{DbConnection, Scope};
use tollgate::error::{Error, Result};
use tollgate::index::follower::Follower;
use tollgate::models::{Chat, Keyset, LedgerEntry};

use super::index_file::{
    add, assert_complete_or_refused, assert_healed, beside, closed_index, found, index_of,
};
use crate::support::index::catch_up;
use crate::support::ledger::{Account, Ledger, charge, charged};
use crate::support::small_disk::SmallDisk;
use crate::support::{On, TestDatabase, temporary};

/// The connections that read.
const CONNECTIONS: usize = 4;
const EVERYTHING: Keyset = Keyset { limit: 1_000, before: None };

/// Reads on all connections at once, so that some of them are new.
fn on_all_connections<T: Send>(
    ledger: &Ledger,
    read: impl Fn(&mut DbConnection) -> Result<T> + Sync,
) -> Vec<Result<T>> {
    let here = AtomicUsize::new(0);
    std::thread::scope(|scope| {
        let threads: Vec<_> = (0..CONNECTIONS)
            .map(|_| {
                scope.spawn(|| {
                    let is_again = AtomicBool::new(false);
                    ledger.db.read_blocking(|conn| {
                        if !is_again.swap(true, Ordering::AcqRel) {
                            meet(&here);
                        }
                        read(conn)
                    })
                })
            })
            .collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    })
}

/// Waits until all have a connection, unless some get none.
fn meet(here: &AtomicUsize) {
    here.fetch_add(1, Ordering::AcqRel);
    let began = Instant::now();
    while here.load(Ordering::Acquire) < CONNECTIONS && began.elapsed() < Duration::from_secs(4) {
        std::thread::yield_now();
    }
}

/// Lets the pool drop its connections, so that the next reads are on new ones.
fn forget_connections(ledger: &Ledger) {
    let failing = |conn: &mut DbConnection| Ok(conn.batch_execute("SELECT no_such_column")?);
    assert!(on_all_connections(ledger, failing).iter().all(Result::is_err));
}

/// A read that returns the ids of the rows, and whose they are.
fn chats_of(account: Account) -> impl Fn(&mut DbConnection) -> Result<Vec<(i64, i64)>> + Sync {
    move |conn| {
        let page = Chat::page_within(conn, account.id, EVERYTHING, usize::MAX)?;
        Ok(page.rows.iter().map(|chat| (chat.id, chat.user_id)).collect())
    }
}

fn entries_of(account: Account) -> impl Fn(&mut DbConnection) -> Result<Vec<(i64, i64)>> + Sync {
    move |conn| {
        let entries = LedgerEntry::page_of(conn, account.id, EVERYTHING)?;
        Ok(entries.iter().map(|entry| (entry.id, entry.user_id)).collect())
    }
}

/// Checks that no connection shows a user rows of others.
#[track_caller]
fn assert_own(ledger: &Ledger, account: Account) {
    let chats = on_all_connections(ledger, chats_of(account));
    for read in chats.into_iter().chain(on_all_connections(ledger, entries_of(account))) {
        match read {
            Ok(rows) => {
                assert!(rows.iter().all(|(_, owner)| *owner == account.id), "rows of others: {rows:?}")
            }
            Err(error) => assert_eq!(error.status_code(), 503, "{error:?}"),
        }
    }
}

/// What stands in the index's place.
#[derive(Clone, Copy, Debug)]
enum Obstacle {
    Folder,
    LinkToNowhere,
    BrokenFirstPage,
}

impl Obstacle {
    fn put(self, index: &Path) {
        if let Obstacle::BrokenFirstPage = self {
            let file = File::options().write(true).open(index).unwrap();
            return file.write_all_at(&[0xA5; 4096], 0).unwrap();
        }
        ["", "-wal", "-shm"].iter().for_each(|suffix| fs::remove_file(beside(index, suffix)).unwrap());
        match self {
            Obstacle::Folder => fs::create_dir(index).unwrap(),
            _ => symlink("/nowhere/at/all", index).unwrap(),
        }
    }

    fn remove(self, index: &Path) {
        match self {
            Obstacle::Folder => fs::remove_dir(index).unwrap(),
            Obstacle::LinkToNowhere => fs::remove_file(index).unwrap(),
            Obstacle::BrokenFirstPage => {}
        }
    }
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn chats_go_on_when_an_index_that_was_open_cannot_be_opened_again(
    #[values(Obstacle::Folder, Obstacle::LinkToNowhere, Obstacle::BrokenFirstPage)] obstacle: Obstacle,
) {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let mut accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    let index = index_of(&ledger);
    ledger.db.empty_index_log().await.unwrap();
    obstacle.put(&index);
    forget_connections(&ledger);
    let assert_goes_on = |ledger: &Ledger, accounts: &[Account], what: &str| {
        for account in accounts {
            let chats = ledger.count(&format!("chats WHERE user_id = {}", account.id));
            for read in on_all_connections(ledger, chats_of(*account)) {
                assert_eq!(read.unwrap().len() as i64, chats, "{what}");
            }
            on_all_connections(ledger, entries_of(*account)).into_iter().for_each(|read| drop(read.unwrap()));
        }
    };
    assert_goes_on(&ledger, &accounts, "before the writer has noticed");
    accounts.extend(add(&ledger, "grace").await);
    let mut follower = Follower::default();
    for _ in 0..3 {
        let outcome = follower.round(&ledger.db).await;
        assert_goes_on(&ledger, &accounts, "after the writer has noticed");
        if !matches!(obstacle, Obstacle::BrokenFirstPage) {
            assert!(format!("{:?}", outcome.unwrap_err()).contains("-index.db"));
            assert!(ledger.db.index_failure().unwrap().contains("-index.db"), "the panel says why");
        }
    }
    obstacle.remove(&index);
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
    assert_eq!(ledger.db.index_failure(), None);
    assert_goes_on(&ledger, &accounts, "at the end");
}

/// How another database's index comes into the place of this one.
#[derive(Clone, Copy, Debug)]
enum Way {
    /// `mv`: another file.
    Moved,
    /// `cp`: the same file with other content.
    Copied,
}

/// In the other index, the first user has all the chats and entries.
async fn index_of_one_user(folder: &Path) -> PathBuf {
    let other = Ledger::create(On::Sqlite).unwrap();
    let account = other.user("other", 1_000_000).await;
    for _ in 0..60 {
        other.db.write_set(charge(account.auth_token)).await.unwrap();
    }
    closed_index(&other, folder).await
}

#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn another_databases_index_shows_and_removes_nothing_of_others(
    #[values(Way::Moved, Way::Copied)] way: Way,
    #[values(true, false)] with_log: bool,
) {
    let folder = temporary::directory();
    let other = index_of_one_user(folder.path()).await;
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let ada = ledger.user("ada", 1_000_000).await;
    let bob = ledger.user("bob", 1_000_000).await;
    for _ in 0..10 {
        for account in [ada, bob] {
            charged(ledger.db.write_set(charge(account.auth_token)).await.unwrap());
        }
    }
    catch_up(&ledger.db).await;
    let index = index_of(&ledger);
    if !with_log {
        ledger.db.empty_index_log().await.unwrap();
    }
    match way {
        Way::Moved => fs::rename(&other, &index).unwrap(),
        Way::Copied => fs::write(&index, fs::read(&other).unwrap()).unwrap(),
    }
    for round in 0..3 {
        if round == 1 {
            forget_connections(&ledger);
        }
        for account in [ada, bob] {
            assert_own(&ledger, account);
        }
    }
    remove_texts(&ledger, ada).await;
    let blanked = ledger.count(&format!("chats WHERE user_id = {} AND message = ''", bob.id));
    assert_eq!(blanked, 0, "texts of others were removed");
    for _ in 0..3 {
        let _ = Follower::default().round(&ledger.db).await;
        assert_complete_or_refused(&ledger, &[ada, bob]);
    }
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &[ada, bob]);
    assert_eq!((found(&ledger.db, "ada"), found(&ledger.db, "other")), (1, 0));
    remove_texts(&ledger, ada).await;
    assert_eq!(ledger.count(&format!("chats WHERE user_id = {} AND message <> ''", ada.id)), 0);
}

/// Removes the texts of a user's chats as anonymising does, or stops where it would try again.
async fn remove_texts(ledger: &Ledger, account: Account) {
    let id = account.id;
    let Ok(ids) = ledger.db.read(move |conn| Chat::ids_of(conn, id, 0, 1_000)).await else { return };
    ledger.db.write_bulk(Scope::none(), move |conn| Ok(Chat::blank(conn, id, &ids)?)).await.unwrap();
}

/// Keys that are of this database, and not true: not even then is a row of another user shown.
#[tokio::test(flavor = "multi_thread")]
async fn keys_that_are_wrong_are_found_out_and_made_anew() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    let [ada, bob] = accounts[..] else { panic!("two accounts") };
    let mut conn = SqliteConnection::establish(index_of(&ledger).to_str().unwrap()).unwrap();
    for table in ["chat_keys", "entry_keys"] {
        let text = format!("UPDATE {table} SET user_id = {} WHERE user_id = {}", ada.id, bob.id);
        conn.batch_execute(&text).unwrap();
    }
    drop(conn);
    // Found out by the read itself, which then does without the index.
    for read in on_all_connections(&ledger, chats_of(ada)) {
        assert_eq!(read.unwrap().len(), 3);
    }
    for read in on_all_connections(&ledger, entries_of(bob)) {
        assert_eq!(read.unwrap().len(), 5);
    }
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
}

#[tokio::test(flavor = "multi_thread")]
async fn texts_of_others_are_never_removed() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let accounts = add(&ledger, "ada").await;
    let [ada, bob] = accounts[..] else { panic!("two accounts") };
    let all: Vec<i64> =
        ledger.chats(ada.id).iter().chain(&ledger.chats(bob.id)).map(|chat| chat.id).collect();
    let job = move |conn: &mut DbConnection| Ok(Chat::blank(conn, ada.id, &all)?);
    assert_eq!(ledger.db.write_bulk(Scope::none(), job).await.unwrap(), 3);
    assert!(ledger.chats(bob.id).iter().all(|chat| !chat.message.is_empty()));
}

/// An index whose marks are behind its keys, as after a mix of two files.
#[rstest]
#[case("chat_keys", "chats")]
#[case("entry_keys", "ledger_entries")]
#[tokio::test(flavor = "multi_thread")]
async fn an_index_that_contradicts_itself_is_built_anew(#[case] mark: &str, #[case] table: &str) {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    let mut conn = SqliteConnection::establish(index_of(&ledger).to_str().unwrap()).unwrap();
    let anchor = match table {
        "chats" => "created_at || ' ' || user_id",
        _ => "hex(operation_id)",
    };
    conn.batch_execute(&format!(
        "ATTACH '{}' AS source;
         UPDATE follower_marks SET (position, anchor) = (
             SELECT id, {anchor} FROM source.{table} WHERE id < follower_marks.position ORDER BY id DESC LIMIT 1)
         WHERE name = '{mark}'",
        ledger.url()
    ))
    .unwrap();
    drop(conn);
    let refused = Follower::default().round(&ledger.db).await.unwrap_err();
    assert!(matches!(refused, Error::Database(_)), "{refused:?}");
    assert_complete_or_refused(&ledger, &accounts);
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
}

/// After an error the connection is closed. If it is the last one, SQLite removes the log.
#[tokio::test(flavor = "multi_thread")]
async fn an_error_does_not_cost_the_index() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    add(&ledger, "ada").await;
    // No connection that reads has the file yet.
    let mut follower = Follower::default();
    while follower.round(&ledger.db).await.unwrap() > 0 {}
    let index = index_of(&ledger);
    let before = fs::metadata(&index).unwrap().ino();
    let failing = |conn: &mut DbConnection| Ok(conn.batch_execute("SELECT no_such_column")?);
    assert!(ledger.db.write_index(failing).await.is_err());
    assert!(!beside(&index, "-wal").exists(), "it was the last connection");
    assert_eq!(follower.round(&ledger.db).await.unwrap(), 0);
    assert_eq!(fs::metadata(&index).unwrap().ino(), before, "it was built anew for nothing");
}

/// Files of others that happen to have the index's name.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_database_of_another_program_is_left_alone(
    #[values("shop", "shop in its log", "tollgate")] kind: &str,
) {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let index = index_of(&ledger);
    let mut conn = SqliteConnection::establish(index.to_str().unwrap()).unwrap();
    let shop = "PRAGMA user_version = 7; CREATE TABLE orders (id INTEGER PRIMARY KEY); INSERT INTO orders VALUES (1)";
    match kind {
        "tollgate" => {
            let _ = fs::remove_file(&index);
            let other = Ledger::of(TestDatabase::create(On::Sqlite).unwrap());
            other.db.migrate().unwrap();
            other.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
            fs::copy(other.url(), &index).unwrap();
        }
        "shop" => conn.batch_execute(shop).unwrap(),
        _ => conn.batch_execute(&format!("PRAGMA journal_mode = WAL; {shop}")).unwrap(),
    }
    // A reader of a database may leave an empty log.
    let files = || ["", "-wal"].map(|suffix| fs::read(beside(&index, suffix)).unwrap_or_default());
    let before = files();
    let accounts = add(&ledger, "ada").await;
    let refused = Follower::default().round(&ledger.db).await.unwrap_err();
    assert!(format!("{refused:?}").contains("another program"), "{refused:?}");
    assert_complete_or_refused(&ledger, &accounts);
    assert_eq!(ledger.chats(accounts[0].id).len(), 3);
    assert!(files() == before, "it was changed");
    drop(conn);
    ["", "-wal", "-shm"].iter().for_each(|suffix| drop(fs::remove_file(beside(&index, suffix))));
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_file_that_is_no_database_is_moved_away() {
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let index = index_of(&ledger);
    let text = "not a database at all, but perhaps dear to somebody".repeat(100);
    fs::write(&index, &text).unwrap();
    let accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
    let kept = fs::read_dir(index.parent().unwrap()).unwrap().map(|entry| entry.unwrap().path());
    let kept: Vec<PathBuf> = kept.filter(|path| path.to_str().unwrap().contains("-damaged-")).collect();
    assert_eq!(kept.len(), 1, "{kept:?}");
    assert_eq!(fs::read_to_string(&kept[0]).unwrap(), text);
}

/// Fills the index's disk while the index is open. The database is on another one.
#[rstest]
#[tokio::test(flavor = "multi_thread")]
async fn a_full_disk_under_the_index_stops_no_chat(#[values(true, false)] deleted: bool) {
    let Some(disk) = SmallDisk::mount() else { return };
    let ledger = Ledger::create(On::Sqlite).unwrap();
    let link = index_of(&ledger);
    let index = disk.path().join("index.db");
    symlink(&index, &link).unwrap();
    // The link is followed once, at the start.
    ledger.db.close(Instant::now() + Duration::from_secs(10)).unwrap();
    let ledger = ledger.reopened();
    let mut accounts = add(&ledger, "ada").await;
    catch_up(&ledger.db).await;
    assert!(index.exists(), "the index is where the link leads");
    if deleted {
        // What an operator may do to make room. Something else takes it at once.
        ["", "-wal", "-shm"].iter().for_each(|suffix| fs::remove_file(beside(&index, suffix)).unwrap());
    }
    let mut follower = Follower::default();
    for round in 0..30 {
        disk.fill(0);
        accounts.extend(add(&ledger, &format!("grace{round}")).await);
        if follower.round(&ledger.db).await.is_err() {
            break;
        }
        assert!(round < 29, "the disk was not full");
    }
    for account in &accounts {
        for read in on_all_connections(&ledger, chats_of(*account)) {
            assert_eq!(read.unwrap().len(), 3);
        }
    }
    accounts.extend(add(&ledger, "linus").await);
    let filler = disk.fill(0);
    assert!(follower.round(&ledger.db).await.is_err());
    assert_complete_or_refused(&ledger, &accounts);
    fs::remove_file(filler).unwrap();
    catch_up(&ledger.db).await;
    assert_healed(&ledger, &accounts);
    assert_eq!(fs::read_link(&link).unwrap(), index, "the link is still one");
}
