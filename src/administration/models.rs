//! Models: taking one off the offer and putting it back, and what it costs.

use super::users::yes_no;
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::{Change, Model, ModelChanges};

/// The most that a part of a price may be, in tokens.
pub const MOST_PRICE: i64 = 1_000_000_000_000;

/// An edit of a model as it came from a form.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ModelEdit {
    pub model_id: i64,
    /// The version that the form was made from.
    pub version: i64,
    pub wanted: ModelChanges,
}

/// What came of an edit of a model.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ModelEdited {
    Done(Vec<Change>),
    /// Somebody else changed the model since the form was made; this is what is stored now.
    Conflict(Box<Model>),
    NoSuchModel,
}

/// Changes a model, if it is still as the form showed it.
pub async fn edit_model(db: &Db, actor: &Actor, edit: ModelEdit) -> Result<ModelEdited> {
    let (actor, now) = (actor.clone(), clock::now());
    let job = move |conn: &mut DbConnection| {
        let Some(stored) = Model::find(conn, edit.model_id)? else { return Ok(ModelEdited::NoSuchModel) };
        let changes = differences(&stored, &edit.wanted);
        // A second run of this edit, or an edit to the same end: nothing is left to do.
        if changes.is_empty() {
            return Ok(ModelEdited::Done(changes));
        }
        if !Model::edit(conn, stored.id, edit.version, &edit.wanted)? {
            // What was read above may be older than the edit that came between.
            let stored = Model::find(conn, edit.model_id)?.unwrap_or(stored);
            return Ok(ModelEdited::Conflict(Box::new(stored)));
        }
        let event = Event {
            action: Action::Change,
            kind: ObjectKind::Model,
            id: stored.id,
            user_id: None,
            changes: &changes,
            note: "",
        };
        actor.record(conn, &event, now)?;
        Ok(ModelEdited::Done(changes))
    };
    db.write(Scope::none(), job).await
}

fn differences(stored: &Model, wanted: &ModelChanges) -> Vec<Change> {
    let mut changes = Vec::new();
    if stored.is_withdrawn != wanted.is_withdrawn {
        changes.push(Change::new("withdrawn", yes_no(stored.is_withdrawn), yes_no(wanted.is_withdrawn)));
    }
    for (field, before, after) in [
        ("base price", stored.base_price, wanted.base_price),
        ("price of 1,000 prompt tokens", stored.prompt_price, wanted.prompt_price),
        ("price of 1,000 answer tokens", stored.completion_price, wanted.completion_price),
    ] {
        if before != after {
            changes.push(Change::new(field, price(before), price(after)));
        }
    }
    changes
}

fn price(price: Option<i64>) -> String {
    price.map_or_else(|| "as the settings say".to_owned(), |price| price.to_string())
}
