//! Why chats failed today and yesterday.

use chrono::NaiveDate;
use url::form_urlencoded;

use crate::domain::FailureReason;
use crate::models::FailuresByReason;
use crate::models::list::MOST_COUNTED;
use crate::panel::kit::format;
use crate::panel::kit::paths;

/// The days that count, up to today: the list that a reason links to can show whole days.
pub(super) const DAYS: u64 = 2;

/// A reason, the number of chats that failed for it, and the link to them.
pub(super) struct ReasonLine {
    pub reason: String,
    pub count: String,
    /// `None` if no list shows only these.
    pub href: Option<String>,
}

/// The reasons of failed chats.
pub(super) struct Failures {
    pub reasons: Vec<ReasonLine>,
    /// A note that not all failures were counted. Empty if they were.
    pub note: String,
}

impl Failures {
    /// Makes the links. `day` is the first one that counts.
    pub(super) fn new(found: FailuresByReason, day: NaiveDate) -> Failures {
        let since = day.to_string();
        let reasons = by_code(found.reasons).into_iter().map(|(reason, count)| {
            let count = format::tokens(count);
            let mut query = form_urlencoded::Serializer::new(String::new());
            query.append_pair("state", "failed").append_pair("endpoint", "all");
            query.append_pair("date_from", &since);
            if reason.is_empty() {
                return ReasonLine { reason: "no reason recorded".to_owned(), count, href: None };
            }
            query.append_pair("reason", &reason);
            let href = Some(format!("{}?{}", paths::CHATS, query.finish()));
            ReasonLine { reason: FailureReason::administrators_text_of(&reason).to_owned(), count, href }
        });
        let note = if found.is_cut {
            format!(
                "More than {} chats failed. These are the reasons of the latest ones.",
                format::tokens(MOST_COUNTED)
            )
        } else {
            String::new()
        };
        Failures { reasons: reasons.collect(), note }
    }
}

/// Adds up the counts of a reason's code and of its text, which a node of 0.1.0 may still store.
fn by_code(found: Vec<(String, i64)>) -> Vec<(String, i64)> {
    let mut reasons: Vec<(String, i64)> = Vec::new();
    for (stored, count) in found {
        let code = FailureReason::from_code(&stored).map_or(stored, |reason| reason.code().to_owned());
        match reasons.iter_mut().find(|(known, _)| *known == code) {
            Some((_, sum)) => *sum += count,
            None => reasons.push((code, count)),
        }
    }
    reasons
}
