//! What the administrators do: they sign in, adjust balances, refund messages, set limits,
//! deactivate users and revoke auth tokens, also in bulk.

use chrono::{NaiveDateTime, TimeDelta};

use super::plan::{DAYS, Deed, Draft, Habit, Outcome, Step};
use crate::administration::{BulkKind, LimitToSet, LimitsToSet};
use crate::models::UserLimits;

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// A member of the team: the name, and the address from which the member signs in.
pub(super) struct Member {
    /// `None`: the superuser whose password is printed.
    pub name: Option<&'static str>,
    pub is_superuser: bool,
    pub address: &'static str,
}

/// The team. The first one makes the others.
pub(super) const TEAM: [Member; 3] = [
    Member { name: None, is_superuser: true, address: "192.0.2.10" },
    Member { name: Some("grace.okafor"), is_superuser: true, address: "198.51.100.23" },
    Member { name: Some("sam.rivera"), is_superuser: false, address: "203.0.113.5" },
];

/// The members who may change something.
const SUPERUSERS: usize = 2;

/// Reasons for adjustments, each with the number of messages that it is worth.
const GIFTS: [(i64, &str); 8] = [
    (5, "Apology for the outage on Tuesday"),
    (20, "Winner of the autumn quiz"),
    (3, "Reported a broken link, thank you"),
    (10, "School project, agreed with Grace"),
    (-3, "Correction: credited twice"),
    (50, "Prepaid card redeemed"),
    (8, "Translated our help pages"),
    (-5, "Test credits taken back"),
];

/// Reasons for refunds.
const REFUNDS: [&str; 5] = [
    "The answer was in the wrong language",
    "The same message was sent twice by mistake",
    "The answer broke off in the middle",
    "Goodwill: the answer was wrong",
    "Ticket 4711",
];

/// Adds what the team does about the people and messages of the plan.
pub(super) fn add(draft: &mut Draft) {
    let begin = draft.ago(DAYS * DAY);
    draft.at(begin, Step::Begin);
    add_sign_ins(draft);
    add_gifts(draft);
    add_low_balances(draft);
    add_refunds(draft);
    add_release(draft);
    add_limits(draft);
    add_rights(draft);
    add_bulk(draft);
}

/// Returns a member who may change something.
fn superuser(draft: &mut Draft) -> usize {
    draft.dice.place(SUPERUSERS)
}

fn add_sign_ins(draft: &mut Draft) {
    for member in 0..TEAM.len() {
        let mut days = DAYS - 1;
        while days > 0 {
            let time = draft.around(days * DAY - 10 * HOUR, 10 * HOUR);
            draft.act(time, member, Deed::SignIn);
            days -= 3 + draft.dice.below(5);
        }
    }
    for minutes in [26 * DAY, 2 * DAY + 5 * HOUR, 9 * HOUR] {
        let (time, member) = (draft.ago(minutes), superuser(draft));
        draft.act(time, member, Deed::FailToSignIn);
    }
}

/// Returns a time at which a person has an account. It is at least two hours ago.
fn time_of(draft: &mut Draft, person: usize) -> NaiveDateTime {
    let joined = draft.plan.people.get(person).map_or(draft.now, |person| person.joined);
    let span = (draft.ago(2 * HOUR) - joined).num_minutes().max(1);
    joined + TimeDelta::minutes(1 + draft.dice.below(span))
}

/// Returns whether a person's balance is to be low at the end.
fn is_low(draft: &Draft, person: usize) -> bool {
    draft.plan.people.get(person).is_some_and(|person| person.habit.is_low())
}

fn add_gifts(draft: &mut Draft) {
    let people: Vec<usize> = (0..draft.plan.people.len()).filter(|person| !is_low(draft, *person)).collect();
    for number in 0..24 {
        let Some(person) = draft.dice.pick(&people) else { return };
        let (messages, reason) = draft.dice.pick(&GIFTS).unwrap_or((5, "Gift"));
        let (time, by, tokens) = (time_of(draft, person), superuser(draft), messages * draft.price);
        draft.act(time, by, Deed::Adjust { person, tokens, reason, number });
    }
    let tokens = 2_000 * draft.price;
    let contract = Deed::Adjust { person: 3, tokens, reason: "Annual contract 2026-118", number: 100 };
    draft.act(draft.ago(45 * DAY), 0, contract);
    let (wrong, tokens) = (draft.ago(12 * DAY), 100 * draft.price);
    let reason = "Invoice 2026-204 paid, meant for another account";
    draft.act(wrong, 1, Deed::Adjust { person: 20, tokens, reason, number: 101 });
    draft.act(wrong + TimeDelta::minutes(15), 1, Deed::UndoAdjustment { number: 101, reason });
}

/// Leaves some people with few tokens, so that their balances are low whatever the price is.
fn add_low_balances(draft: &mut Draft) {
    for person in 0..draft.plan.people.len() {
        let habit = draft.plan.people.get(person).map(|person| person.habit);
        let (days, messages, reason) = match habit {
            Some(Habit::Broke) => (5, 3, "Trial has ended: the rest of the trial tokens"),
            Some(Habit::Low) => (2, 2, "Correction: the voucher was used twice"),
            Some(Habit::Empty) => (6, 0, "Paid back on request"),
            _ => continue,
        };
        let (time, tokens) = (draft.around(days * DAY, HOUR), messages * draft.price);
        draft.act(time, 1, Deed::LeaveOnly { person, tokens, reason });
    }
}

fn add_refunds(draft: &mut Draft) {
    let messages = draft.plan.messages.iter().enumerate();
    let answered = messages
        .filter(|(_, message)| message.outcome == Outcome::Answered && !is_low(draft, message.person));
    let answered: Vec<(usize, NaiveDateTime)> =
        answered.map(|(number, message)| (number, message.at)).collect();
    for _ in 0..14 {
        let Some((message, sent)) = draft.dice.pick(&answered) else { return };
        let reason = draft.dice.pick(&REFUNDS).unwrap_or("Goodwill");
        let time = sent + TimeDelta::minutes(30 + draft.dice.below(20 * HOUR));
        if time < draft.ago(20) {
            let by = superuser(draft);
            draft.act(time, by, Deed::Refund { message, reason });
        }
    }
}

/// Releases the hold that was open for long.
fn add_release(draft: &mut Draft) {
    let (day_ago, messages) = (draft.ago(DAY), draft.plan.messages.iter());
    let is_old = |outcome: Outcome, at: NaiveDateTime| outcome == Outcome::Open && at < day_ago;
    let Some(message) = messages.enumerate().find(|(_, message)| is_old(message.outcome, message.at)) else {
        return;
    };
    let (message, time) = (message.0, message.1.at + TimeDelta::minutes(40));
    draft.act(time, 0, Deed::Release { message, reason: "The model server was restarted" });
}

fn add_limits(draft: &mut Draft) {
    for (person, days, concurrent_chats, requests_per_minute) in
        [(2, 33, Some(64), None), (21, 25, Some(2), Some(30)), (26, 9, None, Some(5)), (33, 4, Some(1), None)]
    {
        let time = draft.around(days * DAY, 8 * HOUR);
        let limits = UserLimits { concurrent_chats, requests_per_minute };
        let by = superuser(draft);
        draft.act(time, by, Deed::SetLimits { person, limits });
    }
}

/// Deactivates some people, one of whom comes back, logs one out, and revokes auth tokens.
fn add_rights(draft: &mut Draft) {
    for (person, days, reason) in [
        (30, 21, "Chargeback, under review"),
        (41, 11, "Left the company"),
        (52, 4, "Shared the account with a whole class"),
        (19, 1, "Asked to close the account"),
    ] {
        let time = draft.around(days * DAY, 6 * HOUR);
        draft.act(time, 0, Deed::SetActive { person, is_active: false, reason });
    }
    let back = draft.ago(16 * DAY);
    draft.act(back, 1, Deed::SetActive { person: 30, is_active: true, reason: "The payment has arrived" });
    draft.at(back + TimeDelta::hours(2), Step::LogIn(30));
    let lost = draft.ago(8 * DAY);
    draft.act(lost, 1, Deed::LogOut { person: 25, reason: "Lost a laptop" });
    draft.at(lost + TimeDelta::hours(1), Step::LogIn(25));
    for (person, days, reason) in [(20, 6, "Published in a repository"), (4, 2, "Replaced by another one")] {
        let time = draft.around(days * DAY, 3 * HOUR);
        draft.act(time, 0, Deed::RevokeToken { person, reason });
    }
}

/// Adds bulk operations. The second one fails for those who have too few tokens.
fn add_bulk(draft: &mut Draft) {
    let own = LimitToSet::Own;
    let trial = LimitsToSet { concurrent_chats: own(4), requests_per_minute: own(60) };
    let operations = [
        (20, 0, BulkKind::Adjust(2 * draft.price), 1..32, "Sorry for the slow answers last week"),
        (3, 1, BulkKind::Adjust(-5 * draft.price), 6..18, "Correction: the welcome gift was credited twice"),
        (10, 0, BulkKind::SetLimits(trial), 36..46, "Trial accounts"),
    ];
    for (days, by, kind, people, reason) in operations {
        let time = draft.ago(days * DAY);
        draft.act(time, by, Deed::InBulk { kind, people: people.collect(), reason });
    }
}
