//! Periodic background work of the server. Every node does all of it: each task may run on several
//! nodes without harm.

use std::path::Path;
use std::time::Duration;

use chrono::{NaiveDateTime, TimeDelta};

use super::Services;
use crate::account;
use crate::administration;
use crate::audit;
use crate::auth;
use crate::clock;
use crate::db::{Db, clock_of, free_space};
use crate::error::Result;
use crate::index::{self, follower::Follower};
use crate::metering;

/// Interval between two searches for holds past their deadline.
const SWEEP_EVERY: Duration = Duration::from_secs(5);
const EVERY_MINUTE: Duration = Duration::from_secs(60);
/// Interval between two searches for login tokens that were unused for too long.
const EVERY_TEN_MINUTES: Duration = Duration::from_secs(600);
const EVERY_HOUR: Duration = Duration::from_secs(3600);

/// Runs the periodic work until it is dropped.
pub(super) async fn run(services: Services) {
    if let Err(error) = administration::end_interrupted_verifications(&services.db).await {
        log::warn!("verifications that were interrupted could not be ended: {error}");
    }
    if let Err(error) = services.toll.note_models().await {
        log::warn!("the models on offer could not be noted for the panel: {error}");
    }
    tokio::join!(
        sweep(&services),
        minutely(&services),
        end_idle_auth_tokens(&services.auth),
        learn_models(&services),
        fill_skeletons(&services.db),
        hourly(&services),
        administration::work_on_bulk_operations(&services.bulk, &services.db),
        services.backups.run(&services.db),
        Follower::default().run(&services.db),
        drop_retired(&services.db),
        watch_certificate(&services),
    );
}

/// Reads the files of the server's certificate again when they change.
async fn watch_certificate(services: &Services) {
    if let Some(tls) = services.tls() {
        tls.watch().await;
    }
}

/// Removes the tables that older versions had, once after an upgrade.
async fn drop_retired(db: &Db) {
    let mut pace = tokio::time::interval(EVERY_HOUR);
    loop {
        pace.tick().await;
        match index::drop_retired(db).await {
            Ok(()) => return,
            Err(error) => log::warn!("tables of an older version are removed in an hour: {error}"),
        }
    }
}

async fn sweep(services: &Services) {
    let mut pace = tokio::time::interval(SWEEP_EVERY);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match metering::sweep(&services.db).await {
            Ok(0) => {}
            Ok(count) => log::warn!("refunded {count} holds that were past their deadline"),
            Err(error) => log::warn!("holds could not be swept: {error}"),
        }
    }
}

async fn minutely(services: &Services) {
    let mut pace = tokio::time::interval(EVERY_MINUTE);
    loop {
        pace.tick().await;
        services.auth.write_last_uses().await;
        services.auth.housekeeping();
        warn_of_clocks(&services.db).await;
        let config = services.settings.get();
        if let Some(folder) = config.data_folder() {
            warn_of_little_space(&folder, config.listen.min_free_disk);
        }
    }
}

async fn end_idle_auth_tokens(auth: &auth::Auth) {
    let mut pace = tokio::time::interval(EVERY_TEN_MINUTES);
    loop {
        pace.tick().await;
        match auth.end_idle_auth_tokens().await {
            Ok(0) => {}
            Ok(count) => log::info!("ended {count} login tokens that were not used for too long"),
            Err(error) => log::warn!("unused login tokens could not be ended: {error}"),
        }
    }
}

async fn learn_models(services: &Services) {
    let mut pace = tokio::time::interval(EVERY_HOUR);
    loop {
        pace.tick().await;
        services.toll.learn_models().await;
    }
}

/// Computes what names look like: of all users after an upgrade, and later of those that were
/// imported.
async fn fill_skeletons(db: &Db) {
    let mut pace = tokio::time::interval(EVERY_MINUTE);
    pace.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        pace.tick().await;
        match auth::fill_skeletons(db).await {
            Ok(0) => {}
            Ok(count) => log::info!("computed what the names of {count} users look like"),
            Err(error) => log::warn!("what names look like could not be computed: {error}"),
        }
    }
}

async fn hourly(services: &Services) {
    let db = &services.db;
    let mut pace = tokio::time::interval(EVERY_HOUR);
    loop {
        pace.tick().await;
        let config = services.settings.get();
        let (history_days, responses_days) = (config.accounts.history_days, config.answers.responses_days);
        log_deleted("idempotency keys older than a day", metering::forget_idempotency_keys(db).await);
        log_deleted("embeddings older than a day", metering::forget_embeddings(db).await);
        log_deleted("old changes of what is indexed", index::forget_changes(db).await);
        log_deleted("sessions that ended", auth::forget_sessions(db).await);
        log_deleted("auth tokens that ended long ago", auth::forget_auth_tokens(db).await);
        if history_days > 0 {
            log_deleted("entries of the history", audit::forget(db, history_days).await);
        }
        if responses_days > 0 {
            log_deleted("old responses", account::forget_responses(db, responses_days).await);
        }
        if let Err(error) = db.optimize().await {
            log::warn!("PRAGMA optimize failed: {error}");
        }
    }
}

/// Logs how many were deleted, or why they could not be.
fn log_deleted(what: &str, forgotten: Result<usize>) {
    match forgotten {
        Ok(0) => {}
        Ok(count) => log::info!("deleted {count} {what}"),
        Err(error) => log::warn!("{what} could not be deleted: {error}"),
    }
}

/// The largest accepted difference between the clocks of node and database. Auth tokens and
/// sessions expire by the node's clock.
const MOST_CLOCK_DIFFERENCE: TimeDelta = TimeDelta::seconds(5);

async fn warn_of_clocks(db: &Db) {
    let before = clock::now();
    let Ok(Some(theirs)) = db.read(|conn| Ok(clock_of(conn)?)).await else { return };
    let difference = difference(before, theirs, clock::now());
    if difference > MOST_CLOCK_DIFFERENCE {
        log::warn!(
            "the clocks of this node and of the database differ by {} s: set both by NTP (see docs/postgresql.md)",
            difference.num_seconds()
        );
    }
}

/// Returns the smallest possible difference of a clock that was read between two readings of our
/// own.
fn difference(before: NaiveDateTime, theirs: NaiveDateTime, after: NaiveDateTime) -> TimeDelta {
    if theirs > after { theirs - after } else { (before - theirs).max(TimeDelta::zero()) }
}

fn warn_of_little_space(folder: &Path, least_mib: u64) {
    match free_space(folder) {
        Ok(free) => {
            let free_mib = free / (1024 * 1024);
            if free_mib < least_mib {
                log::warn!("little disk space: {free_mib} MiB free in {}; make room", folder.display());
            }
        }
        Err(error) => log::warn!("cannot tell the free disk space of {}: {error}", folder.display()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_read_between_two_moments_may_show_any_time_between_them() {
        let at = |seconds: i64| NaiveDateTime::default() + TimeDelta::seconds(seconds);
        let off = |theirs| difference(at(100), at(theirs), at(103)).num_seconds();
        assert_eq!([90, 99, 100, 102, 103, 104, 700].map(off), [10, 1, 0, 0, 0, 1, 597]);
    }
}
