//! The panel's home page: numbers, failures, health and recent actions.

mod failures;
mod numbers;
mod upstream;

use actix_web::HttpResponse;
use actix_web::web::Data;
use askama::Template;

use super::history::{HistoryLine, describe};
use crate::administration::start_verification;
use crate::auth::Auth;
use crate::chat::Toll;
use crate::clock;
use crate::db::{About, Db, DbConnection, about};
use crate::error::Result as TollgateResult;
use crate::index::follower::{Followed, lag};
use crate::models::{AuditEntry, Chat, FailuresByReason, Model, OpenHolds, Verification};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::{Administrator, Superuser};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::form::Form;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Frame, go, page};
use crate::panel::kit::paths;
use failures::Failures;
use numbers::{Numbers, Times};
use upstream::UpstreamStatus;

/// How many audit entries are shown.
const RECENT: i64 = 10;

#[derive(Template)]
#[template(path = "admin/home.html")]
struct HomePage {
    frame: Frame,
    numbers: Numbers,
    failures: Failures,
    upstream: Option<UpstreamStatus>,
    health: Vec<Fact>,
    history: Vec<HistoryLine>,
    /// The administrator's own id.
    own: i64,
    verification_runs: bool,
    /// The damage that the last verification found, or why it did not finish.
    damage: String,
    may_change: bool,
}

/// What one read returns.
struct Overview {
    numbers: Numbers,
    failures: FailuresByReason,
    about: About,
    holds: OpenHolds,
    /// The number of rows that the follower has yet to read.
    behind: i64,
    verification: Option<Verification>,
    history: Vec<HistoryLine>,
    models: Vec<Model>,
}

fn read(conn: &mut DbConnection, times: Times) -> TollgateResult<Overview> {
    let holds = Chat::open_holds(conn)?;
    let mut behind = 0;
    for followed in Followed::ALL {
        behind += lag(conn, followed)?;
    }
    let history = AuditEntry::latest(conn, RECENT)?;
    Ok(Overview {
        numbers: numbers::read(conn, times, &holds)?,
        failures: Chat::failures_since(conn, times.day_ago)?,
        about: about(conn)?,
        holds,
        behind,
        verification: Verification::latest(conn)?,
        history: describe(conn, history)?,
        models: Model::all(conn)?,
    })
}

fn verified(verification: Option<&Verification>) -> Cell {
    match verification {
        None => Cell::badge("never run from the panel", Tone::Plain),
        Some(run) if run.finished_at.is_none() => Cell::badge("running", Tone::Plain),
        Some(run) if run.failure.is_some() => Cell::badge("did not finish", Tone::Warning),
        Some(run) if run.damage.is_empty() => Cell::badge("the ledger is in order", Tone::Good),
        Some(_) => Cell::badge("found damage", Tone::Bad),
    }
}

fn health(found: &Overview) -> Vec<Fact> {
    let verification = found.verification.as_ref();
    let size = format::bytes(u64::try_from(found.about.size).unwrap_or_default());
    let behind = match found.behind {
        0 => Cell::badge("up to date", Tone::Good),
        behind => Cell::Text(format!("{} behind", format::counted(behind, "row", "rows"))),
    };
    vec![
        Fact::new("Tollgate", Cell::Text(env!("CARGO_PKG_VERSION").to_owned())),
        Fact::new("Database", Cell::Text(format!("{} {}", found.about.kind, found.about.version))),
        Fact::new("Size", Cell::Text(size)),
        Fact::new("Lists and searches", behind),
        Fact::new("Oldest hold since", Cell::time(found.holds.oldest)),
        Fact::new("Last verification", verified(verification)),
        Fact::new("Verified at", Cell::time(verification.and_then(|run| run.finished_at))),
    ]
}

/// Shows the page (`GET /admin/`).
pub(super) async fn show(
    administrator: Administrator,
    db: Data<Db>,
    toll: Data<Toll>,
) -> Result<HttpResponse, PageError> {
    let times = Times::of(administrator.zone, clock::now());
    let found = db.read_in_turn(administrator.user.id, move |conn| read(conn, times)).await?;
    let verification = found.verification.as_ref();
    let failure = verification.and_then(|run| run.failure.clone());
    let damage = verification.map(|run| run.damage.clone()).unwrap_or_default();
    page(&HomePage {
        frame: Frame::new(&administrator, &[]),
        health: health(&found),
        verification_runs: verification.is_some_and(|run| run.finished_at.is_none()),
        damage: failure.unwrap_or(damage),
        numbers: found.numbers,
        failures: Failures::new(found.failures, administrator.zone.date_of(times.day_ago)),
        upstream: toll.upstream_health().map(|health| UpstreamStatus::new(&health, &found.models)),
        history: found.history,
        own: administrator.user.id,
        may_change: administrator.may_change(),
    })
    .map_err(PageError::from)
}

/// Starts a verification of the ledger in the background (`POST /admin/verify/`).
pub(super) async fn verify(
    administrator: Superuser,
    _sent: Form,
    auth: Data<Auth>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let message = if start_verification(&db, &administrator.0.actor()).await? {
        Message::success(
            "The ledger is being verified in the background. The result will appear under Health.",
        )
    } else {
        Message::warning("A verification is already running.")
    };
    administrator.0.leave_message(&auth, message).await?;
    Ok(go(paths::HOME))
}
