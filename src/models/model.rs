//! `models`: the upstream's models that are on offer, and their prices.

use diesel::prelude::*;

use crate::db::DbConnection;
use crate::models::{Editable, EditableField, FieldValue};
use crate::schema::models::{self, dsl};

/// A model and its price. Either all three prices are set, or none: then the default price per
/// message applies (`--chat-price`).
#[derive(Clone, Debug, PartialEq, Eq, Queryable, Selectable, Identifiable)]
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
}

/// The fields of a model that an administrator can edit.
#[derive(Clone, Debug, PartialEq, Eq, AsChangeset)]
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
}

impl Editable for ModelChanges {
    type Row = Model;

    const FIELDS: &'static [EditableField<ModelChanges>] = &[
        EditableField { name: "withdrawn", value: |model| FieldValue::YesNo(model.is_withdrawn) },
        EditableField { name: "base", value: |model| FieldValue::Price(model.base_price) },
        EditableField { name: "prompt", value: |model| FieldValue::Price(model.prompt_price) },
        EditableField { name: "answer", value: |model| FieldValue::Price(model.completion_price) },
    ];

    fn of(model: &Model) -> ModelChanges {
        ModelChanges {
            is_withdrawn: model.is_withdrawn,
            base_price: model.base_price,
            prompt_price: model.prompt_price,
            completion_price: model.completion_price,
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
        dsl::models.find(id).select(Model::as_select()).get_result(conn).optional()
    }

    /// Returns the model with this name, if there is one.
    pub fn find_by_name(conn: &mut DbConnection, name: &str) -> QueryResult<Option<Model>> {
        dsl::models.filter(dsl::name.eq(name)).select(Model::as_select()).get_result(conn).optional()
    }

    /// Returns all models by name: as many as the settings have ever named.
    pub fn all(conn: &mut DbConnection) -> QueryResult<Vec<Model>> {
        dsl::models.order(dsl::name).select(Model::as_select()).load(conn)
    }

    /// Returns a model that has no row yet: on offer, at the default price.
    pub fn unpriced(name: String) -> Model {
        let (base_price, prompt_price, completion_price) = (None, None, None);
        Model { id: 0, name, is_withdrawn: false, base_price, prompt_price, completion_price, version: 0 }
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
