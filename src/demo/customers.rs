//! What the invented users do: they register, log in, make auth tokens and send messages, the more
//! the later.

use chrono::{NaiveDateTime, TimeDelta};

use super::languages::{LANGUAGES, Language, Talk};
use super::plan::{DAYS, Draft, Habit, Message, Outcome, Person, Step, TokenUse};
use crate::domain::{Endpoint, FailureReason};

const HOUR: i64 = 60;
const DAY: i64 = 24 * HOUR;

/// The places of the people whose balances are low.
const BROKE: std::ops::Range<usize> = 8..11;
const LOW: std::ops::Range<usize> = 11..13;
const EMPTY: usize = 13;
/// The first people send the most messages.
const BUSY: std::ops::Range<usize> = 0..8;

/// The upstream was down during these minutes, counted back from now.
const OUTAGE: std::ops::Range<i64> = 17 * HOUR..20 * HOUR;
/// Messages in that time, besides the usual ones.
const MESSAGES_IN_OUTAGE: usize = 20;
/// Of 100 messages to the upstream in that time, this many failed.
const FAILED_IN_OUTAGE: i64 = 60;

/// No message is sent later than this, in minutes, so that each has its answer by now.
const LAST_MESSAGE: i64 = 3;

const ENDPOINTS: [Endpoint; 8] = [
    Endpoint::Chat,
    Endpoint::Chat,
    Endpoint::Chat,
    Endpoint::ChatCompletions,
    Endpoint::ChatCompletions,
    Endpoint::Responses,
    Endpoint::Responses,
    Endpoint::Messages,
];
const FAILURES: [FailureReason; 6] = [
    FailureReason::ServerError,
    FailureReason::ServerError,
    FailureReason::FirstByteTimeout,
    FailureReason::ConnectionLost,
    FailureReason::RateLimited,
    FailureReason::ContextTooLong,
];
const FAILURES_IN_OUTAGE: [FailureReason; 3] =
    [FailureReason::Unreachable, FailureReason::ServerError, FailureReason::FirstByteTimeout];

const TOKEN_NAMES: [&str; 8] = [
    "Nightly summary",
    "Website widget",
    "Home automation",
    "Notebook",
    "CI",
    "Spreadsheet",
    "Phone",
    "Support desk",
];

/// Adds all people and what they do.
pub(super) fn add(draft: &mut Draft) {
    let people = in_random_order(draft);
    let count = i64::try_from(people.len()).unwrap_or(1);
    for (place, (language, name)) in people.iter().copied().enumerate() {
        let joined = joined(draft, i64::try_from(place).unwrap_or(0), count);
        let habit = habit(draft, place);
        let pays = habit == Habit::Busy || habit == Habit::Regular && draft.dice.chance(40);
        draft.plan.people.push(Person { name, habit, joined, pays });
        draft.at(joined, Step::Register(place));
        draft.at(joined + TimeDelta::seconds(20), Step::LogIn(place));
        add_later_log_ins(draft, place);
        add_messages(draft, place, language);
        add_tokens(draft, place);
    }
    add_outage(draft, &people);
    add_open_holds(draft, &people);
}

/// A person: the language and the name.
type Named = (&'static Language, &'static str);

/// Returns all names. The first one of the first language stays the first.
fn in_random_order(draft: &mut Draft) -> Vec<Named> {
    let of_one = |language: &'static Language| language.names.iter().map(move |name| (language, *name));
    let mut people: Vec<Named> = LANGUAGES.iter().flat_map(of_one).collect();
    if let Some((_, rest)) = people.split_first_mut() {
        draft.dice.shuffle(rest);
    }
    people
}

/// Returns when a person joins: the first at the beginning, the last two hours ago.
fn joined(draft: &Draft, place: i64, count: i64) -> NaiveDateTime {
    let part = place as f64 / (count - 1).max(1) as f64;
    let since_then = (1.0 - part.powf(1.2)) * ((DAYS - 1) * DAY) as f64;
    draft.ago(2 * HOUR + since_then as i64)
}

fn habit(draft: &mut Draft, place: usize) -> Habit {
    match place {
        place if BUSY.contains(&place) => Habit::Busy,
        place if BROKE.contains(&place) => Habit::Broke,
        place if LOW.contains(&place) => Habit::Low,
        EMPTY => Habit::Empty,
        _ => match draft.dice.below(100) {
            0..55 => Habit::Regular,
            55..88 => Habit::Rare,
            _ => Habit::Silent,
        },
    }
}

/// Some people log in again after weeks.
fn add_later_log_ins(draft: &mut Draft, person: usize) {
    let Some(Person { habit, joined, .. }) = draft.plan.people.get(person).cloned() else { return };
    if !matches!(habit, Habit::Busy | Habit::Regular) {
        return;
    }
    let mut time = joined;
    loop {
        time += TimeDelta::minutes(14 * DAY + draft.dice.below(14 * DAY));
        if time >= draft.now {
            return;
        }
        draft.at(time, Step::LogIn(person));
    }
}

/// Adds the messages of a person, from the first day until `until` minutes ago.
fn add_messages(draft: &mut Draft, person: usize, language: &Language) {
    let Some(Person { habit, joined, .. }) = draft.plan.people.get(person).cloned() else { return };
    let (count, until) = match habit {
        Habit::Busy => (90 + draft.dice.below(60), LAST_MESSAGE),
        Habit::Regular => (20 + draft.dice.below(36), LAST_MESSAGE),
        Habit::Rare => (1 + draft.dice.below(5), LAST_MESSAGE),
        Habit::Silent => (0, LAST_MESSAGE),
        Habit::Broke | Habit::Empty => (9, 7 * DAY),
        Habit::Low => (12, 3 * DAY),
    };
    let span = (draft.ago(until) - joined).num_seconds().max(0);
    // Those who joined lately have had less time.
    let days = (draft.now - joined).num_days() + 1;
    let count = (count * days.min(DAYS) / DAYS).max(count.min(1));
    for _ in 0..count {
        // The later, the more.
        let time = joined + TimeDelta::seconds(60 + (draft.dice.part().powf(0.7) * span as f64) as i64);
        if time > draft.ago(until) || is_quiet_day(draft, time) {
            continue;
        }
        if draft.dice.chance(10) && time < draft.ago(until + 30) {
            add_conversation(draft, person, language, time);
        } else {
            let words = Words::of(draft, language, None);
            add_message(draft, person, words, time);
        }
    }
    if habit == Habit::Broke {
        // The price of the first model is that of a message, so three messages take all.
        for hours in [15, 9, 4] {
            let words = Words {
                model: Some(0),
                outcome: Some(Outcome::Answered),
                ..Words::of(draft, language, None)
            };
            let time = draft.around(hours * HOUR, HOUR);
            add_message(draft, person, words, time);
        }
    }
}

/// On two of seven days there are fewer messages.
fn is_quiet_day(draft: &mut Draft, time: NaiveDateTime) -> bool {
    (draft.now - time).num_days() % 7 >= 5 && draft.dice.chance(55)
}

/// What a message is about. What is `None` is left to chance.
struct Words {
    talk: Talk,
    conversation: Option<(usize, i64)>,
    model: Option<usize>,
    outcome: Option<Outcome>,
}

impl Words {
    fn of(draft: &mut Draft, language: &Language, conversation: Option<(usize, i64)>) -> Words {
        let talk = draft.dice.pick(language.talks).unwrap_or(("Hello", "Hello! What can I do for you?"));
        Words { talk, conversation, model: None, outcome: None }
    }
}

/// Adds two to four messages that belong together.
fn add_conversation(draft: &mut Draft, person: usize, language: &Language, begin: NaiveDateTime) {
    let (conversation, model) = (draft.new_conversation(), model(draft));
    let mut time = begin;
    for turn in 0..2 + draft.dice.below(3) {
        let words = Words::of(draft, language, Some((conversation, turn)));
        add_message(draft, person, Words { model: Some(model), ..words }, time);
        time += TimeDelta::seconds(90 + draft.dice.below(200));
    }
}

/// Adds a message and the end of its answer.
fn add_message(draft: &mut Draft, person: usize, words: Words, time: NaiveDateTime) {
    let model = words.model.unwrap_or_else(|| model(draft));
    let is_instant = draft.has_dummy && model == 0;
    let outcome = words.outcome.unwrap_or_else(|| outcome(draft, is_instant, time));
    let first_byte = TimeDelta::milliseconds(180 + draft.dice.below(1400));
    let rest = TimeDelta::milliseconds(400 + draft.dice.below(9_000));
    let number = draft.plan.messages.len();
    draft.plan.messages.push(Message {
        at: time,
        person,
        talk: words.talk,
        model,
        endpoint: draft.dice.pick(&ENDPOINTS).unwrap_or(Endpoint::Chat),
        outcome,
        conversation: words.conversation.map(|(conversation, _)| conversation),
        turn: words.conversation.map_or(0, |(_, turn)| turn),
        first_byte,
    });
    draft.at(time, Step::Send(number));
    let ends_after = match outcome {
        Outcome::Failed(FailureReason::FirstByteTimeout) => TimeDelta::seconds(60),
        Outcome::Failed(_) | Outcome::LeftEarly => first_byte,
        Outcome::Answered | Outcome::CutOff | Outcome::Open => first_byte + rest,
    };
    if !is_instant && outcome != Outcome::Open {
        draft.at(time + ends_after, Step::End(number));
    }
}

fn model(draft: &mut Draft) -> usize {
    let wanted: usize = match draft.dice.below(100) {
        0..50 => 0,
        50..82 => 1,
        _ => 2,
    };
    wanted.min(draft.models.saturating_sub(1))
}

fn outcome(draft: &mut Draft, is_instant: bool, time: NaiveDateTime) -> Outcome {
    // The dummy always answers.
    if is_instant {
        return Outcome::Answered;
    }
    let is_in_outage = OUTAGE.contains(&(draft.now - time).num_minutes());
    if is_in_outage && draft.dice.chance(FAILED_IN_OUTAGE) {
        let reason = draft.dice.pick(&FAILURES_IN_OUTAGE);
        return Outcome::Failed(reason.unwrap_or(FailureReason::Unreachable));
    }
    match draft.dice.below(100) {
        0..5 => Outcome::Failed(draft.dice.pick(&FAILURES).unwrap_or(FailureReason::ServerError)),
        5..8 => Outcome::CutOff,
        8 => Outcome::LeftEarly,
        _ => Outcome::Answered,
    }
}

/// Adds messages of busy people while the upstream is down.
fn add_outage(draft: &mut Draft, people: &[Named]) {
    for number in 0..MESSAGES_IN_OUTAGE {
        let person = BUSY.start + number % BUSY.len();
        let Some((language, _)) = people.get(person) else { return };
        let words = Words { model: Some(1), ..Words::of(draft, language, None) };
        let time = draft.around(OUTAGE.start, OUTAGE.end - OUTAGE.start);
        add_message(draft, person, words, time);
    }
}

/// Adds messages that nobody answers: some of the last minutes, and an older one, whose hold an
/// administrator has released.
fn add_open_holds(draft: &mut Draft, people: &[Named]) {
    for (place, seconds) in [40, 75, 130, 5 * 86_400].into_iter().enumerate() {
        let person = BUSY.start + place;
        let Some((language, _)) = people.get(person) else { return };
        let words = Words::of(draft, language, None);
        let words = Words { model: Some(1), outcome: Some(Outcome::Open), ..words };
        let time = draft.now - TimeDelta::seconds(seconds);
        add_message(draft, person, words, time);
    }
}

/// Every fourth person makes a named auth token: some expire, some are revoked, some are not used.
fn add_tokens(draft: &mut Draft, person: usize) {
    let Some(Person { habit, joined, .. }) = draft.plan.people.get(person).cloned() else { return };
    if !person.is_multiple_of(4) || habit == Habit::Silent {
        return;
    }
    let (days, then, made) = match person / 4 % 5 {
        0 => (None, TokenUse::Used, joined),
        1 => (Some(180), TokenUse::Used, joined),
        // It has expired lately. The server deletes those that expired more than 30 days ago.
        2 => (Some(30), TokenUse::Used, draft.ago(40 * DAY)),
        3 => (None, TokenUse::RevokedAfter(TimeDelta::days(3)), draft.ago(9 * DAY)),
        _ => (Some(90), TokenUse::Never, joined),
    };
    let made = made.max(joined + TimeDelta::hours(1));
    if made > draft.ago(HOUR) {
        return;
    }
    let name = draft.dice.pick(&TOKEN_NAMES).unwrap_or("Program");
    draft.at(made, Step::MakeToken { person, name, days, then });
    if let TokenUse::RevokedAfter(after) = then
        && made + after < draft.now
    {
        draft.at(made + after, Step::RevokeOwnToken(person));
    }
}
