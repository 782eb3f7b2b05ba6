//! Backups: which there are, making one now, and downloading one. On PostgreSQL, the commands that
//! make them.

mod commands;
mod download;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;
use chrono::{NaiveDateTime, TimeDelta};

use super::kit::PageError;
use super::kit::administrator::{Administrator, Superuser};
use super::kit::fact::Fact;
use super::kit::form::Form;
use super::kit::format;
use super::kit::list::{Cell, Tone};
use super::kit::message::Message;
use super::kit::names::Named;
use super::kit::page::{Crumb, Frame, go, page};
use super::kit::paths;
use crate::administration::start_backup;
use crate::auth::Auth;
use crate::backup::{BackupFile, BackupOverview, Backups, MayBegin, Phase};
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::models::BackupRun;
use commands::{Command, commands};

pub(super) use download::download;

/// The most backups that are shown.
const MOST_SHOWN: usize = 200;
/// The most records that are read.
const MOST_RUNS: i64 = 400;

#[derive(Template)]
#[template(path = "admin/backups.html")]
struct BackupsPage {
    frame: Frame,
    /// The commands to use instead. Empty on SQLite.
    commands: Vec<Command>,
    /// Whether the server makes backups.
    is_on: bool,
    is_running: bool,
    /// What the administrator should know.
    notes: Vec<String>,
    facts: Vec<Fact>,
    rows: Vec<Row>,
    /// Whether there are more backups than are shown.
    is_cut: bool,
    may_change: bool,
}

/// A backup, or an attempt that has failed.
struct Row {
    at: NaiveDateTime,
    by: Cell,
    size: Cell,
    state: Cell,
    /// The name of the file. Empty if there is none.
    name: String,
    /// Why it failed.
    why: String,
}

/// Shows the page (`GET /admin/backups/`).
pub(super) async fn show(
    administrator: Administrator,
    db: Data<Db>,
    backups: Data<Backups>,
) -> Result<HttpResponse, PageError> {
    let now = clock::now();
    let overview = backups.overview(now);
    let runs = match &overview {
        Some(_) => db.read(|conn: &mut DbConnection| named_runs(conn)).await?,
        None => Vec::new(),
    };
    let mut rows = overview.as_ref().map(|overview| rows(overview, &runs)).unwrap_or_default();
    let is_cut = rows.len() > MOST_SHOWN;
    rows.truncate(MOST_SHOWN);
    page(&BackupsPage {
        frame: Frame::new(&administrator, &[Crumb::new("Backups", paths::BACKUPS)]),
        commands: db.url().for_tools().map(|url| commands(&url)).unwrap_or_default(),
        is_on: overview.is_some(),
        is_running: overview.as_ref().is_some_and(|overview| overview.running.is_some()),
        notes: overview.as_ref().map(|overview| notes(overview, now)).unwrap_or_default(),
        facts: overview.as_ref().map(facts).unwrap_or_default(),
        rows,
        is_cut,
        may_change: administrator.may_change(),
    })
    .map_err(PageError::from)
}

fn named_runs(conn: &mut DbConnection) -> crate::error::Result<Vec<Named<BackupRun>>> {
    let runs = BackupRun::latest(conn, MOST_RUNS)?;
    Named::all(conn, runs, |run| [run.actor_id, None])
}

/// Returns what is being made, what there is, and what has failed, the latest first.
fn rows(overview: &BackupOverview, runs: &[Named<BackupRun>]) -> Vec<Row> {
    let mut rows: Vec<Row> = overview.files.iter().map(|file| of_file(file, runs)).collect();
    rows.extend(runs.iter().filter_map(of_failure));
    rows.sort_by_key(|row| std::cmp::Reverse(row.at));
    if let Some(running) = &overview.running {
        let by = if running.name.is_manual { "an administrator" } else { "the schedule" };
        let row = Row {
            at: running.name.begun_at,
            by: Cell::Text(by.to_owned()),
            size: Cell::Nothing,
            state: Cell::badge(in_words(running.phase), Tone::Plain),
            name: String::new(),
            why: String::new(),
        };
        rows.insert(0, row);
    }
    rows
}

fn of_file(file: &BackupFile, runs: &[Named<BackupRun>]) -> Row {
    let name = file.name.to_string();
    let run = runs.iter().find(|run| run.row.file == name && run.row.failure.is_none());
    // A restored database does not know of the backups that came after it.
    let by = match run.map(|run| (run, run.row.actor_id)) {
        Some((run, Some(_))) => run.actor(run.row.actor_id),
        _ if file.name.is_manual => Cell::Text("an administrator".to_owned()),
        _ => Cell::Text("the schedule".to_owned()),
    };
    let was = run.and_then(|run| u64::try_from(run.row.size).ok());
    let state = match was {
        Some(was) if was != file.size => {
            Cell::badge(format!("changed: it had {}", format::bytes(was)), Tone::Bad)
        }
        _ => Cell::badge("checked", Tone::Good),
    };
    let size = Cell::Text(format::bytes(file.size));
    Row { at: file.name.begun_at, by, size, state, name, why: String::new() }
}

fn of_failure(run: &Named<BackupRun>) -> Option<Row> {
    let why = run.row.failure.clone()?;
    let by = match run.row.actor_id {
        Some(_) => run.actor(run.row.actor_id),
        None => Cell::Text("the schedule".to_owned()),
    };
    let (size, state) = (Cell::Nothing, Cell::badge("failed", Tone::Bad));
    Some(Row { at: run.row.started_at, by, size, state, name: String::new(), why })
}

fn in_words(phase: Phase) -> String {
    match phase {
        Phase::Copying(progress) if progress.total > 0 => {
            format!("copying: {} %", progress.done * 100 / progress.total)
        }
        Phase::Copying(_) => "beginning".to_owned(),
        Phase::Checking => "being checked".to_owned(),
    }
}

fn facts(overview: &BackupOverview) -> Vec<Fact> {
    let settings = &overview.settings;
    let kept = match settings.keep {
        0 => "all".to_owned(),
        keep => format!("{keep} of the schedule, and {keep} made by hand"),
    };
    let schedule = settings.every.and_then(|every| TimeDelta::from_std(every).ok());
    let schedule = schedule.map_or_else(|| "none".to_owned(), |every| format!("every {}", span(every)));
    let mut facts = vec![
        Fact::new("Folder", Cell::code(&settings.folder.display().to_string())),
        Fact::new("Schedule", Cell::Text(schedule)),
        Fact::new("Kept", Cell::Text(kept)),
        Fact::new("Last good backup", Cell::time(overview.last_good)),
    ];
    facts.extend(overview.due_at.map(|at| Fact::new("Next backup due", Cell::Time(at))));
    facts.extend(overview.free.map(|free| Fact::new("Free in the folder", Cell::Text(format::bytes(free)))));
    facts
}

/// Returns a span in the largest unit that it is a whole number of: `7 days`, `90 min`.
fn span(span: TimeDelta) -> String {
    let seconds = span.num_seconds();
    match seconds {
        _ if seconds % 86_400 == 0 => format::counted(seconds / 86_400, "day", "days"),
        _ if seconds % 3_600 == 0 => format!("{} h", seconds / 3_600),
        _ if seconds % 60 == 0 => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

fn notes(overview: &BackupOverview, now: NaiveDateTime) -> Vec<String> {
    let mut notes = Vec::new();
    if let Some(failure) = &overview.failure {
        notes.push(format!("The last backup failed: {}. Earlier ones are kept.", failure.why));
    } else if overview.is_old(now).is_some() {
        notes.push("The last good backup is older than two periods of the schedule.".to_owned());
    }
    if overview.from_the_future > 0 {
        let those = format::counted(overview.from_the_future as i64, "backup is", "backups are");
        notes.push(format!(
            "By this server's clock, {those} from the future. Until that time has come, or they are moved \
             away, no old backup is deleted. Check the clock."
        ));
    }
    if overview.shares_disk {
        notes.push(
            "The folder is on the database's own disk: its backups are lost with that disk. Copy them elsewhere, \
             or choose a folder on another disk."
                .to_owned(),
        );
    }
    notes
}

/// Starts a backup (`POST /admin/backups/start/`).
pub(super) async fn start(
    administrator: Superuser,
    _sent: Form,
    auth: Data<Auth>,
    db: Data<Db>,
    backups: Data<Backups>,
) -> Result<HttpResponse, PageError> {
    let message = match start_backup(&db, &backups, &administrator.0.actor()).await? {
        MayBegin::Yes(_) => Message::success("Backup started. Its row shows when it is done."),
        MayBegin::AlreadyRunning => Message::warning("A backup is being made already."),
        MayBegin::Off => Message::warning("This server makes no backups: see below."),
    };
    administrator.0.leave_message(&auth, message).await?;
    Ok(go(paths::BACKUPS))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_period_is_shown_in_its_own_unit() {
        let shown =
            [86_400, 604_800, 86_401, 21_600, 5_400, 90].map(|seconds| span(TimeDelta::seconds(seconds)));
        assert_eq!(shown, ["1 day", "7 days", "86401 s", "6 h", "90 min", "90 s"]);
    }
}
