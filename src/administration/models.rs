//! Models: withdrawing one, putting it back on offer, and setting its price and properties.

use super::edit::{By, Edit, Edited, Target, edit, edit_and_record};
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::db::{Db, DbConnection, Scope};
use crate::domain::Invalid;
use crate::error::Result;
use crate::models::{Model, ModelChanges};

/// The highest value of each part of a price, in tokens.
pub const MOST_PRICE: i64 = 1_000_000_000_000;

/// The highest number of tokens of an answer.
pub const MOST_OUTPUT: i64 = 10_000_000;

/// The highest number of tokens of a prompt and its answer together.
pub const MOST_CONTEXT: i64 = 100_000_000;

/// The highest number of tokens that an image may count as.
pub const MOST_IMAGE_TOKENS: i64 = 1_000_000;

impl Edit for ModelChanges {
    /// An alias may belong to one model only.
    fn refusal(&self, conn: &mut DbConnection, _: &Actor, stored: &Model) -> Result<Option<Invalid>> {
        if self.aliases.is_empty() {
            return Ok(None);
        }
        // Of two edits at the same moment, on two nodes, the second one sees what the first stored.
        Model::lock_all(conn)?;
        let taken = Model::alias_of_another(conn, stored.id, &self.aliases)?;
        Ok(taken.map(|(alias, other)| {
            Invalid::new(
                "aliases",
                format!("leave out {alias}: it is an alias of the model {other}. Remove it there first."),
            )
        }))
    }

    fn event(action: Action, before: &Model) -> Event<'static> {
        Event { action, kind: ObjectKind::Model, id: before.id, user_id: None, changes: &[], note: "" }
    }
}

/// Changes a model, if it still has the `version` that the form showed.
pub async fn edit_model(
    db: &Db,
    actor: &Actor,
    model_id: i64,
    version: i64,
    wanted: ModelChanges,
) -> Result<Edited<Model>> {
    let target = Target { actor, id: model_id, scope: Scope::none(), reason: "" };
    edit(db, target, move |stored: &Model| stored.version == version, move |_| wanted.clone()).await
}

/// Changes a model, whatever else has changed, in the caller's transaction.
pub(crate) fn edit_model_and_record(
    conn: &mut DbConnection,
    by: &By<'_>,
    model_id: i64,
    wanted: &ModelChanges,
) -> Result<Edited<Model>> {
    edit_and_record(conn, by, model_id, |_: &Model| true, |_| wanted.clone())
}
