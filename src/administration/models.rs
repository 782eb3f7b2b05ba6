//! Models: taking one off the offer and putting it back, and what it costs.

use super::edit::{Edit, Edited, Target, edit};
use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::db::{Db, Scope};
use crate::error::Result;
use crate::models::{Model, ModelChanges};

/// The most that a part of a price may be, in tokens.
pub const MOST_PRICE: i64 = 1_000_000_000_000;

impl Edit for ModelChanges {
    fn event(action: Action, before: &Model) -> Event<'static> {
        Event { action, kind: ObjectKind::Model, id: before.id, user_id: None, changes: &[], note: "" }
    }
}

/// Changes a model, if it is still as it was at `version`.
pub async fn edit_model(
    db: &Db,
    actor: &Actor,
    model_id: i64,
    version: i64,
    wanted: ModelChanges,
) -> Result<Edited<Model>> {
    let target = Target { actor, id: model_id, scope: Scope::none() };
    edit(db, target, move |stored: &Model| stored.version == version, move |_| wanted.clone()).await
}
