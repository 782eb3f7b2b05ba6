//! The panel's home page: what needs attention, numbers, a chart, failures, recent actions and
//! health.

mod actions;
mod attention;
mod chart;
mod days;
mod failures;
mod first_steps;
mod health;
mod numbers;
mod upstream;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;

use super::history::{HistoryLine, describe};
use crate::administration::start_verification;
use crate::auth::Auth;
use crate::backup::Backups;
use crate::chat::Toll;
use crate::clock;
use crate::db::{About, Db, DbConnection, about};
use crate::error::Result as TollgateResult;
use crate::http::{CurrentSite, Site};
use crate::index::follower::{Progress, progress};
use crate::models::{AuditEntry, Chat, FailuresByReason, Model, OpenHolds, Verification};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::{Administrator, Superuser};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::form::Form;
use crate::panel::kit::list::Cell;
use crate::panel::kit::message::Message;
use crate::panel::kit::page::{Frame, go, page};
use crate::panel::kit::paths;
use crate::tls::Tls;
use actions::ActionLine;
use attention::{Attention, Found, State};
use chart::MessagesChart;
use days::{Calendar, History};
use failures::Failures;
use first_steps::{Step, is_unused, steps};
use health::{Disk, Server, numbers_note};
use numbers::{Counted, Numbers};
use upstream::UpstreamStatus;

/// How many audit entries are shown.
const RECENT: i64 = 10;

#[derive(Template)]
#[template(path = "admin/home.html")]
struct HomePage {
    frame: Frame,
    /// The day, the time and the time zone.
    as_of: String,
    attention: Attention,
    /// What to do first. Empty once the server is used.
    steps: Vec<Step>,
    numbers: Numbers,
    /// Why the numbers are too low, if they are.
    numbers_note: Option<String>,
    chart: MessagesChart,
    failures: Failures,
    upstream: Option<UpstreamStatus>,
    health: Vec<Fact>,
    actions: Vec<ActionLine>,
    /// The administrator's own id.
    own: i64,
    verification_runs: bool,
    /// The damage that the last verification found, or why it did not finish.
    damage: String,
    may_change: bool,
}

/// What one read returns.
struct Overview {
    found: Found,
    history: History,
    counted: Counted,
    failures: FailuresByReason,
    about: About,
    disk: Option<Disk>,
    holds: OpenHolds,
    /// How far the follower is.
    progress: Progress,
    verification: Option<Verification>,
    actions: Vec<HistoryLine>,
    models: Vec<Model>,
    is_unused: bool,
}

fn read(conn: &mut DbConnection, calendar: &Calendar, site: &Site) -> TollgateResult<Overview> {
    let actions = AuditEntry::latest(conn, RECENT)?;
    Ok(Overview {
        found: Found::read(conn, calendar.now(), site.message_price)?,
        history: calendar.read(conn)?,
        counted: Counted::read(conn, calendar)?,
        failures: Chat::failures_since(conn, calendar.start(failures::DAYS - 1))?,
        about: about(conn)?,
        disk: Disk::of(site),
        holds: Chat::open_holds(conn)?,
        progress: progress(conn)?,
        verification: Verification::latest(conn)?,
        actions: describe(conn, actions)?,
        models: Model::all(conn)?,
        is_unused: is_unused(conn)?,
    })
}

/// What the query string asks for.
#[derive(Debug, Deserialize)]
pub(super) struct Asked {
    /// The number of days of the chart.
    #[serde(default)]
    days: String,
}

/// Shows the page (`GET /admin/`).
pub(super) async fn show(
    administrator: Administrator,
    asked: Query<Asked>,
    db: Data<Db>,
    toll: Data<Toll>,
    site: CurrentSite,
    backups: Data<Backups>,
) -> Result<HttpResponse, PageError> {
    let calendar = Calendar::new(administrator.zone, clock::now(), &asked.days);
    let of_read = calendar.clone();
    let served = site.tls.as_ref().map(Tls::served);
    let found = db.read_in_turn(administrator.user.id, move |conn| read(conn, &of_read, &site)).await?;
    let no_index = db.index_failure();
    let upstream = toll.upstream_health();
    let backups = backups.overview(calendar.now());
    let verification = found.verification.as_ref();
    let attention = Attention::new(
        &found.found,
        &State {
            now: calendar.now(),
            is_unused: found.is_unused,
            verification,
            progress: found.progress,
            no_index: no_index.as_deref(),
            backups: backups.as_ref(),
            disk: found.disk.map(|disk| (disk.free, disk.least)),
            certificate: served.as_ref(),
            health: upstream.as_ref(),
            models: &found.models,
        },
    );
    let server = Server {
        about: &found.about,
        disk: found.disk,
        now: calendar.now(),
        certificate: served.as_ref(),
        progress: found.progress,
        has_index: no_index.is_none(),
        oldest_hold: found.holds.oldest,
        verification,
        backups: backups.as_ref(),
    };
    let failure = verification.and_then(|run| run.failure.clone());
    let damage = verification.map(|run| run.damage.clone()).unwrap_or_default();
    page(&HomePage {
        frame: Frame::new(&administrator, &[]),
        as_of: calendar.as_of(),
        attention,
        steps: if found.is_unused { steps(administrator.may_change()) } else { Vec::new() },
        numbers: Numbers::new(&found.history, &found.counted, &found.holds),
        numbers_note: numbers_note(found.progress, no_index.as_deref()),
        chart: MessagesChart::new(&calendar, &found.history),
        health: server.facts(),
        verification_runs: verification.is_some_and(|run| run.finished_at.is_none()),
        damage: failure.unwrap_or(damage),
        failures: Failures::new(found.failures, calendar.day(failures::DAYS - 1)),
        upstream: upstream.map(|health| UpstreamStatus::new(&health, &found.models)),
        actions: ActionLine::all(found.actions, administrator.zone, calendar.now()),
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
        Message::success("Verification started. Health shows the result.")
    } else {
        Message::warning("A verification is already running.")
    };
    administrator.0.leave_message(&auth, message).await?;
    Ok(go(paths::HOME))
}
