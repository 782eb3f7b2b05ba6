//! *Needs attention*: what an administrator should look at now, each with a link to its list. A
//! feature adds a function that returns [`Item`]s, and its line in [`Attention::new`].

use chrono::{NaiveDateTime, TimeDelta};

use super::health::days_left;
use crate::administration::RowFailure;
use crate::backup::BackupOverview;
use crate::db::DbConnection;
use crate::error::Result;
use crate::index::follower::Progress;
use crate::models::list::MOST_COUNTED;
use crate::models::{BulkOperation, Chat, LedgerEntry, Model, User, Verification, first_id_since};
use crate::panel::kit::format;
use crate::panel::kit::list::Tone;
use crate::panel::kit::paths;
use crate::responder::{BreakerState, Health, ModelHealth};
use crate::tls::{Served, Validity};

/// The place of the page's section on the server's health.
const HEALTH: &str = "#health-section";
/// The filters of the list of users that shows those without tokens first.
const LOW_BALANCES: &str = "balance=low&sort=balance";

/// How long ago a user without tokens has paid for the last message, at most.
const LATELY: TimeDelta = TimeDelta::hours(24);
/// The most of the latest ledger entries that are looked at for users who ran out of tokens.
const MOST_ENTRIES: i64 = 10_000;
/// The most users that are named.
const MOST_NAMED: usize = 5;
/// How long a bulk operation with failed rows is shown.
const BULK_SHOWN: TimeDelta = TimeDelta::days(7);
/// The most bulk operations that are looked at.
const MOST_BULK: i64 = 100;
/// The most failures of a bulk operation whose reasons are looked at.
const MOST_REASONS: i64 = 1_000;
/// The most bulk operations with failures that are shown.
const MOST_BULK_SHOWN: usize = 3;
/// After this time, a verification is old.
const VERIFIED_LATELY: TimeDelta = TimeDelta::hours(24);
/// The index is behind if it has not read this many rows. Fewer are normal on a busy server.
const BEHIND: i64 = 5_000;

/// Something that needs attention.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Item {
    pub tone: Tone,
    /// What it is. It is the text of the link.
    pub text: String,
    /// The list or the section where more is shown.
    pub href: String,
    /// Links to single things behind it, such as users: their names and addresses.
    pub named: Vec<Named>,
    /// Whether there are more things than are named.
    pub has_more: bool,
}

/// A thing that an [`Item`] is about.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Named {
    pub name: String,
    pub href: String,
}

impl Item {
    /// An item that is about one thing.
    pub(super) fn new(tone: Tone, text: impl Into<String>, href: impl Into<String>) -> Item {
        Item { tone, text: text.into(), href: href.into(), named: Vec::new(), has_more: false }
    }
}

/// What the database says.
pub(super) struct Found {
    overdue: i64,
    bulk: Vec<BulkOperation>,
    poor: Vec<(i64, String)>,
}

impl Found {
    /// Looks at a bounded number of rows. `price` is that of a message.
    pub(super) fn read(conn: &mut DbConnection, now: NaiveDateTime, price: i64) -> Result<Found> {
        Ok(Found {
            overdue: Chat::overdue(conn, now, MOST_COUNTED + 1)?,
            bulk: failed_bulk(conn, now)?,
            poor: poor(conn, now, price.max(1))?,
        })
    }
}

/// Returns bulk operations with rows that failed and are not as the operation would have left them.
fn failed_bulk(conn: &mut DbConnection, now: NaiveDateTime) -> Result<Vec<BulkOperation>> {
    let mut found = Vec::new();
    for mut operation in BulkOperation::with_failures_since(conn, now - BULK_SHOWN, MOST_BULK)? {
        let reasons = BulkOperation::reasons(conn, operation.id, MOST_REASONS)?;
        let is_harmless = |code: &str| RowFailure::from_code(code).is_some_and(RowFailure::is_harmless);
        let harmless: i64 =
            reasons.iter().filter(|(code, _)| is_harmless(code)).map(|(_, number)| number).sum();
        if harmless < reasons.iter().map(|(_, number)| number).sum() {
            operation.failed -= harmless;
            found.push(operation);
        }
        if found.len() == MOST_BULK_SHOWN {
            break;
        }
    }
    Ok(found)
}

/// Returns users who paid for a message lately and cannot pay for another one.
fn poor(conn: &mut DbConnection, now: NaiveDateTime, price: i64) -> Result<Vec<(i64, String)>> {
    let Some(first) = first_id_since(conn, "ledger_entries", now - LATELY)? else { return Ok(Vec::new()) };
    let ids = LedgerEntry::left_with_less(conn, first, price, MOST_ENTRIES)?;
    let mut users = User::too_poor_among(conn, &ids, price)?;
    users.sort_by(|(_, a), (_, b)| a.cmp(b));
    Ok(users)
}

/// The state of the server, besides [`Found`].
pub(super) struct State<'a> {
    pub now: NaiveDateTime,
    /// Whether nobody has used the server yet.
    pub is_unused: bool,
    pub verification: Option<&'a Verification>,
    pub progress: Progress,
    /// Why there is no index, if there is none.
    pub no_index: Option<&'a str>,
    /// The backups, if the server makes any.
    pub backups: Option<&'a BackupOverview>,
    /// The free disk space in bytes, and below which it is too little.
    pub disk: Option<(u64, u64)>,
    /// The certificate, if the server speaks TLS itself.
    pub certificate: Option<&'a Served>,
    pub health: Option<&'a Health>,
    pub models: &'a [Model],
}

/// All that needs attention, the worst first.
pub(super) struct Attention {
    pub items: Vec<Item>,
}

impl Attention {
    /// Collects what needs attention.
    pub(super) fn new(found: &Found, state: &State<'_>) -> Attention {
        let mut items = upstream(state);
        items.extend(disk(state));
        items.extend(backups(state));
        items.extend(certificate(state));
        items.extend(index(state));
        items.extend(verification(state));
        items.extend(overdue(found));
        items.extend(bulk(found));
        items.extend(users(found));
        items.sort_by_key(|item| match item.tone {
            Tone::Bad => 0,
            Tone::Warning => 1,
            Tone::Plain | Tone::Good => 2,
        });
        Attention { items }
    }
}

fn users(found: &Found) -> Option<Item> {
    if found.poor.is_empty() {
        return None;
    }
    let text = "Ran out of tokens in the past 24 hours";
    let href = format!("{}?{LOW_BALANCES}", paths::USERS);
    let named = found.poor.iter().take(MOST_NAMED);
    Some(Item {
        named: named.map(|(id, name)| Named { name: name.clone(), href: paths::user(*id) }).collect(),
        has_more: found.poor.len() > MOST_NAMED,
        ..Item::new(Tone::Plain, text, href)
    })
}

fn overdue(found: &Found) -> Option<Item> {
    let number = match found.overdue {
        0 => return None,
        number if number > MOST_COUNTED => format!("{}+ holds are", format::tokens(MOST_COUNTED)),
        number => format::counted(number, "hold is", "holds are"),
    };
    let href = format!("{}?overdue=yes", paths::HOLDS);
    Some(Item::new(Tone::Warning, format!("{number} past the deadline"), href))
}

fn bulk(found: &Found) -> impl Iterator<Item = Item> {
    found.bulk.iter().take(MOST_BULK_SHOWN).map(|operation| {
        let rows = format::counted(operation.failed, "row", "rows");
        let text = format!("{rows} failed in bulk operation {}", operation.id);
        Item::new(Tone::Warning, text, paths::bulk_operation(operation.id))
    })
}

/// Models that fail, and what the operator must fix. Withdrawn models are not called.
fn upstream(state: &State<'_>) -> Vec<Item> {
    let stored = |name: &str| state.models.iter().find(|model| model.name == name);
    let mut items = Vec::new();
    for seen in state.health.iter().flat_map(|health| &health.models) {
        let stored = stored(&seen.name);
        if stored.is_some_and(|model| model.is_withdrawn) {
            continue;
        }
        if let Some(fault) = seen.fault {
            let href = stored.map_or_else(|| paths::MODELS.to_owned(), |model| paths::model(model.id));
            items.push(Item::new(Tone::Bad, format!("{}: {}", seen.name, fault.advice()), href));
        }
        if seen.is_failing(state.now) {
            items.push(Item::new(Tone::Bad, failing(seen), failed_chats(&seen.name)));
        }
    }
    items
}

fn failing(seen: &ModelHealth) -> String {
    let why = seen.last_failure.map_or("its calls fail", |(_, reason)| reason.text());
    match seen.state {
        BreakerState::Closed => {
            let failures = format::tokens(seen.failures_in_a_row.into());
            format!("{}: {failures} calls in a row have failed, and {why}", seen.name)
        }
        BreakerState::HalfOpen | BreakerState::Open => {
            format!("{}: calls are paused, as {why}", seen.name)
        }
    }
}

/// Returns the link to the chats of a model that failed today.
fn failed_chats(model: &str) -> String {
    let mut query = url::form_urlencoded::Serializer::new(String::new());
    query.append_pair("state", "failed").append_pair("endpoint", "all").append_pair("model", model);
    format!("{}?{}", paths::CHATS, query.append_pair("date", "today").finish())
}

fn disk(state: &State<'_>) -> Option<Item> {
    let (free, least) = state.disk?;
    let text = || format!("Little disk space: {} are free for the database", format::bytes(free));
    (free < least).then(|| Item::new(Tone::Bad, text(), HEALTH))
}

/// A backup that failed matters more than that the last good one is old, which follows from it.
fn backups(state: &State<'_>) -> Vec<Item> {
    let Some(overview) = state.backups else { return Vec::new() };
    let mut items = Vec::new();
    if let Some(failure) = &overview.failure {
        items.push(Item::new(Tone::Bad, format!("The last backup failed: {}", failure.why), paths::BACKUPS));
    } else if let Some(age) = overview.is_old(state.now) {
        let age = match age.num_days() {
            0 => format::counted(age.num_hours(), "hour", "hours"),
            days => format::counted(days, "day", "days"),
        };
        let text = match overview.last_good {
            Some(_) => format!("The last good backup is {age} old"),
            None => format!("There is no backup, {age} after the server's start"),
        };
        items.push(Item::new(Tone::Warning, text, paths::BACKUPS));
    }
    if overview.from_the_future > 0 {
        let text = "By the clock, some backups are from the future: no old backup is deleted";
        items.push(Item::new(Tone::Warning, text, paths::BACKUPS));
    }
    items
}

/// A certificate that clients refuse or soon will, and changed files that are not used.
fn certificate(state: &State<'_>) -> Vec<Item> {
    let Some(Served { certificate, failure }) = state.certificate else { return Vec::new() };
    let validity = match certificate.validity(state.now) {
        Validity::Valid => None,
        Validity::EndsSoon(days) => {
            Some((Tone::Warning, format!("The TLS certificate expires in {}: renew it", days_left(days))))
        }
        Validity::NotYet => Some((
            Tone::Bad,
            "The TLS certificate is not valid yet, so clients refuse it: check the clock".to_owned(),
        )),
        Validity::Ended => {
            Some((Tone::Bad, "The TLS certificate has expired, so clients refuse it: renew it".to_owned()))
        }
    };
    let rejected =
        failure.as_ref().map(|why| (Tone::Warning, format!("The new TLS certificate is not used. {why}")));
    let items = validity.into_iter().chain(rejected);
    items.map(|(tone, text)| Item::new(tone, text, HEALTH)).collect()
}

fn index(state: &State<'_>) -> Option<Item> {
    let (tone, text) = match state.progress {
        _ if state.no_index.is_some() => {
            (Tone::Bad, "The index is missing: lists and searches are incomplete".to_owned())
        }
        progress if progress.is_being_built() => {
            (Tone::Warning, format!("The index is being built: {} %", progress.percent()))
        }
        Progress { behind, .. } if behind > BEHIND => {
            (Tone::Warning, format!("The index is {} behind", format::counted(behind, "row", "rows")))
        }
        _ => return None,
    };
    Some(Item::new(tone, text, HEALTH))
}

fn verification(state: &State<'_>) -> Option<Item> {
    let (tone, text) = match state.verification {
        None if state.is_unused => return None,
        None => (Tone::Plain, "The ledger has not been verified yet".to_owned()),
        Some(run) if run.failure.is_some() => {
            (Tone::Warning, "The last verification of the ledger did not finish".to_owned())
        }
        Some(run) if !run.damage.is_empty() => {
            (Tone::Bad, "The last verification of the ledger found damage".to_owned())
        }
        Some(run) => {
            let age = state.now - run.finished_at?;
            if age <= VERIFIED_LATELY {
                return None;
            }
            let days = format::counted(age.num_days(), "day", "days");
            (Tone::Plain, format!("The ledger was last verified {days} ago"))
        }
    };
    Some(Item::new(tone, text, HEALTH))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;
    use crate::backup::{BackupFailure, BackupSettings};

    fn quiet<'a>() -> State<'a> {
        State {
            now: "2026-11-29T10:00:00".parse().unwrap(),
            is_unused: true,
            verification: None,
            progress: Progress::default(),
            no_index: None,
            backups: None,
            disk: None,
            certificate: None,
            health: None,
            models: &[],
        }
    }

    fn nothing() -> Found {
        Found { overdue: 0, bulk: Vec::new(), poor: Vec::new() }
    }

    fn texts(found: &Found, state: &State<'_>) -> Vec<String> {
        Attention::new(found, state).items.into_iter().map(|item| item.text).collect()
    }

    #[test]
    fn a_quiet_server_needs_no_attention() {
        assert_eq!(texts(&nothing(), &quiet()), Vec::<String>::new());
        let plenty = State { disk: Some((1_000, 1_000)), ..quiet() };
        assert_eq!(texts(&nothing(), &plenty), Vec::<String>::new());
    }

    #[test]
    fn the_worst_comes_first() {
        let state = State { is_unused: false, disk: Some((999_000_000, 1_000_000_000)), ..quiet() };
        let found = Found { overdue: 1, ..nothing() };
        assert_eq!(
            texts(&found, &state),
            [
                "Little disk space: 999 MB are free for the database",
                "1 hold is past the deadline",
                "The ledger has not been verified yet",
            ]
        );
    }

    #[test]
    fn an_index_is_behind_only_if_it_lacks_many_rows() {
        let behind = |behind: i64| {
            let progress = Progress { behind, all: 100_000 };
            texts(&nothing(), &State { progress, ..quiet() })
        };
        assert_eq!(behind(5_000), Vec::<String>::new());
        assert_eq!(behind(5_001), ["The index is 5,001 rows behind"]);
        assert_eq!(behind(60_000), ["The index is being built: 40 %"]);
    }

    #[test]
    fn a_verification_is_old_after_a_day() {
        let run = |hours: i64, damage: &str| Verification {
            id: 1,
            actor_id: None,
            started_at: quiet().now,
            finished_at: (hours >= 0).then(|| quiet().now - TimeDelta::hours(hours)),
            damage: damage.to_owned(),
            failure: None,
        };
        let said = |run: Verification| texts(&nothing(), &State { verification: Some(&run), ..quiet() });
        assert_eq!(said(run(-1, "")), Vec::<String>::new(), "it runs");
        assert_eq!(said(run(24, "")), Vec::<String>::new());
        assert_eq!(said(run(49, "")), ["The ledger was last verified 2 days ago"]);
        assert_eq!(said(run(1, "user 1")), ["The last verification of the ledger found damage"]);
    }

    #[test]
    fn a_backup_that_failed_or_is_old_needs_attention() {
        let settings = BackupSettings {
            folder: "/backups".into(),
            every: Some(Duration::from_secs(24 * 3_600)),
            keep: 7,
            leaves_free: 0,
        };
        let good = BackupOverview {
            settings,
            files: Vec::new(),
            running: None,
            failure: None,
            last_good: Some(quiet().now - TimeDelta::hours(47)),
            due_at: None,
            from_the_future: 0,
            free: None,
            shares_disk: false,
            since: quiet().now - TimeDelta::hours(72),
        };
        let said =
            |overview: BackupOverview| texts(&nothing(), &State { backups: Some(&overview), ..quiet() });
        assert_eq!(said(good.clone()), Vec::<String>::new());
        let old = BackupOverview { last_good: Some(quiet().now - TimeDelta::hours(49)), ..good.clone() };
        assert_eq!(said(old.clone()), ["The last good backup is 2 days old"]);
        let none = BackupOverview { last_good: None, ..good.clone() };
        assert_eq!(said(none), ["There is no backup, 3 days after the server's start"]);
        let failure = Some(BackupFailure { at: quiet().now, why: "there is no room".to_owned() });
        assert_eq!(
            said(BackupOverview { failure, ..old.clone() }),
            ["The last backup failed: there is no room"]
        );
        let ahead = "By the clock, some backups are from the future: no old backup is deleted";
        assert_eq!(said(BackupOverview { from_the_future: 1, ..good }), [ahead]);
        let settings = BackupSettings { every: None, ..old.settings.clone() };
        assert_eq!(said(BackupOverview { settings, ..old }), Vec::<String>::new(), "there is no schedule");
    }

    #[test]
    fn only_a_few_users_are_named() {
        let poor = (1..=6).map(|id| (id, format!("user-{id}"))).collect();
        let attention = Attention::new(&Found { poor, ..nothing() }, &quiet());
        let item = attention.items.first().unwrap();
        assert_eq!((item.named.len(), item.has_more), (5, true));
        assert_eq!(item.named[0].href, "/admin/users/1/");
    }
}
