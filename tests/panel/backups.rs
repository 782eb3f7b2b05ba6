//! The page of backups: which there are, making one, downloading one, and what fails. On
//! PostgreSQL, the commands to use instead.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use tempfile::TempDir;

use super::forgery::books;
use crate::support::app::TestApp;
use crate::support::html::{Form, copied};
use crate::support::panel::{Browser, Page};
use crate::support::postgres::Cluster;
use crate::support::server::assert_verified;
use crate::support::{On, TestDatabase, require, temporary};

const PATH: &str = "/admin/backups/";

/// A server on SQLite that keeps two backups of each kind.
struct Place {
    app: TestApp,
    folder: TempDir,
}

impl Place {
    async fn new(every: &str) -> Place {
        let folder = temporary::directory();
        let path = folder.path().to_str().unwrap();
        let flags = ["--backup-dir", path, "--backup-every", every, "--backup-keep", "2"];
        let app = TestApp::spawn_with(On::Sqlite, &flags).await.expect("SQLite is built in");
        Place { app, folder }
    }

    /// Does what the server's task does from time to time.
    async fn round(&self) {
        self.app.services.backups.round(&self.app.services.db).await;
    }

    /// Returns the names in the folder, in order.
    fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.path()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Presses *Back up now*, and lets the server make the backup. Returns its name.
    async fn back_up(&self, root: &Browser<'_>) -> String {
        let before = self.names();
        start(root).await.assert_status(303);
        self.round().await;
        let new: Vec<String> = self.names().into_iter().filter(|name| !before.contains(name)).collect();
        assert_eq!(new.len(), 1, "{new:?}");
        new[0].clone()
    }
}

async fn start(browser: &Browser<'_>) -> Page {
    browser.send(&browser.bare_form("/admin/backups/start/").await).await
}

async fn download(browser: &Browser<'_>, name: &str) -> Page {
    let form = browser.bare_form("/admin/backups/download/").await;
    browser.send(&form.with(&[("backup", name)])).await
}

#[actix_web::test]
async fn a_backup_is_made_listed_and_downloaded_and_the_history_knows_by_whom() {
    let place = Place::new("0").await;
    let app = &place.app;
    app.user("ada").await;
    let root = app.superuser("root").await;
    place.round().await;
    root.get(PATH).await.assert_shows(&["There is no backup yet.", "Schedule none", "Back up now"]);
    let name = place.back_up(&root).await;
    assert!(name.starts_with("tollgate-2") && name.ends_with("-manual.db"), "{name}");
    let page = root.get(PATH).await;
    page.assert_shows(&["checked", "root", "Backup started.", "Download"])
        .assert_hides(&["There is no backup"]);
    assert_eq!(fs::metadata(place.path(&name)).unwrap().permissions().mode() & 0o777, 0o600);

    let file = fs::read(place.path(&name)).unwrap();
    let sent = download(&root, &name).await;
    sent.assert_status(200);
    assert!(sent.answer.body == file, "it is not the file");
    sent.answer.assert_header("content-type", "application/vnd.sqlite3");
    sent.answer.assert_header("content-disposition", &format!("attachment; filename=\"{name}\""));
    sent.answer.assert_header("accept-ranges", "none").assert_header("cache-control", "no-store");
    let copy = TestDatabase::create(On::Sqlite).unwrap();
    fs::write(copy.url(), &sent.answer.body).unwrap();
    assert_verified(&copy);

    let id: String = name.chars().filter(char::is_ascii_digit).take(14).collect();
    for action in ["start", "download"] {
        let row =
            format!("audit_log WHERE action = '{action}' AND object_kind = 'backup' AND object_id = {id}");
        assert_eq!(app.count(&row), 1, "{action}");
    }
    let history = root.get("/admin/history/").await;
    history.assert_shows(&[&format!("backup {id}"), "downloaded", "started"]);
    assert!(history.links().contains(&PATH.to_owned()), "{:?}", history.links());
}

/// The form has a name, and only names that the server itself has listed are found.
#[actix_web::test]
async fn nothing_but_a_listed_backup_is_ever_sent() {
    let place = Place::new("0").await;
    let root = place.app.superuser("root").await;
    let name = place.back_up(&root).await;
    fs::write(place.path("secret.txt"), "a secret").unwrap();
    let other = "tollgate-20260101T000000Z-00000000.db";
    fs::write(place.path(other), "a secret").unwrap();
    place.round().await;
    let database = place.app.database().url().to_owned();
    let within = format!("../{}/{name}", place.folder.path().file_name().unwrap().to_str().unwrap());
    for wrong in
        ["", "secret.txt", other, "../../../../etc/passwd", "/etc/passwd", &database, &within, "./", "%2e%2e"]
    {
        let page = download(&root, wrong).await;
        page.assert_status(303);
        assert_eq!(page.location(), PATH);
        root.follow(&page).await.assert_shows(&["This backup is no longer there."]);
    }
    let before = place.app.count("audit_log WHERE action = 'download'");
    assert_eq!(before, 0, "a download is recorded that did not happen");
    // A range of a file is not offered: the whole file is sent.
    let form = root.bare_form("/admin/backups/download/").await.with(&[("backup", &name)]);
    let answer = root.form_request(&form).header("Range", "bytes=0-15").send().await;
    assert_eq!(
        (answer.status, answer.body.len() as u64),
        (200, fs::metadata(place.path(&name)).unwrap().len())
    );
    // A file that is gone since the last look.
    fs::remove_file(place.path(&name)).unwrap();
    let page = download(&root, &name).await;
    root.follow(&page).await.assert_shows(&["This backup cannot be read."]);
}

#[actix_web::test]
async fn staff_see_the_backups_and_guests_see_nothing() {
    let place = Place::new("0").await;
    let root = place.app.superuser("root").await;
    let name = place.back_up(&root).await;
    let staff = place.app.staff("grace").await;
    let page = staff.get(PATH).await;
    page.assert_shows(&["checked"]).assert_hides(&["Back up now", "Download", &name]);
    let names = place.names();
    start(&staff).await.assert_status(403);
    let refused = download(&staff, &name).await;
    refused.assert_status(403);
    assert!(!refused.html().contains("SQLite format"));
    let guest = Browser::guest(&place.app);
    guest.get(PATH).await.assert_status(303);
    for path in ["start", "download"] {
        let form = Form { action: format!("{PATH}{path}/"), ..Form::default() };
        guest.send(&form.with(&[("backup", &name)])).await.assert_status(403);
        // A superuser's form without the token of the session.
        root.send(&Form { action: format!("{PATH}{path}/"), ..Form::default() }.with(&[("backup", &name)]))
            .await
            .assert_status(403);
    }
    place.round().await;
    assert_eq!(place.names(), names);
}

#[actix_web::test]
async fn one_backup_is_made_at_a_time() {
    let place = Place::new("0").await;
    let root = place.app.superuser("root").await;
    let before = books(&place.app);
    start(&root).await.assert_status(303);
    let second = start(&root).await;
    root.follow(&second).await.assert_shows(&["A backup is being made already.", "beginning"]);
    assert_eq!(place.app.count("audit_log WHERE object_kind = 'backup'"), 1);
    place.round().await;
    place.round().await;
    assert_eq!(place.names().len(), 1);
    assert_eq!(books(&place.app)[3], before[3], "the ledger is as it was");
}

#[actix_web::test]
async fn manual_backups_do_not_push_scheduled_ones_out() {
    let place = Place::new("1h").await;
    let root = place.app.superuser("root").await;
    place.round().await;
    let scheduled = place.names();
    assert_eq!(scheduled.len(), 1, "the first one is due at once");
    for _ in 0..4 {
        place.back_up(&root).await;
    }
    let names = place.names();
    assert_eq!(names.iter().filter(|name| name.ends_with("-manual.db")).count(), 2, "{names:?}");
    assert!(names.contains(&scheduled[0]), "{names:?}");
    root.get(PATH).await.assert_shows(&["the schedule", "Next backup due", "every 1 h"]);
}

#[actix_web::test]
async fn a_backup_that_failed_is_shown_on_home_until_one_succeeds() {
    let place = Place::new("0").await;
    let root = place.app.superuser("root").await;
    place.back_up(&root).await;
    let home = root.get("/admin/").await;
    home.assert_shows(&["Last good backup", "Nothing needs attention."]);
    let elsewhere = place.folder.path().with_extension("moved");
    fs::rename(place.folder.path(), &elsewhere).unwrap();
    start(&root).await.assert_status(303);
    place.round().await;
    let home = root.get("/admin/").await;
    home.assert_shows(&["The last backup failed: there is no folder"]);
    let link = format!("<a href=\"{PATH}\">The last backup failed: there is no folder");
    assert!(home.html().contains(&link), "it leads to the page");
    root.get(PATH).await.assert_shows(&[
        "The last backup failed: there is no folder",
        "failed",
        "mkdir -m 700",
    ]);
    assert_eq!(place.app.count("backup_runs WHERE failure IS NOT NULL"), 1);
    fs::rename(&elsewhere, place.folder.path()).unwrap();
    place.round().await;
    // The folder is back, but the latest backup is still one that failed.
    root.get("/admin/").await.assert_shows(&["The last backup failed"]);
    place.back_up(&root).await;
    root.get("/admin/").await.assert_hides(&["The last backup failed"]);
    let page = root.get(PATH).await;
    page.assert_shows(&["failed", "there is no folder"]).assert_hides(&["The last backup failed"]);
    assert_eq!(place.app.count("backup_runs"), 3);
}

#[actix_web::test]
async fn a_server_remembers_over_a_restart_that_the_last_backup_failed() {
    let folder = temporary::directory();
    let missing = folder.path().join("none");
    let flags = ["--backup-dir", missing.to_str().unwrap(), "--backup-every", "24h"];
    let app = TestApp::spawn_with(On::Sqlite, &flags).await.unwrap();
    let root = app.superuser("root").await;
    app.services.backups.round(&app.services.db).await;
    assert_eq!(app.count("backup_runs WHERE failure LIKE 'there is no folder%'"), 1);
    // The schedule does not try again at once.
    app.services.backups.round(&app.services.db).await;
    assert_eq!(app.count("backup_runs"), 1);
    fs::create_dir(&missing).unwrap();
    let again = tollgate::server::Services::new(
        &crate::support::app::config(app.database().url(), &flags),
        tollgate::db::Db::clone(&app.services.db),
        tokio::runtime::Handle::current(),
    );
    let again = again.unwrap().backups;
    // Its task begins with what is known, and then makes the backup that is due.
    let running = again.clone();
    let db = app.services.db.clone();
    let task = actix_web::rt::spawn(async move { running.run(&db).await });
    crate::support::app::eventually("a backup", async || {
        fs::read_dir(&missing).unwrap().count() == 1 && app.count("backup_runs") == 2
    })
    .await;
    task.abort();
    let overview = again.overview(tollgate::clock::now()).unwrap();
    assert_eq!(overview.failure, None);
    assert!(overview.last_good.is_some());
    root.get(PATH).await.assert_shows(&["failed", "there is no folder"]);
}

#[actix_web::test]
async fn nothing_is_deleted_while_backups_are_from_the_future() {
    let place = Place::new("0").await;
    let root = place.app.superuser("root").await;
    let name = place.back_up(&root).await;
    // As if the clock had been ahead when it was made.
    let mark = name.split('-').nth(2).unwrap().to_owned();
    let future = format!("tollgate-20990101T000000Z-{mark}-manual.db");
    fs::copy(place.path(&name), place.path(&future)).unwrap();
    for _ in 0..3 {
        place.back_up(&root).await;
    }
    assert_eq!(place.names().len(), 5, "{:?}", place.names());
    root.get(PATH).await.assert_shows(&["By this server's clock, 1 backup is from the future."]);
    root.get("/admin/").await.assert_shows(&["some backups are from the future"]);
    fs::remove_file(place.path(&future)).unwrap();
    place.back_up(&root).await;
    assert_eq!(place.names().len(), 2, "{:?}", place.names());
}

#[actix_web::test]
async fn a_file_that_has_changed_since_it_was_made_is_marked() {
    let place = Place::new("0").await;
    let root = place.app.superuser("root").await;
    let name = place.back_up(&root).await;
    let file = fs::OpenOptions::new().write(true).open(place.path(&name)).unwrap();
    file.set_len(5000).unwrap();
    place.round().await;
    root.get(PATH).await.assert_shows(&["changed: it had", "5.0 kB"]).assert_hides(&[">checked<"]);
}

#[actix_web::test]
async fn without_a_folder_the_page_says_how_to_begin() {
    let app = TestApp::spawn(On::Sqlite).await.unwrap();
    let root = app.superuser("root").await;
    root.get(PATH)
        .await
        .assert_shows(&["--backup-dir", "tollgate backup FILE"])
        .assert_hides(&["Back up now"]);
    let page = start(&root).await;
    root.follow(&page).await.assert_shows(&["This server makes no backups"]);
    assert_eq!(app.count("audit_log WHERE object_kind = 'backup'"), 0);
    app.services.backups.round(&app.services.db).await;
    root.get("/admin/").await.assert_shows(&["not by this server"]);
}

/// Runs a command in a folder as it was copied.
fn run(folder: &Path, command: &str) {
    let output = Command::new("bash").args(["-c", command]).current_dir(folder).output().unwrap();
    assert!(output.status.success(), "{command}: {}", String::from_utf8_lossy(&output.stderr));
}

#[actix_web::test]
async fn on_postgresql_the_page_has_commands_that_work() {
    // A cluster of its own, as one of the commands copies all of it.
    let Some(cluster) = Cluster::start(&["fsync=off"]) else { return };
    let app = TestApp::spawn_on(TestDatabase::from(cluster.database()), &[]).await;
    let root = app.superuser("root").await;
    let token = app.user("ada").await;
    app.chat(&token, "Hello").await.assert_status(201);
    let page = root.get(PATH).await;
    page.assert_shows(&["pg_dump", "pg_basebackup"]).assert_hides(&["Back up now", "--backup-dir"]);
    let commands = copied(&page.html());
    let [dump, restore, base] = commands.as_slice() else { panic!("{commands:?}") };
    if require::program("pg_dump").is_none() {
        return require::missing("pg_dump", "on Debian: apt-get install postgresql-client");
    }
    let folder = temporary::directory();
    run(folder.path(), dump);
    run(folder.path(), base);
    let names: Vec<String> = fs::read_dir(folder.path())
        .unwrap()
        .map(|entry| entry.unwrap().file_name().into_string().unwrap())
        .collect();
    let file = names.iter().find(|name| name.ends_with(".dump")).unwrap();
    assert_eq!(fs::metadata(folder.path().join(file)).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(names.iter().any(|name| name.starts_with("cluster-")), "{names:?}");
    let other = TestDatabase::from(cluster.database());
    let restore =
        restore.replace("tollgate-20260131T031500Z.dump", file).replace(app.database().url(), other.url());
    assert!(restore.contains(other.url()), "{restore}");
    run(folder.path(), &restore);
    assert_verified(&other);
}
