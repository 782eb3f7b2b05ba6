//! Models: what is on offer, what each costs, and a page for each to change that.

mod edit;
mod form;
mod list;

pub(super) use edit::{edit, show};
pub(super) use list::list;

use crate::http::Site;
use crate::metering::Price;
use crate::models::Model;
use crate::panel::kit::format;
use crate::panel::kit::list::{Cell, Tone};

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

fn state(model: &Model, site: &Site) -> Cell {
    if !site.models.contains(&model.name) {
        Cell::badge("not in the settings", Tone::Plain)
    } else if model.is_withdrawn {
        Cell::badge("withdrawn", Tone::Warning)
    } else {
        Cell::badge("on offer", Tone::Good)
    }
}
