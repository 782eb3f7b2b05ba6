//! Models: what is on offer, what each costs, and a page for each to change that.

mod edit;
mod form;
mod list;

pub(super) use edit::{edit, show};
pub(super) use list::list;

use crate::metering::Price;
use crate::models::Model;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};

/// What the settings say of models.
#[derive(Clone, Debug)]
pub struct ModelSettings {
    /// What a message costs where a model has no price of its own (`--chat-price`).
    pub message_price: i64,
    /// The most tokens of an answer (`--upstream-max-output`).
    pub max_output: u32,
    /// The models that are named (`--upstream-models`); none, where the dummy answers.
    pub named: Vec<String>,
}

/// A price as people say it.
fn in_words(price: Price) -> String {
    match price {
        Price::Message(tokens) => {
            format!("{} a message (the settings' price)", format::counted(tokens, "token", "tokens"))
        }
        Price::Usage { base, prompt, completion } => format!(
            "base {} + {} per 1,000 prompt tokens + {} per 1,000 answer tokens",
            format::tokens(base),
            format::tokens(prompt),
            format::tokens(completion)
        ),
    }
}

fn state(model: &Model, settings: &ModelSettings) -> Cell {
    if !settings.named.contains(&model.name) {
        Cell::badge("not in the settings", Tone::Plain)
    } else if model.is_withdrawn {
        Cell::badge("withdrawn", Tone::Warning)
    } else {
        Cell::badge("on offer", Tone::Good)
    }
}
