//! Models: a table of all with their prices, and a page to change each model.

mod edit;
mod form;
mod list;
mod performance;
mod properties;

pub(super) use edit::{edit, show};
pub(super) use list::list;

use crate::http::Site;
use crate::metering::Price;
use crate::models::Model;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};

/// Returns a price as text.
fn in_words(price: Price) -> String {
    match price {
        Price::Message(tokens) => {
            format!("{} per message (default)", format::counted(tokens, "token", "tokens"))
        }
        Price::Usage { base, prompt, completion } => format!(
            "base {} + {} per 1,000 prompt tokens + {} per 1,000 answer tokens",
            format::tokens(base),
            format::tokens(prompt),
            format::tokens(completion)
        ),
    }
}

/// Returns the price of embeddings as text.
fn embeddings_in_words(model: &Model) -> String {
    match model.embedding_price {
        Some(tokens) => format!("{} per 1,000 tokens", format::tokens(tokens)),
        None => "as a message".to_owned(),
    }
}

fn state(model: &Model, site: &Site) -> Cell {
    if !site.models.contains(&model.name) {
        Cell::badge("not in the settings", Tone::Plain)
    } else if model.is_withdrawn {
        Cell::badge("withdrawn", Tone::Warning)
    } else {
        Cell::badge("on offer", Tone::Good)
    }
}
