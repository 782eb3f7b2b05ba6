//! The latest actions of administrators, one line each.

use chrono::NaiveDateTime;

use crate::models::Change;
use crate::panel::history::HistoryLine;
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::zone::Zone;

/// An action in one line.
pub(super) struct ActionLine {
    pub at: NaiveDateTime,
    /// The time of day if it was today, and the date otherwise.
    pub when: String,
    pub actor: Cell,
    pub action: String,
    /// The thing that was changed. [`Cell::Nothing`] if that is the actor.
    pub object: Cell,
    /// What was changed, in a few words. Empty if nothing was.
    pub change: String,
    /// The reason that was given, or a note. Empty if there is none.
    pub note: String,
}

impl ActionLine {
    /// Shortens entries of the history.
    pub(super) fn all(history: Vec<HistoryLine>, zone: Zone, now: NaiveDateTime) -> Vec<ActionLine> {
        history.into_iter().map(|line| ActionLine::new(line, zone, now)).collect()
    }

    fn new(line: HistoryLine, zone: Zone, now: NaiveDateTime) -> ActionLine {
        ActionLine {
            at: line.at,
            when: when(line.at, zone, now),
            object: if line.object == line.actor { Cell::Nothing } else { line.object },
            actor: line.actor,
            action: line.action,
            change: match &line.changes {
                Cell::Changes(changes) => in_short(changes, zone),
                _ => String::new(),
            },
            note: line.note,
        }
    }
}

/// Returns the time of day, or the date of an earlier day.
fn when(at: NaiveDateTime, zone: Zone, now: NaiveDateTime) -> String {
    let date = zone.date_of(at);
    let today = zone.date_of(now);
    if date == today {
        zone.to_field(at).split_once('T').map_or_else(String::new, |(_, time)| time.to_owned())
    } else if chrono::Datelike::year(&date) == chrono::Datelike::year(&today) {
        date.format("%-d %b").to_string()
    } else {
        date.to_string()
    }
}

/// Returns the difference of a balance, another single change before and after, or the names of
/// several changed fields.
fn in_short(changes: &[Change], zone: Zone) -> String {
    match changes {
        [] => String::new(),
        [change] => {
            if let Some(difference) = difference(change) {
                return format!("{} tokens", format::signed(difference));
            }
            let (before, after) = (shown(&change.before, zone), shown(&change.after, zone));
            let after = if after.is_empty() { "nothing".to_owned() } else { after };
            match before.is_empty() {
                true => format!("{}: {after}", change.label()),
                false => format!("{}: {before} → {after}", change.label()),
            }
        }
        several => several.iter().map(Change::label).collect::<Vec<_>>().join(", "),
    }
}

/// Returns by how much a balance has changed. `None` if the change is not one of a balance.
fn difference(change: &Change) -> Option<i64> {
    let (before, after): (i64, i64) = (change.before.parse().ok()?, change.after.parse().ok()?);
    if change.field == "tokens" { after.checked_sub(before) } else { None }
}

/// Returns a stored value as people read it: a number with separated thousands, a time in their
/// zone.
fn shown(value: &str, zone: Zone) -> String {
    if let Ok(number) = value.parse() {
        return format::tokens(number);
    }
    let time = value.strip_suffix('Z').and_then(|time| time.parse().ok());
    time.map_or_else(|| value.to_owned(), |time| zone.show(time))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_as_short_as_it_can_be() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let now = "2026-11-29T23:30:00".parse().unwrap();
        let shown = ["2026-11-29T23:01:29.27", "2026-11-29T22:59:00", "2025-12-31T12:00:00"]
            .map(|at| when(at.parse().unwrap(), berlin, now));
        assert_eq!(shown, ["00:01", "29 Nov", "2025-12-31"]);
    }

    #[test]
    fn one_change_is_shown_before_and_after_and_several_by_name() {
        let berlin = Zone::parse("Europe/Berlin").unwrap();
        let in_short = |changes: &[Change]| super::in_short(changes, berlin);
        let balance = Change::new("tokens", 9_600, 10_100);
        let name = Change::new("username", "ada", "ada.lovelace");
        assert_eq!(in_short(&[]), "");
        assert_eq!(in_short(std::slice::from_ref(&balance)), "+500 tokens");
        assert_eq!(in_short(&[Change::new("base", 9_600, 10_100)]), "base price: 9,600 → 10,100");
        assert_eq!(in_short(&[balance, name]), "tokens, username");
        assert_eq!(in_short(&[Change::new("expires", "", "")]), "expires: nothing");
        assert_eq!(in_short(&[Change::new("name", "", "Kitchen")]), "name: Kitchen");
        let revoked = Change::new("revoked", "", "2026-11-29T10:01:29.272437Z");
        assert_eq!(in_short(&[revoked]), "revoked: 2026-11-29 11:01:29");
    }
}
