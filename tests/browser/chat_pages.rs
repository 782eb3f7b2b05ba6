//! The pages about chats and models.

use super::demo::Demo;
use super::page::{FAULTS, Page, page};

pub(super) fn chats(demo: &Demo) -> Vec<Page> {
    let at = |chat: i64, rest: &str| format!("/admin/chats/{chat}/{rest}");
    vec![
        page("chats", "/admin/chats/", "Outcome").folded(),
        page("chats-found", "/admin/chats/?q=photosynthesis", "Clear all filters"),
        page("chats-filtered", "/admin/chats/?state=failed&date=today", "Clear all filters"),
        page("chats-nothing", "/admin/chats/?q=zzzzzz", "No chats match"),
        page("chat", at(demo.chat, ""), "borrow of moved value"),
        page("chat-refunded", at(demo.refunded, ""), "left out half of the contract"),
        page("chat-failed", at(demo.failed, ""), "Why it failed"),
        page("chat-pending", at(demo.hold, ""), "Release the hold"),
        page("chat-settled", at(demo.settled, ""), "Settled by usage"),
        page("chats-by-reason", "/admin/chats/?state=failed&reason=server_error", "Why it failed:"),
        page("chats-by-endpoint", "/admin/chats/?endpoint=messages", "Endpoint: Messages"),
        page("chat-refund", at(demo.chat, "refund/"), "can be refunded once"),
        page("chat-refund-errors", at(demo.chat, "refund/"), FAULTS).press("Refund").status(400),
        page("chat-refund-again", at(demo.refunded, "refund/"), "is refunded already")
            .fill("reason", "Twice")
            .press("Refund")
            .status(409),
        page("hold-release", at(demo.hold, "release/"), "Past its deadline, a hold"),
        page("hold-release-errors", at(demo.hold, "release/"), FAULTS).press("Release the hold").status(400),
        page("chat-history", at(demo.refunded, "history/"), "left out half of the contract"),
    ]
}

pub(super) fn models(demo: &Demo) -> Vec<Page> {
    let at = |rest: &str| format!("/admin/models/{}/{rest}", demo.model);
    vec![
        page("models", "/admin/models/", "and not withdrawn here"),
        page("model", at(""), "For example"),
        page("model-errors", at(""), FAULTS).fill("prompt", "a lot").press("Save").status(400),
        page("model-conflict", at(""), "Somebody else changed this")
            .fill("version", "0")
            .fill("withdrawn", "1")
            .press("Save")
            .status(409),
        page("model-history", at("history/"), "History of"),
    ]
}
