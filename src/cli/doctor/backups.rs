//! The check of the folder for the backups that the server makes.

use std::fs;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use super::check::Check;
use crate::config::Config;
use crate::db::{check_disk, free_space};

/// The name of the check.
const NAME: &str = "backups";
const MIB: u64 = 1024 * 1024;

pub(super) fn check(config: &Config) -> Check {
    let url = config.database.url();
    let (Some(settings), Some(database)) = (config.backup_settings(), url.sqlite_path()) else {
        return Check::skipped(
            NAME,
            match url.is_postgres() {
                true => "PostgreSQL has tools of its own: the panel's page Backups has their commands",
                false => "--backup-dir is not set, so the server makes none",
            },
        );
    };
    let folder = settings.folder.display();
    let fleeting = match check_disk(&settings.folder) {
        Ok(disk) => disk.fleeting,
        Err(error) => {
            return Check::failure(
                NAME,
                format!("cannot write in {folder}: {error}"),
                format!(
                    "the server makes no backups: create the folder (`mkdir -m 700 {folder}`) or mount its disk, and \
                     give it to the user that runs the server"
                ),
            );
        }
    };
    if let Some(kind) = fleeting {
        return Check::warning(NAME, format!("{folder} is on {kind}"), "put the backups on a disk");
    }
    let shares_disk = device(&settings.folder).is_some_and(|own| device(database) == Some(own));
    let reserve = if shares_disk { settings.leaves_free } else { 0 };
    let size = fs::metadata(database).map_or(0, |file| file.len());
    let needed = size.saturating_add(reserve);
    match free_space(&settings.folder) {
        Ok(free) if free < needed => Check::warning(
            NAME,
            format!("{folder} has {} MiB free, and the next one needs {}", free / MIB, needed.div_ceil(MIB)),
            "make room, lower --backup-keep, or choose a folder on another disk",
        ),
        _ if shares_disk => Check::warning(
            NAME,
            format!("{folder} is on the disk of the database"),
            "a disk that fails takes both: choose a folder on another disk, or copy the backups elsewhere",
        ),
        _ => Check::ok(NAME, format!("they go to {folder}")),
    }
}

fn device(path: &Path) -> Option<u64> {
    fs::metadata(path).ok().map(|metadata| metadata.dev())
}
