//! What a chat's page shows about the chat, other than its texts.

use chrono::NaiveDateTime;
use serde_json::Value;

use super::list::state;
use crate::domain::FailureReason;
use crate::models::{Chat, ChatState, EntryKind, LedgerEntry};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;
use crate::responder::Answer;

/// Returns the user, the outcome and the times.
pub(super) fn facts(chat: &Chat, username: &str) -> Vec<Fact> {
    let mut facts = vec![
        Fact::new("User", Cell::user(chat.user_id, Some(&username.to_owned()))),
        Fact::new("State", state(chat.state)),
    ];
    if let Some(failure) = &chat.failure {
        let label = if chat.state == ChatState::Cancelled { "Why it ended" } else { "Why it failed" };
        facts.push(Fact::new(label, Cell::Text(FailureReason::text_of(failure).to_owned())));
    }
    facts.extend([
        Fact::new("Model", Cell::code(&chat.model)),
        Fact::new("Sent", Cell::Time(chat.created_at)),
    ]);
    let after = |time: NaiveDateTime| Cell::Text(format!("after {}", format::span(time - chat.created_at)));
    if let Some(first) = chat.first_byte_at {
        facts.push(Fact::new("First part of the answer", after(first)));
    }
    if let Some(finished) = chat.finished_at {
        facts.push(Fact::new("End", after(finished)));
    }
    facts.push(Fact::new("Finished", Cell::time(chat.finished_at)));
    if chat.state == ChatState::Pending {
        facts.push(Fact::new("Deadline", Cell::time(chat.deadline)));
    }
    if let Some(conversation) = chat.conversation_id {
        facts.push(Fact::new("Conversation", Cell::Id(conversation)));
    }
    facts.extend([Fact::new("Origin", Cell::Text(chat.origin.clone())), Fact::new("Id", Cell::Id(chat.id))]);
    facts
}

/// Returns the numbers of tokens that the model reported, or that were estimated.
pub(super) fn usage(chat: &Chat) -> Vec<Fact> {
    let counted = match chat.usage_estimated {
        Some(true) => " (estimated, as the model reported none)",
        _ => "",
    };
    let tokens = |label, number: Option<i64>| {
        number.map(|number| Fact::new(label, Cell::Text(format!("{}{counted}", format::tokens(number)))))
    };
    let details = Answer::stored(None, chat.answer_extras.as_deref()).usage_details;
    let part = |label, number: Option<i64>| {
        number.map(|number| Fact::new(label, Cell::Text(format::tokens(number))))
    };
    let all = [
        tokens("Prompt tokens", chat.prompt_tokens),
        part("of which cached", details.cached_tokens),
        part("of which audio", details.prompt_audio_tokens),
        tokens("Answer tokens", chat.completion_tokens),
        part("of which reasoning", details.reasoning_tokens),
        part("of which audio", details.completion_audio_tokens),
    ];
    all.into_iter().flatten().collect()
}

/// Returns the cost: what was charged, what was returned, and the sum of both.
pub(super) fn cost<'a>(chat: &Chat, entries: impl Iterator<Item = &'a LedgerEntry>) -> Vec<Fact> {
    let mut sums = [(EntryKind::Charge, 0), (EntryKind::Settlement, 0), (EntryKind::Refund, 0)];
    let (mut any, mut total) = (false, 0);
    for entry in entries {
        any = true;
        total += entry.amount;
        for (_, sum) in sums.iter_mut().filter(|(kind, _)| *kind == entry.kind) {
            *sum += entry.amount;
        }
    }
    if !any {
        return vec![Fact::new("Charge", Cell::Tokens(chat.charge))];
    }
    let [(_, charge), (_, settlement), (_, refund)] = sums;
    let held = if chat.state == ChatState::Pending { "Held" } else { "Charged" };
    let mut facts = vec![Fact::new(held, Cell::Signed(charge))];
    if settlement != 0 {
        facts.push(Fact::new("Settled by usage", Cell::Signed(settlement)));
    }
    if refund != 0 {
        facts.push(Fact::new("Refunded", Cell::Signed(refund)));
    }
    facts.push(Fact::new("Final cost", Cell::Tokens(-total)));
    facts
}

/// Returns why the answer ended (`finish_reason`), and the parts of the answer other than its text,
/// as JSON. Either may be empty.
pub(super) fn extras(chat: &Chat) -> (Option<String>, String) {
    let Some(stored) = chat.answer_extras.as_deref() else { return (None, String::new()) };
    let Ok(Value::Object(mut extras)) = serde_json::from_str(stored) else {
        return (None, stored.to_owned());
    };
    // It is shown with the usage.
    extras.remove("usage_details");
    let reason = match extras.remove("finish_reason") {
        Some(Value::String(reason)) => Some(reason),
        _ => None,
    };
    let rest = if extras.is_empty() {
        String::new()
    } else {
        serde_json::to_string_pretty(&extras).unwrap_or_else(|_| stored.to_owned())
    };
    (reason, rest)
}
