//! `models`: the upstream's models that are on offer, their prices and properties.

use diesel::prelude::*;

use crate::db::{DbConnection, fixed, on_either};
use crate::domain::{alias_fit, aliases_in};
use crate::models::{Editable, EditableField, FieldValue};
use crate::schema::models::{self, dsl};

/// The most tokens that one image may count as, for a model without a number of its own.
pub const DEFAULT_IMAGE_TOKENS: i64 = 2000;

/// A model, its price and its properties. Either all three prices are set, or none: then the
/// default price per message applies (`--chat-price`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Queryable, Selectable, Identifiable)]
#[diesel(table_name = models)]
pub struct Model {
    /// Identifies the model in the panel.
    pub id: i64,
    /// The name that clients and the upstream use.
    pub name: String,
    /// Whether it is not on offer although the settings name it.
    pub is_withdrawn: bool,
    /// Tokens of the balance for each message.
    pub base_price: Option<i64>,
    /// Tokens of the balance for 1,000 LLM tokens of the prompt.
    pub prompt_price: Option<i64>,
    /// Tokens of the balance for 1,000 LLM tokens of the answer.
    pub completion_price: Option<i64>,
    /// Increases with each edit, so that conflicting edits are found.
    pub version: i64,
    /// Whether it accepts images. `None`: unknown.
    pub accepts_images: Option<bool>,
    /// Whether it accepts audio. `None`: unknown.
    pub accepts_audio: Option<bool>,
    /// Whether it accepts tools. `None`: unknown.
    pub accepts_tools: Option<bool>,
    /// The most tokens of a prompt and its answer together. `None`: unknown.
    pub context_tokens: Option<i64>,
    /// The most tokens of an answer to a client that sets no limit. `None`: as the settings say.
    pub default_output: Option<i64>,
    /// The most tokens of an answer, whatever the client asks for. `None`: as the settings say.
    pub max_output: Option<i64>,
    /// The most tokens that one image may count as. `None`: [`DEFAULT_IMAGE_TOKENS`].
    pub image_tokens: Option<i64>,
    /// Names of further fields of a request that clients may pass to it, separated by commas.
    pub extra_fields: String,
    /// Further names that clients may use for it, separated by commas. One that ends in `*` stands
    /// for all names that begin so.
    pub aliases: String,
    /// Tokens of the balance for 1,000 LLM tokens of texts whose embeddings it makes. `None`: the
    /// price of any other message.
    pub embedding_price: Option<i64>,
}

/// How long an answer may be, in tokens as the model counts them.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AnswerLimits {
    /// For a client that sets no limit.
    pub default: u32,
    /// Whatever the client asks for.
    pub most: u32,
}

/// The fields of a model that an administrator can edit.
#[derive(Clone, Debug, Default, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = models, treat_none_as_null = true)]
pub struct ModelChanges {
    /// Whether it is not on offer although the settings name it.
    pub is_withdrawn: bool,
    /// Tokens of the balance for each message.
    pub base_price: Option<i64>,
    /// Tokens of the balance for 1,000 LLM tokens of the prompt.
    pub prompt_price: Option<i64>,
    /// Tokens of the balance for 1,000 LLM tokens of the answer.
    pub completion_price: Option<i64>,
    /// Tokens of the balance for 1,000 LLM tokens of texts whose embeddings it makes. `None`: the
    /// price of any other message.
    pub embedding_price: Option<i64>,
    /// Whether it accepts images. `None`: unknown.
    pub accepts_images: Option<bool>,
    /// Whether it accepts audio. `None`: unknown.
    pub accepts_audio: Option<bool>,
    /// Whether it accepts tools. `None`: unknown.
    pub accepts_tools: Option<bool>,
    /// The most tokens of a prompt and its answer together. `None`: unknown.
    pub context_tokens: Option<i64>,
    /// The most tokens of an answer to a client that sets no limit. `None`: as the settings say.
    pub default_output: Option<i64>,
    /// The most tokens of an answer, whatever the client asks for. `None`: as the settings say.
    pub max_output: Option<i64>,
    /// The most tokens that one image may count as. `None`: [`DEFAULT_IMAGE_TOKENS`].
    pub image_tokens: Option<i64>,
    /// Names of further fields of a request that clients may pass to it, separated by commas.
    pub extra_fields: String,
    /// Further names that clients may use for it, separated by commas.
    pub aliases: String,
}

impl Editable for ModelChanges {
    type Row = Model;

    const FIELDS: &'static [EditableField<ModelChanges>] = &[
        EditableField { name: "aliases", value: |model| FieldValue::Text(model.aliases.clone()) },
        EditableField { name: "withdrawn", value: |model| FieldValue::YesNo(model.is_withdrawn) },
        EditableField { name: "base", value: |model| FieldValue::Price(model.base_price) },
        EditableField { name: "prompt", value: |model| FieldValue::Price(model.prompt_price) },
        EditableField { name: "answer", value: |model| FieldValue::Price(model.completion_price) },
        EditableField { name: "embeddings", value: |model| FieldValue::Price(model.embedding_price) },
        EditableField { name: "accepts_images", value: |model| FieldValue::MaybeYesNo(model.accepts_images) },
        EditableField { name: "accepts_audio", value: |model| FieldValue::MaybeYesNo(model.accepts_audio) },
        EditableField { name: "accepts_tools", value: |model| FieldValue::MaybeYesNo(model.accepts_tools) },
        EditableField {
            name: "context_tokens",
            value: |model| FieldValue::MaybeNumber(model.context_tokens),
        },
        EditableField { name: "default_output", value: |model| FieldValue::Limit(model.default_output) },
        EditableField { name: "max_output", value: |model| FieldValue::Limit(model.max_output) },
        EditableField { name: "image_tokens", value: |model| FieldValue::Limit(model.image_tokens) },
        EditableField { name: "extra_fields", value: |model| FieldValue::Text(model.extra_fields.clone()) },
    ];

    fn of(model: &Model) -> ModelChanges {
        ModelChanges {
            is_withdrawn: model.is_withdrawn,
            base_price: model.base_price,
            prompt_price: model.prompt_price,
            completion_price: model.completion_price,
            embedding_price: model.embedding_price,
            accepts_images: model.accepts_images,
            accepts_audio: model.accepts_audio,
            accepts_tools: model.accepts_tools,
            context_tokens: model.context_tokens,
            default_output: model.default_output,
            max_output: model.max_output,
            image_tokens: model.image_tokens,
            extra_fields: model.extra_fields.clone(),
            aliases: model.aliases.clone(),
        }
    }

    fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Model>> {
        Model::find(conn, id)
    }

    fn store(&self, conn: &mut DbConnection, stored: &Model) -> QueryResult<bool> {
        let target = dsl::models.filter(dsl::id.eq(stored.id)).filter(dsl::version.eq(stored.version));
        let values = (self, dsl::version.eq(dsl::version + 1));
        Ok(diesel::update(target).set(values).execute(conn)? == 1)
    }
}

impl Model {
    /// Returns the model with this id, if there is one.
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<Model>> {
        on_either!(conn => fixed(dsl::models.find(id).select(Model::as_select())).get_result(conn)).optional()
    }

    /// Returns the model with this name, if there is one.
    pub fn find_by_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<Model>> {
        dsl::models.filter(dsl::name.eq(name)).select(Model::as_select()).get_result(conn).optional()
    }

    /// Returns all models by name: as many as the settings have ever named.
    pub fn all(conn: &mut DbConnection) -> QueryResult<Vec<Model>> {
        on_either!(conn => fixed(dsl::models.order(dsl::name).select(Model::as_select())).load(conn))
    }

    /// Returns a model that has no row yet: on offer, at the default price, and nothing is known
    /// of it.
    pub fn unpriced(name: String) -> Model {
        Model { name, ..Model::default() }
    }

    /// Returns the limits of its answers: its own ones before those of the settings. No answer is
    /// longer than the context window, and a default of the settings leaves half of it to the
    /// prompt.
    pub fn answer_limits(&self, settings: AnswerLimits) -> AnswerLimits {
        let tokens = |tokens: i64| u32::try_from(tokens).unwrap_or(u32::MAX).max(1);
        let window = self.context_tokens.map_or(u32::MAX, tokens);
        let most = self.max_output.map_or(settings.most, tokens).min(window);
        let default = self.default_output.map_or(settings.default.min((window / 2).max(1)), tokens);
        AnswerLimits { default: default.min(most), most }
    }

    /// Returns the names of the further fields of a request that clients may pass to it.
    pub fn extra_field_names(&self) -> impl Iterator<Item = &str> {
        self.extra_fields.split(',').map(str::trim).filter(|name| !name.is_empty())
    }

    /// Returns its aliases.
    pub fn alias_names(&self) -> impl Iterator<Item = &str> {
        aliases_in(&self.aliases)
    }

    /// Returns how well a name fits its aliases, more for a better fit ([`alias_fit`]). `None` if
    /// it fits none.
    pub fn alias_fit(&self, name: &str) -> Option<usize> {
        self.alias_names().filter_map(|alias| alias_fit(alias, name)).max()
    }

    /// Locks all models until the transaction has ended, or waits for a transaction that changes
    /// one. (SQLite has one writer anyway.)
    pub fn lock_all(conn: &mut DbConnection) -> QueryResult<()> {
        let DbConnection::Postgres(conn) = conn else { return Ok(()) };
        // In one order, so that no two transactions wait for each other.
        let all = dsl::models.order(dsl::id).select(dsl::id);
        all.for_update().load::<i64>(conn).map(|_| ())
    }

    /// Returns the first of these aliases that another model has, and the name of that model.
    pub fn alias_of_another(
        conn: &mut DbConnection,
        id: i64,
        aliases: &str,
    ) -> QueryResult<Option<(String, String)>> {
        let others = dsl::models.filter(dsl::id.ne(id)).filter(dsl::aliases.ne(""));
        let others: Vec<Model> = others.order(dsl::name).select(Model::as_select()).load(conn)?;
        let taken = aliases_in(aliases).find_map(|alias| {
            let has_it = |other: &&Model| aliases_in(&other.aliases).any(|taken| taken == alias);
            others.iter().find(has_it).map(|other| (alias.to_owned(), other.name.clone()))
        });
        Ok(taken)
    }

    /// Inserts the models that have no row yet, at the default price.
    pub fn add_missing(conn: &mut DbConnection, names: &[String]) -> QueryResult<()> {
        for name in names {
            if Model::find_by_name(conn, name)?.is_none() {
                let values = (dsl::name.eq(name), dsl::is_withdrawn.eq(false), dsl::version.eq(0));
                diesel::insert_into(dsl::models).values(values).execute(conn)?;
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SETTINGS: AnswerLimits = AnswerLimits { default: 4096, most: 16_384 };

    fn limits(change: impl Fn(&mut Model)) -> (u32, u32) {
        let mut model = Model::default();
        change(&mut model);
        let limits = model.answer_limits(SETTINGS);
        (limits.default, limits.most)
    }

    #[test]
    fn own_limits_of_answers_come_before_those_of_the_settings() {
        assert_eq!(limits(|_| {}), (4096, 16_384));
        assert_eq!(limits(|model| model.default_output = Some(9000)), (9000, 16_384));
        assert_eq!(limits(|model| model.max_output = Some(100_000)), (4096, 100_000));
        assert_eq!(limits(|model| model.max_output = Some(i64::MAX)), (4096, u32::MAX));
    }

    #[test]
    fn a_default_above_the_bound_is_lowered_to_it() {
        assert_eq!(limits(|model| model.max_output = Some(50)), (50, 50));
        assert_eq!(limits(|model| model.default_output = Some(20_000)), (16_384, 16_384));
    }

    #[test]
    fn no_answer_is_longer_than_the_context_window() {
        assert_eq!(limits(|model| model.context_tokens = Some(8192)), (4096, 8192));
        assert_eq!(limits(|model| model.context_tokens = Some(2048)), (1024, 2048));
        assert_eq!(limits(|model| model.context_tokens = Some(1)), (1, 1));
        let own = |model: &mut Model| {
            model.context_tokens = Some(2048);
            model.default_output = Some(2000);
        };
        assert_eq!(limits(own), (2000, 2048));
    }

    #[test]
    fn names_of_further_fields_are_listed_without_spaces() {
        let model = Model { extra_fields: "a, b_c".to_owned(), ..Model::default() };
        assert_eq!(model.extra_field_names().collect::<Vec<_>>(), ["a", "b_c"]);
        assert_eq!(Model::default().extra_field_names().count(), 0);
    }
}
