//! The models on offer, and which of them a request means.

use super::context::Context;
use super::media;
use crate::domain::is_pattern;
use crate::error::{Error, Result};
use crate::models::{DEFAULT_IMAGE_TOKENS, Model};
use crate::responder::{Catalogue, Question};

/// Returns the models that the settings name and that are not withdrawn, in the settings' order,
/// with what the upstream reports of them.
pub(super) fn on_offer(catalogue: &Catalogue, stored: &[Model]) -> Vec<Model> {
    let row = |name: &String| {
        let row = stored.iter().find(|model| model.name == *name);
        catalogue.known(&row.cloned().unwrap_or_else(|| Model::unpriced(name.clone())))
    };
    catalogue.models.iter().map(row).filter(|model| !model.is_withdrawn).collect()
}

/// Returns the model that a name means: the one of this name, or the one with this alias, or the
/// one with the longest alias that ends in `*` and fits.
///
/// # Errors
/// [`Error::ModelNotFound`].
pub(super) fn named<'a>(on_offer: &'a [Model], name: &str) -> Result<&'a Model> {
    let by_name = || on_offer.iter().find(|model| model.name == name);
    let by_alias = || {
        // Of equals, the first one on offer counts.
        let fitting = on_offer.iter().rev().filter_map(|model| Some((model.alias_fit(name)?, model)));
        fitting.max_by_key(|(fit, _)| *fit).map(|(_, model)| model)
    };
    by_name().or_else(by_alias).ok_or_else(|| Error::ModelNotFound(name.to_owned()))
}

/// A name that clients may give.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OfferedName {
    /// The name: a model's own, or an alias.
    pub name: String,
    /// The model that it means.
    pub model: String,
}

/// Returns the names of the models on offer, each followed by its aliases. Left out are aliases
/// that end in `*`, which are no names, and those that mean another model.
pub(super) fn names(on_offer: &[Model]) -> Vec<OfferedName> {
    let names = on_offer.iter().flat_map(|model| {
        let aliases = model.alias_names().filter(|alias| !is_pattern(alias));
        let aliases = aliases.filter(move |alias| {
            *alias != model.name && named(on_offer, alias).is_ok_and(|meant| meant.name == model.name)
        });
        let all = std::iter::once(model.name.as_str()).chain(aliases);
        all.map(move |name| OfferedName { name: name.to_owned(), model: model.name.clone() })
    });
    names.collect()
}

/// Fits a question to its model: the limit on output, and the further fields that it may have.
///
/// # Errors
/// The model does not accept what the question has.
pub(super) fn fit(
    mut question: Question,
    model: &Model,
    on_offer: &[Model],
    catalogue: &Catalogue,
) -> Result<Question> {
    media::check(&question, model, on_offer)?;
    question.model.clone_from(&model.name);
    let limits = catalogue.answer_limits(model);
    question.max_output = match question.max_output {
        _ if question.is_for_embeddings() => 0,
        0 => limits.default,
        wanted => wanted.min(limits.most),
    };
    let extra = std::mem::take(&mut question.extra);
    let may_pass = |name: &str| model.extra_field_names().any(|allowed| allowed == name);
    let passed = extra.into_iter().filter(|(name, _)| may_pass(name));
    let passed: serde_json::Map<_, _> = passed.collect();
    question.passed = passed.keys().cloned().collect();
    question.options.extend(passed);
    Ok(question)
}

/// Returns the most tokens that a picture may take.
pub(super) fn image_tokens(model: &Model) -> i64 {
    model.image_tokens.unwrap_or(DEFAULT_IMAGE_TOKENS)
}

impl Context {
    /// Returns the models on offer.
    pub(super) async fn on_offer(&self, catalogue: &Catalogue) -> Result<Vec<Model>> {
        let stored = self.db.read_few(|conn| Ok(Model::all(conn)?)).await?;
        Ok(on_offer(catalogue, &stored))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_names_of_a_model_are_its_own_and_the_aliases_that_mean_it() {
        let model = |name: &str, aliases: &str| Model {
            name: name.to_owned(),
            aliases: aliases.to_owned(),
            ..Model::default()
        };
        let on_offer = [
            model("large", "claude-opus-5, claude-*, small, large"),
            model("small", "claude-haiku-5, claude-opus-5"),
        ];
        let all: Vec<_> = names(&on_offer).into_iter().map(|name| (name.name, name.model)).collect();
        let wanted =
            [("large", "large"), ("claude-opus-5", "large"), ("small", "small"), ("claude-haiku-5", "small")];
        assert_eq!(all, wanted.map(|(name, model)| (name.to_owned(), model.to_owned())));
    }

    #[test]
    fn a_name_means_itself_then_an_alias_then_the_longest_that_fits() {
        let model = |name: &str, aliases: &str| Model {
            name: name.to_owned(),
            aliases: aliases.to_owned(),
            ..Model::default()
        };
        let on_offer = [
            model("large", "claude-opus-*, claude-opus-mini-4, gpt-4"),
            model("small", "claude-*, claude-opus-mini*"),
            model("gpt-4", "*, small"),
        ];
        for (name, wanted) in [
            ("large", "large"),
            // The model of this name comes before an alias.
            ("small", "small"),
            ("gpt-4", "gpt-4"),
            ("claude-opus-5", "large"),
            ("claude-opus-mini-4", "large"),
            ("claude-opus-mini-5", "small"),
            ("claude-", "small"),
            ("claude", "gpt-4"),
            ("Large", "gpt-4"),
        ] {
            assert_eq!(named(&on_offer, name).unwrap().name, wanted, "{name}");
        }
        assert!(
            matches!(named(&on_offer[..2], "claude"), Err(Error::ModelNotFound(name)) if name == "claude")
        );
        assert!(named(&on_offer, "").is_ok_and(|model| model.name == "gpt-4"));
    }
}
