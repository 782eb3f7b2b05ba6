//! The server's health: versions, sizes, the certificate, the index and the last verification.

use chrono::NaiveDateTime;

use crate::backup::BackupOverview;
use crate::db::{About, free_space};
use crate::http::Site;
use crate::index::follower::Progress;
use crate::models::Verification;
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};
use crate::panel::kit::paths;
use crate::tls::{Certificate, Served, Validity};

/// The file system that has the SQLite file.
#[derive(Clone, Copy, Debug)]
pub(super) struct Disk {
    /// Its free space, in bytes.
    pub free: u64,
    /// Less than this is too little.
    pub least: u64,
}

impl Disk {
    /// Asks the system. `None` on PostgreSQL, or if it does not tell.
    pub(super) fn of(site: &Site) -> Option<Disk> {
        let free = free_space(site.data_folder.as_deref()?).ok()?;
        Some(Disk { free, least: site.min_free_disk.saturating_mul(1024 * 1024) })
    }

    fn cell(self) -> Cell {
        let text = format::bytes(self.free);
        if self.free < self.least { Cell::badge(text, Tone::Bad) } else { Cell::Text(text) }
    }
}

fn validity(certificate: &Certificate, now: NaiveDateTime) -> Cell {
    match certificate.validity(now) {
        Validity::Valid => Cell::badge("valid", Tone::Good),
        Validity::EndsSoon(days) => Cell::badge(format!("expires in {}", days_left(days)), Tone::Warning),
        Validity::NotYet => Cell::badge("not valid yet", Tone::Bad),
        Validity::Ended => Cell::badge("expired", Tone::Bad),
    }
}

/// Returns a number of whole days as people say it.
pub(super) fn days_left(days: i64) -> String {
    if days == 0 { "less than a day".to_owned() } else { format::counted(days, "day", "days") }
}

fn verified(verification: Option<&Verification>) -> Cell {
    match verification {
        None => Cell::badge("not verified yet", Tone::Plain),
        Some(run) if run.finished_at.is_none() => Cell::badge("running", Tone::Plain),
        Some(run) if run.failure.is_some() => Cell::badge("did not finish", Tone::Warning),
        Some(run) if run.damage.is_empty() => Cell::badge("the ledger is in order", Tone::Good),
        Some(_) => Cell::badge("found damage", Tone::Bad),
    }
}

fn being_built(progress: Progress) -> String {
    format!(
        "being built: {} %, {} to go",
        progress.percent(),
        format::counted(progress.behind, "row", "rows")
    )
}

/// Returns why the numbers are too low, if they are. `failure` is why there is no index.
pub(super) fn numbers_note(progress: Progress, failure: Option<&str>) -> Option<String> {
    match failure {
        Some(why) => Some(format!(
            "These numbers are missing, and lists and searches are \
                                   incomplete: {why}."
        )),
        None if progress.is_being_built() => {
            Some(format!("These numbers are too low: their index is {}.", being_built(progress)))
        }
        None => None,
    }
}

/// What is known of the server.
pub(super) struct Server<'a> {
    pub about: &'a About,
    pub disk: Option<Disk>,
    pub now: NaiveDateTime,
    /// The certificate, if the server speaks TLS itself.
    pub certificate: Option<&'a Served>,
    /// How far the index is.
    pub progress: Progress,
    pub has_index: bool,
    /// When the oldest open hold was made.
    pub oldest_hold: Option<NaiveDateTime>,
    pub verification: Option<&'a Verification>,
    /// The backups, if the server makes any.
    pub backups: Option<&'a BackupOverview>,
}

/// When the last good backup was begun, or that there is none.
fn last_backup(backups: Option<&BackupOverview>) -> Cell {
    match backups {
        None => Cell::Link { text: "not by this server".to_owned(), href: paths::BACKUPS.to_owned() },
        Some(BackupOverview { last_good: Some(at), .. }) => Cell::Time(*at),
        Some(BackupOverview { failure: Some(_), .. }) => Cell::badge("failed", Tone::Bad),
        Some(_) => Cell::badge("none yet", Tone::Plain),
    }
}

impl Server<'_> {
    /// Describes it.
    pub(super) fn facts(&self) -> Vec<Fact> {
        let size = format::bytes(u64::try_from(self.about.size).unwrap_or_default());
        let mut facts = vec![
            Fact::new("Tollgate", Cell::Text(env!("CARGO_PKG_VERSION").to_owned())),
            Fact::new("Database", Cell::Text(format!("{} {}", self.about.kind, self.about.version))),
            Fact::new("Size", Cell::Text(size)),
        ];
        facts.extend(self.disk.map(|disk| Fact::new("Free disk space", disk.cell())));
        if let Some(Served { certificate, .. }) = self.certificate {
            facts.push(Fact::new("TLS certificate", validity(certificate, self.now)));
            facts.push(Fact::new("Certificate expires", Cell::Time(certificate.ends())));
        }
        facts.extend([
            Fact::new("Last good backup", last_backup(self.backups)),
            Fact::new("Search index", self.index()),
            Fact::new("Oldest hold since", Cell::time(self.oldest_hold)),
            Fact::new("Last verification", verified(self.verification)),
            Fact::new("Verified at", Cell::time(self.verification.and_then(|run| run.finished_at))),
        ]);
        facts
    }

    fn index(&self) -> Cell {
        match self.progress {
            _ if !self.has_index => Cell::badge("missing", Tone::Bad),
            Progress { behind: 0, .. } => Cell::badge("up to date", Tone::Good),
            progress if progress.is_being_built() => Cell::badge(being_built(progress), Tone::Warning),
            Progress { behind, .. } => Cell::Text(format!("catching up ({})", format::tokens(behind))),
        }
    }
}
