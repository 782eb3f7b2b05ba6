//! The numbers on the home page, each with a link to its list.

use chrono::{Days, NaiveDateTime, TimeDelta};

use crate::db::DbConnection;
use crate::error::Result;
use crate::models::list::{Count, ListQuery, MOST_COUNTED};
use crate::models::{OpenHolds, QuarterTotal};
use crate::panel::kit::format;
use crate::panel::kit::list::capped;
use crate::panel::kit::paths;
use crate::panel::kit::zone::Zone;

/// The times from which numbers count. Days are those of the administrator's time zone.
#[derive(Clone, Copy, Debug)]
pub(super) struct Times {
    /// The start of today.
    today: NaiveDateTime,
    /// The start of the day six days ago.
    week: NaiveDateTime,
    /// 24 hours ago.
    pub day_ago: NaiveDateTime,
}

impl Times {
    /// Returns the times for a zone and the present time.
    pub(super) fn of(zone: Zone, now: NaiveDateTime) -> Times {
        let today = zone.date_of(now);
        Times {
            today: zone.start_of(today),
            week: zone.start_of(today - Days::new(6)),
            day_ago: now - TimeDelta::hours(24),
        }
    }
}

/// A number of today and of seven days, and the links to their lists.
pub(super) struct Number {
    pub label: &'static str,
    pub today: String,
    pub week: String,
    pub today_href: String,
    pub week_href: String,
}

/// All numbers, as text.
pub(super) struct Numbers {
    pub flows: Vec<Number>,
    pub users: String,
    /// The number of open holds.
    pub holds: String,
    /// The tokens held.
    pub held: String,
}

/// Returns the count and the sum of one kind.
fn of<'a>(totals: &'a [QuarterTotal], kind: &str) -> (i64, i64) {
    let found: Option<&'a QuarterTotal> = totals.iter().find(|total| total.kind == kind);
    found.map_or((0, 0), |total| (total.count, total.amount))
}

/// Returns what users have paid: charges, less what was returned when usage was settled.
fn spent(totals: &[QuarterTotal]) -> i64 {
    -(of(totals, "charge").1 + of(totals, "settlement").1)
}

/// Reads the numbers from the follower's sums.
pub(super) fn read(conn: &mut DbConnection, times: Times, holds: &OpenHolds) -> Result<Numbers> {
    let today = QuarterTotal::since(conn, times.today)?;
    let week = QuarterTotal::since(conn, times.week)?;
    let number = |label, read: fn(&[QuarterTotal]) -> i64, list: &str, since: &str| Number {
        label,
        today: format::tokens(read(&today)),
        week: format::tokens(read(&week)),
        today_href: format!("{list}?{since}=today"),
        week_href: format!("{list}?{since}=7days"),
    };
    let flows = vec![
        number("Messages", |t| of(t, "charge").0, paths::CHATS, "date"),
        number("Tokens spent", spent, paths::LEDGER, "kind=charge&date"),
        number("Tokens granted", |t| of(t, "granted").1, paths::LEDGER, "kind=adjustment&date"),
        number("Tokens refunded", |t| of(t, "refund").1, paths::LEDGER, "kind=refund&date"),
        number("New users", |t| of(t, "opening").0, paths::USERS, "joined"),
        number("Failed chats", |t| of(t, "failed").0, paths::CHATS, "state=failed&date"),
    ];
    let open = Count { number: holds.number.min(MOST_COUNTED), at_least: holds.number > MOST_COUNTED };
    Ok(Numbers {
        flows,
        users: capped(ListQuery::all("users", "users.id").count(conn)?),
        holds: capped(open),
        held: format::tokens(holds.tokens),
    })
}
