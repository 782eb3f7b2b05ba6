//! What a chat's page shows about the chat, other than its texts.

use chrono::NaiveDateTime;
use serde_json::Value;

use super::list::{endpoint, state};
use super::usage::counted;
use crate::domain::{Endpoint, FailureReason};
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::panel::kit::names::Named;
use crate::responder::Answer;

/// The origin of chats that this server charged. Only another one says something.
const LIVE: &str = "live";

/// Returns the user and the outcome.
pub(super) fn outcome(chat: &Chat, username: &str) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("User", Cell::user(chat.user_id, Some(&username.to_owned()))),
        Fact::new("State", state(chat.state)),
    ];
    if let Some(failure) = &chat.failure {
        let label = if chat.state == ChatState::Cancelled { "Why it ended" } else { "Why it failed" };
        facts.push(Fact::new(label, Cell::Text(FailureReason::administrators_text_of(failure).to_owned())));
    }
    facts
}

/// Returns the model, the times and the path.
pub(super) fn facts(chat: &Chat) -> Vec<Fact> {
    let mut facts =
        vec![Fact::new("Model", Cell::code(&chat.model)), Fact::new("Sent", Cell::Time(chat.created_at))];
    let span = |time: NaiveDateTime| Cell::Text(format::span(time - chat.created_at));
    if let Some(first) = chat.first_byte_at {
        facts.push(Fact::new("First token", span(first)));
    }
    if let Some(finished) = chat.finished_at {
        facts.push(Fact::new(
            if chat.state == ChatState::Complete { "Done" } else { "Ended" },
            span(finished),
        ));
    }
    if chat.state == ChatState::Pending {
        facts.push(Fact::new("Deadline", Cell::time(chat.deadline)));
    }
    facts.push(Fact::new("Dialect", endpoint(chat)));
    if let Some(endpoint) = chat.endpoint.as_deref().and_then(Endpoint::from_code) {
        facts.push(Fact::new("Endpoint", Cell::code(endpoint.path())));
    }
    facts
}

/// Returns the ids.
pub(super) fn ids(chat: &Chat) -> Vec<Fact> {
    let mut facts = vec![Fact::new("Id", Cell::Id(chat.id))];
    if let Some(conversation) = chat.conversation_id {
        facts.push(Fact::new("Conversation", Cell::Id(conversation)));
    }
    if chat.origin != LIVE {
        facts.push(Fact::new("Origin", Cell::Text(chat.origin.clone())));
    }
    facts
}

/// Returns the numbers of tokens that the model reported, or that were estimated.
pub(super) fn usage(chat: &Chat) -> Vec<Fact> {
    let Some(counted) = counted(chat) else { return Vec::new() };
    let estimated = if counted.is_estimated { " (estimated)" } else { "" };
    let tokens = |label, number: Option<i64>| {
        let text = number.map_or_else(
            || "not counted".to_owned(),
            |number| format!("{}{estimated}", format::tokens(number)),
        );
        Fact::new(label, Cell::Text(text))
    };
    let details = Answer::stored(None, chat.answer_extras.as_deref()).usage_details;
    let part = |label, number: Option<i64>| {
        number.map(|number| Fact::new(label, Cell::Text(format::tokens(number))))
    };
    let all = [
        Some(tokens("Prompt tokens", counted.prompt)),
        part("of which cached", details.cached_tokens),
        part("of which audio", details.prompt_audio_tokens),
        Some(tokens("Answer tokens", counted.answer)),
        part("of which reasoning", details.reasoning_tokens),
        part("of which audio", details.completion_audio_tokens),
    ];
    all.into_iter().flatten().collect()
}

/// Returns the cost in one line. What a pending chat costs is not known yet.
pub(super) fn cost<'a>(chat: &Chat, entries: impl Iterator<Item = &'a LedgerEntry>) -> Fact {
    let amounts: Vec<i64> = entries.map(|entry| entry.amount).collect();
    match (chat.state, amounts.as_slice()) {
        (ChatState::Pending, _) => {
            Fact::new("Held", Cell::Text(format!("{}, not settled yet", format::tokens(chat.charge))))
        }
        // It was imported.
        (_, []) => Fact::new("Charge", Cell::Tokens(chat.charge)),
        (_, amounts) => Fact::new("Net cost", Cell::Tokens(-amounts.iter().sum::<i64>())),
    }
}

/// A ledger entry of the chat.
pub(super) struct Part {
    pub what: &'static str,
    pub amount: Cell,
    pub at: NaiveDateTime,
    pub balance_after: i64,
    /// The administrator. `Nothing` if nobody did it by hand.
    pub actor: Cell,
    /// The administrator's reason, or an empty text.
    pub note: String,
}

/// Returns the entries that the cost consists of, in their order.
pub(super) fn parts(chat: &Chat, entries: &[Named<LedgerEntry>]) -> Vec<Part> {
    let what = |kind| match kind {
        EntryKind::Charge if chat.state == ChatState::Pending => "Held",
        EntryKind::Charge => "Charged",
        EntryKind::Settlement => "Settled by usage",
        EntryKind::Refund => "Refunded",
        EntryKind::Opening | EntryKind::Adjustment => kind.as_str(),
    };
    let part = |entry: &Named<LedgerEntry>| Part {
        what: what(entry.row.kind),
        amount: Cell::Signed(entry.row.amount),
        at: entry.row.created_at,
        balance_after: entry.row.balance_after,
        actor: entry.row.actor_id.map_or(Cell::Nothing, |id| entry.user(id)),
        note: entry.row.note.clone(),
    };
    entries.iter().map(part).collect()
}

/// What an answer consists of besides its text.
#[derive(Default)]
pub(super) struct Extras {
    /// Why the answer ended (`finish_reason`). Empty if that is not recorded.
    pub finish_reason: String,
    /// What the model thought before it answered. Empty if it did not.
    pub reasoning: String,
    /// The other parts, such as tool calls, as JSON. Empty if there are none.
    pub rest: String,
}

/// Returns the parts of the answer other than its text.
pub(super) fn extras(chat: &Chat) -> Extras {
    let Some(stored) = chat.answer_extras.as_deref() else { return Extras::default() };
    let Ok(Value::Object(mut extras)) = serde_json::from_str(stored) else {
        return Extras { rest: stored.to_owned(), ..Extras::default() };
    };
    // It is shown with the usage.
    extras.remove("usage_details");
    // They only repeat the answer.
    extras.remove("parts");
    let finish_reason = text(extras.remove("finish_reason"));
    let mut reasoning = String::new();
    if let Some(Value::Object(message)) = extras.get_mut("message") {
        // Some upstreams use both names for the same text.
        for name in ["reasoning_content", "reasoning"] {
            if message.get(name).is_some_and(Value::is_string) {
                reasoning = text(message.remove(name));
            }
        }
        if message.is_empty() {
            extras.remove("message");
        }
    }
    let rest = if extras.is_empty() {
        String::new()
    } else {
        serde_json::to_string_pretty(&extras).unwrap_or_else(|_| stored.to_owned())
    };
    Extras { finish_reason, reasoning, rest }
}

fn text(value: Option<Value>) -> String {
    if let Some(Value::String(text)) = value { text } else { String::new() }
}
