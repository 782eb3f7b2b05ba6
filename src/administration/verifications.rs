//! Verification of the ledger from the panel. It runs in the background, one run at a time, and its
//! result is stored.

use std::time::Duration;

use chrono::TimeDelta;

use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::metering::verify::verify;
use crate::models::Verification;

/// A run that has not ended after this time counts as dead, because its node is gone.
const DEAD_AFTER: TimeDelta = TimeDelta::hours(6);
/// The number of attempts to store a result.
const TRIES: u32 = 20;
/// The time between these attempts.
const PAUSE: Duration = Duration::from_secs(15);
/// The most faults that are stored.
const MOST_FAULTS: usize = 100;

/// Starts a run in the background. Returns `false` if one is still running.
pub async fn start_verification(db: &Db, actor: &Actor) -> Result<bool> {
    let (actor, now) = (actor.clone(), clock::now());
    let job = move |conn: &mut DbConnection| {
        let latest = Verification::latest(conn)?;
        let runs =
            latest.is_some_and(|latest| latest.finished_at.is_none() && now - latest.started_at < DEAD_AFTER);
        if runs {
            return Ok(None);
        }
        let id = Verification::start(conn, actor.user_id, now)?;
        let event = Event {
            action: Action::Start,
            kind: ObjectKind::Verification,
            id,
            user_id: None,
            changes: &[],
            note: "",
        };
        actor.record(conn, &event, now)?;
        Ok(Some(id))
    };
    let Some(id) = db.write(Scope::none(), job).await? else { return Ok(false) };
    let db = db.clone();
    tokio::spawn(async move {
        if let Err(error) = run(&db, id).await {
            log::warn!("the result of a verification could not be stored: {error}");
        }
    });
    Ok(true)
}

async fn run(db: &Db, id: i64) -> Result<()> {
    let reader = db.clone();
    let found = tokio::task::spawn_blocking(move || verify(&reader)).await;
    let (damage, failure) = match found {
        Ok(Ok(findings)) => (in_words(&findings), None),
        Ok(Err(error)) => (String::new(), Some(error.to_string())),
        Err(error) => (String::new(), Some(error.to_string())),
    };
    if !damage.is_empty() {
        log::error!("verify found damage:\n{damage}");
    }
    let job = move |conn: &mut DbConnection| {
        Ok(Verification::finish(conn, id, &damage, failure.as_deref(), clock::now())?)
    };
    for _ in 1..TRIES {
        if db.write(Scope::none(), job.clone()).await.is_ok() {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
    }
    db.write(Scope::none(), job).await.map(|_| ())
}

/// Marks unfinished runs as interrupted, when the server starts, and returns their number. A run on
/// another node is marked, too, but still stores its result when it ends.
pub async fn end_interrupted_verifications(db: &Db) -> Result<usize> {
    let why = "the server was restarted meanwhile";
    db.write(Scope::none(), move |conn| Ok(Verification::interrupt(conn, why, clock::now())?)).await
}

fn in_words(findings: &[crate::metering::verify::Finding]) -> String {
    let faults = findings.iter().flat_map(|finding| {
        finding.faults.iter().map(|fault| format!("{}: {}: {}", finding.claim, fault.subject, fault.fault))
    });
    faults.take(MOST_FAULTS).collect::<Vec<_>>().join("\n")
}
