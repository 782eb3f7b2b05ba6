//! The properties of a model in its form and on its page: what it accepts, and how much it may read
//! and write.

use crate::administration::{MOST_CONTEXT, MOST_IMAGE_TOKENS, MOST_OUTPUT, whole_number};
use crate::domain::{Aliases, ExtraFields, Invalid};
use crate::http::Site;
use crate::models::{DEFAULT_IMAGE_TOKENS, Model, ModelChanges};
use crate::panel::kit::fact::Fact;
use crate::panel::kit::fields::{Field, FieldChoice, FormView, Kind};
use crate::panel::kit::form::Form;
use crate::panel::kit::format;
use crate::panel::kit::list::Cell;

const IMAGES: (&str, &str) = ("accepts_images", "Accepts images");
const AUDIO: (&str, &str) = ("accepts_audio", "Accepts audio");
const TOOLS: (&str, &str) = ("accepts_tools", "Accepts tools");
const CONTEXT: (&str, &str) = ("context_tokens", "Context window");
const DEFAULT_OUTPUT: (&str, &str) = ("default_output", "Answer, if the client sets no limit");
const OUTPUT: (&str, &str) = ("max_output", "Answer, at most");
const IMAGE: (&str, &str) = ("image_tokens", "Tokens of an image, at most");
const ALIASES: (&str, &str) = ("aliases", "Aliases");
const EXTRA: (&str, &str) = ("extra_fields", "Further fields");

const UNKNOWN: &str = "unknown";

/// Precedes a value that nobody has set here.
const REPORTED: &str = "as the upstream reports";

/// The most characters that the field for names takes.
const MOST_CHARACTERS: usize = 1400;

/// The most characters that the field for aliases takes.
const MOST_OF_ALIASES: usize = 10_200;

/// Adds the groups of fields with the stored values.
pub(super) fn groups(form: FormView, model: &Model) -> FormView {
    let number = |(name, label): (&'static str, &'static str), stored: Option<i64>| {
        let value = stored.map(|tokens| tokens.to_string()).unwrap_or_default();
        Field::new(name, label, Kind::Amount).value(value).most(30)
    };
    form.group(
        "Names",
        "",
        vec![
            Field::new(ALIASES.0, ALIASES.1, Kind::Plain)
                .value(model.aliases.clone())
                .most(MOST_OF_ALIASES)
                .help(
                    "Up to 50 other names for clients, separated by commas, such as \
                     claude-sonnet-*. A * at the end matches anything. A model's own name wins, \
                     then an equal alias, then the longest one with a *.",
                ),
        ],
    )
    .group(
        "What it accepts",
        "A request with something else gets an error and costs nothing. Unknown: the upstream's \
         list of models decides, and otherwise the request is sent on.",
        vec![
            answer(IMAGES, model.accepts_images),
            answer(AUDIO, model.accepts_audio),
            answer(TOOLS, model.accepts_tools),
            Field::new(EXTRA.0, EXTRA.1, Kind::Plain)
                .value(model.extra_fields.clone())
                .most(MOST_CHARACTERS)
                .help(
                    "Up to 20 other request fields that clients may pass on, separated by \
                     commas, such as chat_template_kwargs.",
                ),
        ],
    )
    .group(
        "Lengths",
        "In the model's tokens. Empty: unknown, or the setting for all models.",
        vec![
            number(CONTEXT, model.context_tokens).help("Prompt and answer together."),
            number(DEFAULT_OUTPUT, model.default_output).help("For all models: --upstream-default-output."),
            number(OUTPUT, model.max_output).help(
                "Even if the client asks for more. With a price by usage, a higher limit holds \
                 more. For all models: --upstream-max-output.",
            ),
            number(IMAGE, model.image_tokens)
                .help("Held for each image with a price by usage. Default: 2,000."),
        ],
    )
}

/// A field that is answered with yes or no, or not at all.
fn answer((name, label): (&'static str, &'static str), stored: Option<bool>) -> Field {
    let choices =
        [FieldChoice::new(UNKNOWN, "Unknown"), FieldChoice::new("yes", "Yes"), FieldChoice::new("no", "No")];
    Field::new(name, label, Kind::Choice(choices.to_vec())).value(in_words(stored))
}

fn in_words(stored: Option<bool>) -> &'static str {
    match stored {
        None => UNKNOWN,
        Some(true) => "yes",
        Some(false) => "no",
    }
}

/// Reads the fields into `wanted`. Adds every fault to `faults`.
pub(super) fn read(sent: &Form, wanted: &mut ModelChanges, faults: &mut Vec<Invalid>) {
    let mut answer = |(name, _): (&'static str, &str)| match sent.text(name) {
        "yes" => Some(true),
        "no" => Some(false),
        UNKNOWN => None,
        _ => {
            faults.push(Invalid::new(name, "choose one of the three"));
            None
        }
    };
    wanted.accepts_images = answer(IMAGES);
    wanted.accepts_audio = answer(AUDIO);
    wanted.accepts_tools = answer(TOOLS);
    let mut number = |(name, _): (&'static str, &str), most: i64| match sent.text(name) {
        "" => None,
        text => {
            let tokens = whole_number(text).filter(|tokens| (1..=most).contains(tokens));
            if tokens.is_none() {
                let most = format::tokens(most);
                let reason = format!("enter a whole number from 1 to {most}, or leave it empty");
                faults.push(Invalid::new(name, reason));
            }
            tokens
        }
    };
    wanted.context_tokens = number(CONTEXT, MOST_CONTEXT);
    wanted.default_output = number(DEFAULT_OUTPUT, MOST_OUTPUT);
    wanted.max_output = number(OUTPUT, MOST_OUTPUT);
    wanted.image_tokens = number(IMAGE, MOST_IMAGE_TOKENS);
    match Aliases::parse(ALIASES.0, sent.text(ALIASES.0)) {
        Ok(aliases) => wanted.aliases = aliases.to_string(),
        Err(fault) => faults.push(fault),
    }
    match ExtraFields::parse(EXTRA.0, sent.text(EXTRA.0)) {
        Ok(fields) => wanted.extra_fields = fields.to_string(),
        Err(fault) => faults.push(fault),
    }
}

/// Returns the properties as the model's page shows them. `known` also has what the upstream
/// reports, which counts where nothing is set.
pub(super) fn facts(model: &Model, known: &Model, site: &Site) -> Vec<Fact> {
    let answer = |(_, label): (&str, &'static str), own: Option<bool>, known: Option<bool>| {
        let text = match (own, known) {
            (None, Some(_)) => format!("{REPORTED}: {}", in_words(known)),
            _ => in_words(own).to_owned(),
        };
        Fact::new(label, Cell::Text(text))
    };
    let number = |(_, label): (&str, &'static str), own: Option<i64>, default: i64| {
        let text = match own {
            None => format!("{} (default)", format::tokens(default)),
            Some(own) => format!("{} (default: {})", format::tokens(own), format::tokens(default)),
        };
        Fact::new(label, Cell::Text(text))
    };
    let reported = |(_, label): (&str, &'static str), tokens: i64| {
        Fact::new(label, Cell::Text(format!("{REPORTED}: {}", format::tokens(tokens))))
    };
    let limits = site.answer_limits;
    let mut facts = Vec::new();
    if !model.aliases.is_empty() {
        facts.push(Fact::new(ALIASES.1, Cell::Code(model.aliases.clone())));
    }
    facts.extend([
        answer(IMAGES, model.accepts_images, known.accepts_images),
        answer(AUDIO, model.accepts_audio, known.accepts_audio),
        answer(TOOLS, model.accepts_tools, known.accepts_tools),
        match (model.context_tokens, known.context_tokens) {
            (None, Some(tokens)) => reported(CONTEXT, tokens),
            (Some(tokens), _) => Fact::new(CONTEXT.1, Cell::Text(format::tokens(tokens))),
            (None, None) => Fact::new(CONTEXT.1, Cell::Text(UNKNOWN.to_owned())),
        },
        number(DEFAULT_OUTPUT, model.default_output, limits.default.into()),
        match (model.max_output, known.max_output) {
            (None, Some(tokens)) => reported(OUTPUT, tokens),
            _ => number(OUTPUT, model.max_output, limits.most.into()),
        },
        number(IMAGE, model.image_tokens, DEFAULT_IMAGE_TOKENS),
    ]);
    if !model.extra_fields.is_empty() {
        facts.push(Fact::new(EXTRA.1, Cell::Code(model.extra_fields.clone())));
    }
    facts
}
