//! The file beside the database that contains the generation that the log belongs to.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use super::{beside, sync_folder};

/// The contents of the file beside the database.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Sidecar {
    /// The generations that the database may have. There are several only while it is being
    /// renewed.
    pub(super) generations: Vec<i32>,
    /// The inode numbers of the file and its log, while a server has both open. If another program
    /// copies a database while it is served, the copy has its generation, too, but is another file.
    pub(super) files: Option<(u64, u64)>,
    /// Whether a part of the log is lost: then the file with one of these generations is not the
    /// whole database, and may be damaged.
    pub(super) is_damaged: bool,
    /// If a restore is in progress: the path of the database from before.
    pub(super) restoring: Option<PathBuf>,
}

impl Sidecar {
    /// Reads the file. Returns `None` if it is missing or has no content.
    pub(super) fn read(database: &Path) -> io::Result<Option<Sidecar>> {
        let text = match fs::read(beside(database, "-generation")) {
            Ok(bytes) => String::from_utf8_lossy(&bytes).into_owned(),
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        Ok(Sidecar::parse(&text))
    }

    fn parse(text: &str) -> Option<Sidecar> {
        let value = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix(' '));
        let numbers = value("generation")?.split_whitespace().map(str::parse);
        let generations = numbers.collect::<Result<_, _>>().ok()?;
        let files = value("files").and_then(|files| files.split_once(' '));
        let files = files.and_then(|(file, log)| Some((file.parse().ok()?, log.trim().parse().ok()?)));
        let is_damaged = value("damaged").is_some();
        Some(Sidecar { generations, files, is_damaged, restoring: value("restoring").map(PathBuf::from) })
    }

    /// Writes the file atomically.
    pub(super) fn write(&self, database: &Path) -> io::Result<()> {
        let numbers: Vec<String> = self.generations.iter().map(i32::to_string).collect();
        let mut text = format!("generation {}\n", numbers.join(" "));
        if let Some((file, log)) = self.files {
            text.push_str(&format!("files {file} {log}\n"));
        }
        if self.is_damaged {
            text.push_str("damaged yes\n");
        }
        if let Some(kept) = &self.restoring {
            text.push_str(&format!("restoring {}\n", kept.display()));
        }
        let new = beside(database, "-generation.new");
        let mut file = OpenOptions::new().write(true).create(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(text.as_bytes())?;
        file.sync_all()?;
        fs::rename(&new, beside(database, "-generation"))?;
        sync_folder(database)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_file_beside_the_database_is_read_as_it_was_written() {
        let parsed = Sidecar::parse("generation 7 8\nfiles 3 4\ndamaged yes\nrestoring t.db-before\n");
        let restoring = Some(PathBuf::from("t.db-before"));
        assert_eq!(
            parsed,
            Some(Sidecar { generations: vec![7, 8], files: Some((3, 4)), is_damaged: true, restoring })
        );
        assert_eq!(
            Sidecar::parse("generation 7"),
            Some(Sidecar { generations: vec![7], ..Sidecar::default() })
        );
        assert_eq!(Sidecar::parse("something else"), None);
    }
}
