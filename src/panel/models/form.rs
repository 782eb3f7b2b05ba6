//! The form of a model: whether it is on offer, its price, and its properties.

use super::properties;
use crate::administration::{MOST_PRICE, whole_number};
use crate::domain::Invalid;
use crate::metering::Price;
use crate::models::{Model, ModelChanges};
use crate::panel::kit::fields::{Field, FieldChoice, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::paths;

/// The parts of a price by usage: the name and the label of each field.
const PARTS: [(&str, &str); 3] =
    [("base", "Per message"), ("prompt", "Per 1,000 prompt tokens"), ("answer", "Per 1,000 answer tokens")];

/// The price of embeddings: the name and the label of its field.
const EMBEDDINGS: (&str, &str) = ("embeddings", "Embeddings, per 1,000 tokens");

const BY_MESSAGE: &str = "message";
const BY_USAGE: &str = "usage";

/// The form, with the stored values.
pub(super) fn form(model: &Model) -> FormView {
    let kind = if model.base_price.is_some() { BY_USAGE } else { BY_MESSAGE };
    let kinds = [
        FieldChoice::new(BY_MESSAGE, "The default price per message"),
        FieldChoice::new(BY_USAGE, "By usage: the three prices below"),
    ];
    let stored = [model.base_price, model.prompt_price, model.completion_price];
    let mut price = vec![Field::new("price", "Pricing", Kind::Choice(kinds.to_vec())).value(kind)];
    for ((name, label), stored) in PARTS.into_iter().zip(stored) {
        let value = stored.map(|tokens| tokens.to_string()).unwrap_or_default();
        price.push(Field::new(name, label, Kind::Amount).value(value).most(30));
    }
    let embeddings = model.embedding_price.map(|tokens| tokens.to_string()).unwrap_or_default();
    let field = Field::new(EMBEDDINGS.0, EMBEDDINGS.1, Kind::Amount).value(embeddings).most(30);
    price.push(field.help("Empty: embeddings cost what a message costs."));
    let form = FormView::default()
        .hide("version", model.version.to_string())
        .group(
            "Availability",
            "",
            vec![
                Field::new("withdrawn", "Withdrawn", Kind::Tick)
                    .ticked(model.is_withdrawn)
                    .help("New chats can't use this model. Pending chats continue."),
            ],
        )
        .group(
            "Price",
            "Whole tokens, 0 to 1,000,000,000,000. By usage, the highest possible cost is held \
             first; what is not used returns at the end. A new price applies to new chats.",
            price,
        );
    properties::groups(form, model).button("", "Save").cancel(paths::MODELS)
}

/// Returns the values of the form, or every fault in it.
pub(super) fn parse(sent: &Form) -> Result<ModelChanges, Vec<Invalid>> {
    let mut wanted = ModelChanges { is_withdrawn: sent.has("withdrawn"), ..ModelChanges::default() };
    let mut faults = Vec::new();
    read_price(sent, &mut wanted, &mut faults);
    wanted.embedding_price = read_embedding_price(sent, &mut faults);
    properties::read(sent, &mut wanted, &mut faults);
    if faults.is_empty() { Ok(wanted) } else { Err(faults) }
}

fn read_price(sent: &Form, wanted: &mut ModelChanges, faults: &mut Vec<Invalid>) {
    match sent.text("price") {
        BY_MESSAGE => return,
        BY_USAGE => {}
        _ => return faults.push(Invalid::new("price", "choose one of the two")),
    }
    [wanted.base_price, wanted.prompt_price, wanted.completion_price] = PARTS.map(|(name, _)| {
        let read = price_of(sent, name);
        if read.is_none() {
            faults.push(Invalid::new(name, "enter a whole number from 0 to 1,000,000,000,000"));
        }
        read
    });
}

fn read_embedding_price(sent: &Form, faults: &mut Vec<Invalid>) -> Option<i64> {
    let (name, _) = EMBEDDINGS;
    if sent.text(name).is_empty() {
        return None;
    }
    let read = price_of(sent, name);
    if read.is_none() {
        let reason = "enter a whole number from 0 to 1,000,000,000,000, or leave it empty";
        faults.push(Invalid::new(name, reason));
    }
    read
}

fn price_of(sent: &Form, name: &str) -> Option<i64> {
    whole_number(sent.text(name)).filter(|tokens| *tokens <= MOST_PRICE)
}

/// Returns the cost of an example chat, and what is held for it in advance, both in tokens. `None`
/// if the price does not depend on the usage.
pub(super) fn example(price: Price, max_output: u32) -> Option<(i64, i64)> {
    use crate::domain::Usage;
    let of = |prompt_tokens, completion_tokens| {
        price.settled(Usage { prompt_tokens, completion_tokens, ..Usage::default() }, 1, 1)
    };
    // A token has about four bytes and at least one, so the prompt could have at most 4,000 tokens.
    Some((of(1_000, 500)?, of(4_000, i64::from(max_output))?))
}
