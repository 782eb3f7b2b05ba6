//! Backups of the SQLite file that the server makes by itself: on a schedule, and when an
//! administrator asks for one. Only the server makes them, and SQLite has one.
//!
//! What there is, and so what is due, is decided by the names in the folder (`schedule.rs`). All
//! work on the folder is done by one task, on threads of its own. Pages show what that task has
//! seen: a disk that hangs keeps no page waiting.

mod folder;
mod make;
mod name;
mod schedule;

use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use chrono::{NaiveDateTime, TimeDelta};
use tokio::sync::{Notify, oneshot};

pub use folder::BackupFile;
pub use make::Phase;
pub use name::BackupName;

use crate::clock;
use crate::db::file::{Progress, abandon};
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::live::Live;
use crate::models::{BackupRun, NewBackupRun};
use folder::{Found, look};
use make::{NoBackup, Plan};

/// Interval between two looks at the folder.
const LOOK_EVERY: Duration = Duration::from_secs(60);
/// The shortest pause between two looks.
const LEAST_PAUSE: Duration = Duration::from_secs(1);
/// How long a stop waits for a backup to end. What still runs then is abandoned.
const STOP_WITHIN: Duration = Duration::from_secs(3);
/// How long the removal of an abandoned copy may take.
const ABANDON_WITHIN: Duration = Duration::from_secs(1);
/// Interval between two checks for that end.
const STOP_PAUSE: Duration = Duration::from_millis(10);
/// The most records that wait until the database can be written.
const MOST_WAITING: usize = 20;

/// The settings of backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupSettings {
    /// The folder (`--backup-dir`).
    pub folder: PathBuf,
    /// The time between two backups (`--backup-every`). `None`: only administrators make any.
    pub every: Option<Duration>,
    /// How many scheduled ones are kept, and how many manual ones (`--backup-keep`). 0: all.
    pub keep: usize,
    /// The free space, in bytes, that a backup leaves on the database's disk (`--min-free-disk`).
    pub leaves_free: u64,
}

/// Makes backups and knows which there are. Cheap to clone.
#[derive(Clone, Default)]
pub struct Backups {
    /// `None` if they are off.
    maker: Option<Arc<Maker>>,
}

struct Maker {
    /// A reload of the settings replaces all but the folder.
    settings: Live<BackupSettings>,
    /// The path of the database.
    database: PathBuf,
    /// The part of the names that tells this database from others.
    mark: String,
    /// When the server was started.
    since: NaiveDateTime,
    state: Mutex<State>,
    /// Wakes the task.
    asked: Notify,
    is_stopping: AtomicBool,
    /// Whether a thread is making a backup.
    is_working: AtomicBool,
}

#[derive(Default)]
struct State {
    found: Found,
    /// Why the folder cannot be read.
    fault: Option<BackupFailure>,
    /// What an administrator has asked for.
    order: Option<Order>,
    /// The backup that is being made, and what is being done for it.
    running: Option<Running>,
    /// When the latest good backup of this process was begun.
    made: Option<NaiveDateTime>,
    /// Why the latest backup failed. `None` if it did not.
    failure: Option<BackupFailure>,
    failures_in_a_row: u32,
    /// When the schedule tries again at the earliest.
    retry_at: Option<Instant>,
    /// Records that could not be stored yet.
    unstored: Vec<NewBackupRun>,
}

impl State {
    /// Returns when the schedule's next backup is due.
    fn due_at(&self, every: TimeDelta, now: NaiveDateTime) -> NaiveDateTime {
        schedule::due_at(schedule::latest(&self.found.files, self.made, now), every, now)
    }
}

/// A backup to make.
#[derive(Clone, Debug)]
struct Order {
    name: BackupName,
    /// The administrator who asked for it.
    actor_id: Option<i64>,
}

/// A backup that is being made.
#[derive(Clone, Debug)]
pub struct Running {
    /// Its name.
    pub name: BackupName,
    /// What is being done.
    pub phase: Phase,
}

/// A backup that failed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BackupFailure {
    /// When.
    pub at: NaiveDateTime,
    /// Why, and what to do.
    pub why: String,
}

/// What pages show of the backups.
#[derive(Clone, Debug)]
pub struct BackupOverview {
    /// The settings.
    pub settings: BackupSettings,
    /// The backups in the folder, the latest first.
    pub files: Vec<BackupFile>,
    /// The backup that is being made or will be in a moment.
    pub running: Option<Running>,
    /// Why the latest one failed, or why the folder cannot be read.
    pub failure: Option<BackupFailure>,
    /// When the latest good one was begun.
    pub last_good: Option<NaiveDateTime>,
    /// When the next one is due. `None` if there is no schedule.
    pub due_at: Option<NaiveDateTime>,
    /// The number of backups that are from the future by the clock of now.
    pub from_the_future: usize,
    /// The free space of the folder's disk, in bytes.
    pub free: Option<u64>,
    /// Whether the folder is on the disk of the database.
    pub shares_disk: bool,
    /// When the server was started.
    pub since: NaiveDateTime,
}

impl BackupOverview {
    /// Returns how old the last good backup is, or how long the server has run without one, if that
    /// is too long: two periods of the schedule.
    pub fn is_old(&self, now: NaiveDateTime) -> Option<TimeDelta> {
        let every = TimeDelta::from_std(self.settings.every?).ok()?;
        let age = now - self.last_good.unwrap_or(self.since);
        (age > every * 2 && age > TimeDelta::minutes(10)).then_some(age)
    }
}

/// The answer to an administrator who asks for a backup.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum MayBegin {
    /// It may be made under this name.
    Yes(BackupName),
    /// One is being made already.
    AlreadyRunning,
    /// Backups are off.
    Off,
}

impl Backups {
    /// Backups of the SQLite database at `database`, which has this mark.
    pub fn new(settings: BackupSettings, database: PathBuf, mark: String) -> Backups {
        Backups {
            maker: Some(Arc::new(Maker {
                settings: Live::new(settings),
                database,
                mark,
                since: clock::now(),
                state: Mutex::default(),
                asked: Notify::new(),
                is_stopping: AtomicBool::new(false),
                is_working: AtomicBool::new(false),
            })),
        }
    }

    /// Replaces the settings, whose folder must be that of the start, for backups that begin from
    /// now on.
    pub fn change(&self, settings: BackupSettings) {
        let Some(maker) = &self.maker else { return };
        if *maker.settings.get() != settings {
            maker.settings.set(settings);
            maker.asked.notify_one();
        }
    }

    /// Makes backups when they are due, until it is dropped.
    pub async fn run(&self, db: &Db) {
        let Some(maker) = &self.maker else { return };
        maker.recall(db).await;
        loop {
            let pause = self.round(db).await;
            tokio::select! {
                () = tokio::time::sleep(pause) => {}
                () = maker.asked.notified() => {}
            }
        }
    }

    /// Looks at the folder once, and makes a backup if one is due or was asked for. Returns the
    /// pause until the next look.
    pub async fn round(&self, db: &Db) -> Duration {
        let Some(maker) = &self.maker else { return LOOK_EVERY };
        maker.store_records(db).await;
        let looked = maker.look().await;
        let Some(order) = maker.next_order(looked.is_ok(), clock::now()) else {
            return maker.pause(clock::now());
        };
        let made = match looked {
            Ok(()) => maker.make(db, &order).await,
            Err(why) => Err(NoBackup::Failed(why)),
        };
        maker.finish(order, made).await;
        maker.store_records(db).await;
        maker.pause(clock::now())
    }

    /// Returns whether a backup may begin now, and its name.
    pub fn may_begin(&self, now: NaiveDateTime) -> MayBegin {
        let Some(maker) = &self.maker else { return MayBegin::Off };
        let state = maker.state();
        if state.running.is_some() || state.order.is_some() {
            return MayBegin::AlreadyRunning;
        }
        MayBegin::Yes(maker.free_name(&state, now, true))
    }

    /// Lets a backup begin under a name of [`Backups::may_begin`].
    pub fn begin(&self, name: BackupName, actor_id: Option<i64>) {
        let Some(maker) = &self.maker else { return };
        maker.state().order = Some(Order { name, actor_id });
        maker.asked.notify_one();
    }

    /// Returns what there is. `None` if backups are off.
    pub fn overview(&self, now: NaiveDateTime) -> Option<BackupOverview> {
        let maker = self.maker.as_ref()?;
        let state = maker.state();
        let files = state.found.files.clone();
        let last_good = schedule::latest(&files, state.made, now);
        Some(BackupOverview {
            running: state.running.clone().or_else(|| state.order.as_ref().map(Running::new)),
            failure: state.fault.clone().or_else(|| state.failure.clone()),
            last_good,
            due_at: maker.period().map(|every| schedule::due_at(last_good, every, now)),
            from_the_future: schedule::from_the_future(&files, now),
            free: state.found.free,
            shares_disk: state.found.shares_disk,
            settings: (*maker.settings.get()).clone(),
            since: maker.since,
            files,
        })
    }

    /// Returns the path and the size of a backup. `None` if the folder has none of this name.
    pub fn find(&self, name: &str) -> Option<(PathBuf, BackupFile)> {
        let maker = self.maker.as_ref()?;
        let state = maker.state();
        let file = state.found.files.iter().find(|file| file.name.to_string() == name)?.clone();
        Some((maker.settings.get().folder.join(file.name.to_string()), file))
    }

    /// Ends the backup that is being made, if any, and lets none begin any more.
    pub fn stop(&self) {
        if let Some(maker) = &self.maker {
            maker.is_stopping.store(true, Ordering::Release);
        }
    }

    /// Waits until no backup is being made, after [`Backups::stop`]. A check of a large copy cannot
    /// be interrupted: then the copy is removed, and the thread ends with the process.
    pub async fn stopped(&self) {
        let Some(maker) = &self.maker else { return };
        let until = Instant::now() + STOP_WITHIN;
        while maker.is_working.load(Ordering::Acquire) {
            if Instant::now() > until {
                return maker.abandon().await;
            }
            tokio::time::sleep(STOP_PAUSE).await;
        }
    }
}

impl Maker {
    /// Ignores poisoning: no code under the lock can panic half-way through a change.
    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn period(&self) -> Option<TimeDelta> {
        self.settings.get().every.and_then(|every| TimeDelta::from_std(every).ok())
    }

    /// Remembers whether the latest backup before the start failed.
    async fn recall(&self, db: &Db) {
        let latest = db.read(|conn: &mut DbConnection| Ok(BackupRun::latest(conn, 1)?)).await;
        match latest.map(|runs| runs.into_iter().next()) {
            Ok(Some(BackupRun { finished_at: at, failure: Some(why), .. })) => {
                self.state().failure = Some(BackupFailure { at, why });
            }
            Ok(_) => {}
            Err(error) => log::warn!("the latest backup is not known: {error}"),
        }
    }

    /// Looks at the folder.
    ///
    /// # Errors
    /// Fails with what is wrong with it.
    async fn look(self: &Arc<Maker>) -> Result<(), String> {
        let maker = self.clone();
        let looked =
            on_a_thread(move || look(&maker.settings.get().folder, &maker.mark, &maker.database)).await;
        let (found, fault) = match looked.unwrap_or_else(Err) {
            Ok(found) => (found, None),
            Err(why) => (Found::default(), Some(why)),
        };
        let mut state = self.state();
        state.found = found;
        if let Some(why) = fault {
            if state.fault.as_ref().is_none_or(|known| known.why != why) {
                log::error!("backups cannot be made: {why}");
                state.fault = Some(BackupFailure { at: clock::now(), why: why.clone() });
            }
            return Err(why);
        }
        state.fault = None;
        Ok(())
    }

    /// Returns the backup to make now: what was asked for, or what is due.
    fn next_order(&self, is_readable: bool, now: NaiveDateTime) -> Option<Order> {
        if self.is_stopping.load(Ordering::Acquire) {
            return None;
        }
        let mut state = self.state();
        if let Some(order) = state.order.take() {
            state.running = Some(Running::new(&order));
            return Some(order);
        }
        let every = self.period()?;
        let may_try = state.retry_at.is_none_or(|at| Instant::now() >= at);
        let is_due = !is_readable || state.due_at(every, now) <= now;
        if !may_try || !is_due {
            return None;
        }
        let order = Order { name: self.free_name(&state, now, false), actor_id: None };
        state.running = Some(Running::new(&order));
        Some(order)
    }

    /// Returns a name that no backup has. It is after those of the others, but not after one from
    /// the future: after the clock was set back a little, the new backup would be the first to go.
    fn free_name(&self, state: &State, now: NaiveDateTime, is_manual: bool) -> BackupName {
        let latest = schedule::latest(&state.found.files, state.made, now);
        let next = latest.map_or(now, |latest| latest + TimeDelta::seconds(1));
        let mut name = BackupName::new(now.max(next), &self.mark, is_manual);
        while state.found.files.iter().any(|file| file.name.begun_at == name.begun_at) {
            name = name.later();
        }
        name
    }

    async fn make(self: &Arc<Maker>, db: &Db, order: &Order) -> Result<u64, NoBackup> {
        let (maker, db, name) = (self.clone(), db.clone(), order.name.clone());
        self.is_working.store(true, Ordering::Release);
        let made = on_a_thread(move || {
            let (settings, shares_disk) = (maker.settings.get(), maker.state().found.shares_disk);
            let plan = Plan { settings: &settings, database: &maker.database, name: &name, shares_disk };
            let made = plan.make(&db, &|phase| maker.note(phase));
            if matches!(made, Err(NoBackup::Stopped)) {
                // The process may end before this task goes on.
                log::info!("the backup {name} was not finished, as the server is being stopped");
            }
            maker.is_working.store(false, Ordering::Release);
            made
        });
        let made = made.await;
        // It is set, still, if the thread could not be started.
        self.is_working.store(false, Ordering::Release);
        made.unwrap_or_else(|why| Err(NoBackup::Failed(why)))
    }

    /// Notes what is being done for the backup. Returns whether it is to go on.
    fn note(&self, phase: Phase) -> ControlFlow<()> {
        if let Some(running) = &mut self.state().running {
            running.phase = phase;
        }
        if self.is_stopping.load(Ordering::Acquire) {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }

    /// Records the outcome, and after a good backup deletes those that have expired.
    async fn finish(self: &Arc<Maker>, order: Order, made: Result<u64, NoBackup>) {
        let now = clock::now();
        let name = order.name.to_string();
        let (size, failure) = match made {
            Ok(size) => (size, None),
            Err(NoBackup::Failed(why)) => (0, Some(why)),
            Err(NoBackup::Stopped) => {
                self.state().running = None;
                return;
            }
        };
        match &failure {
            None => log::info!("made the backup {name}, {} KiB", size.div_ceil(1024)),
            Some(why) => log::error!("the backup {name} failed: {why}"),
        }
        let is_good = failure.is_none();
        let run = NewBackupRun {
            started_at: order.name.begun_at,
            finished_at: now,
            actor_id: order.actor_id,
            file: name,
            size: i64::try_from(size).unwrap_or(i64::MAX),
            failure: failure.clone(),
        };
        self.note_end(run, failure.map(|why| BackupFailure { at: now, why }));
        if is_good && self.look().await.is_ok() {
            self.delete_expired(now).await;
        }
    }

    fn note_end(&self, run: NewBackupRun, failure: Option<BackupFailure>) {
        let mut state = self.state();
        state.running = None;
        state.failures_in_a_row =
            if failure.is_some() { state.failures_in_a_row.saturating_add(1) } else { 0 };
        let pause = self.settings.get().every.filter(|_| failure.is_some());
        let pause = pause.map(|every| schedule::retry_after(state.failures_in_a_row, every));
        state.retry_at = pause.map(|pause| Instant::now() + pause);
        state.made = if failure.is_none() { Some(run.started_at) } else { state.made };
        state.failure = failure;
        if state.unstored.len() < MOST_WAITING {
            state.unstored.push(run);
        }
    }

    async fn delete_expired(self: &Arc<Maker>, now: NaiveDateTime) {
        let expired: Vec<BackupFile> = {
            let state = self.state();
            let expired = schedule::expired(&state.found.files, self.settings.get().keep, now);
            expired.into_iter().cloned().collect()
        };
        if expired.is_empty() {
            return;
        }
        let folder = self.settings.get().folder.clone();
        let delete = move || {
            for file in expired {
                let path = folder.join(file.name.to_string());
                match fs::remove_file(&path) {
                    Ok(()) => log::info!("deleted the old backup {}", file.name),
                    Err(error) => log::warn!("cannot delete the old backup {}: {error}", path.display()),
                }
            }
        };
        if let Err(why) = on_a_thread(delete).await {
            log::warn!("old backups are not deleted: {why}");
        }
        // A fault of the folder is noted by the look itself.
        let _ = self.look().await;
    }

    /// Stores records of backups. What cannot be stored now is tried again at the next look.
    async fn store_records(&self, db: &Db) {
        let unstored = std::mem::take(&mut self.state().unstored);
        let mut left = Vec::new();
        for run in unstored {
            let row = run.clone();
            let stored = db.write(Scope::none(), move |conn: &mut DbConnection| Ok(row.insert(conn)?)).await;
            if let Err(error) = stored {
                log::warn!("the record of a backup is stored later: {error}");
                left.push(run);
            }
        }
        let mut state = self.state();
        left.append(&mut state.unstored);
        state.unstored = left;
    }

    /// Returns the pause until the next look.
    fn pause(&self, now: NaiveDateTime) -> Duration {
        let state = self.state();
        let Some(every) = self.period() else { return LOOK_EVERY };
        let due_in = (state.due_at(every, now) - now).to_std().unwrap_or_default();
        let retry_in = state.retry_at.map(|at| at.saturating_duration_since(Instant::now()));
        due_in.max(retry_in.unwrap_or_default()).clamp(LEAST_PAUSE, LOOK_EVERY)
    }

    /// Removes the copy that a thread is still checking.
    async fn abandon(&self) {
        let Some(running) = self.state().running.clone() else { return };
        log::warn!("the backup {} is not finished: its copy is removed", running.name);
        let target = self.settings.get().folder.join(running.name.to_string());
        // The disk may be what hangs. The next start removes what is left.
        let _ = tokio::time::timeout(ABANDON_WITHIN, on_a_thread(move || abandon(&target))).await;
    }
}

impl Running {
    fn new(order: &Order) -> Running {
        let phase = Phase::Copying(Progress { done: 0, total: 0 });
        Running { name: order.name.clone(), phase }
    }
}

/// Runs work that may block for long on a thread of its own. The end of a runtime would wait for
/// one of its own threads; this one ends with the process.
///
/// # Errors
/// Fails if the thread cannot be started, or panics.
async fn on_a_thread<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Result<T, String> {
    let (done, is_done) = oneshot::channel();
    let run = move || drop(done.send(work()));
    let started = thread::Builder::new().name("backup".to_owned()).spawn(run);
    started.map_err(|error| format!("cannot start a thread: {error}"))?;
    is_done.await.map_err(|_| "the thread of the backup has failed".to_owned())
}
