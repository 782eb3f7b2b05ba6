//! The page of backups in a browser: a backup is made, its end is shown without a reload, and it is
//! downloaded, with scripts and without.

use std::fs;
use std::path::Path;

use rstest::rstest;

use super::demo::{Demo, SUPERUSER};
use super::visitor::{Screen, Visitor, patiently};
use crate::support::server::Server;
use crate::support::temporary;

fn files(folder: &Path, ending: &str) -> Vec<std::path::PathBuf> {
    let entries = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
    entries.filter(|path| path.to_str().unwrap().ends_with(ending)).collect()
}

#[rstest]
#[case::with_scripts(true, Screen::Wide)]
#[case::without_scripts(false, Screen::Phone)]
#[tokio::test]
async fn a_superuser_makes_a_backup_and_downloads_it(#[case] has_scripts: bool, #[case] screen: Screen) {
    let Some(demo) = Demo::write() else { return };
    let (folder, downloads) = (temporary::directory(), temporary::directory());
    let flags = ["--backup-dir", folder.path().to_str().unwrap(), "--backup-every", "0"];
    let server = Server::start(&demo.database, &flags);
    let Some(visitor) = Visitor::arrive(server.address(), has_scripts, screen).await else { return };
    visitor.keep_downloads(downloads.path()).await;
    visitor.sign_in(SUPERUSER).await;
    visitor.go_to_place("Backups").await;
    visitor.sees("There is no backup yet.").await;
    visitor.press("Back up now").await;
    visitor.sees("Backup started.").await;
    if has_scripts {
        visitor.sees("checked").await;
    } else {
        visitor.open_until("/admin/backups/", "checked").await;
    }
    let made = files(folder.path(), "-manual.db");
    assert_eq!(made.len(), 1, "{made:?}");
    let button = visitor.element("main td button").await;
    button.click().await.unwrap();
    let whole = fs::read(&made[0]).unwrap();
    let is_there = patiently(async || {
        let found = files(downloads.path(), ".db").pop()?;
        (fs::read(found).ok()? == whole).then_some(())
    });
    assert!(is_there.await.is_some(), "{:?}", fs::read_dir(downloads.path()).unwrap().collect::<Vec<_>>());
    let name = files(downloads.path(), ".db").pop().unwrap();
    assert_eq!(name.file_name(), made[0].file_name());
    assert_eq!(visitor.console().await, Vec::<String>::new());
}
