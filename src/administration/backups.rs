//! Backups that an administrator makes and downloads. They are in the history: a backup has
//! everybody's chats.

use crate::audit::{Action, Actor, Event, ObjectKind};
use crate::backup::{BackupName, Backups, MayBegin};
use crate::clock;
use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;

/// Starts a backup in the background. Returns whether it has begun, and otherwise why not.
pub async fn start_backup(db: &Db, backups: &Backups, actor: &Actor) -> Result<MayBegin> {
    let answer = backups.may_begin(clock::now());
    if let MayBegin::Yes(name) = &answer {
        record(db, actor, Action::Start, name).await?;
        backups.begin(name.clone(), actor.user_id);
    }
    Ok(answer)
}

/// Records that a backup is being downloaded.
pub async fn record_download(db: &Db, actor: &Actor, name: &BackupName) -> Result<()> {
    record(db, actor, Action::Download, name).await
}

async fn record(db: &Db, actor: &Actor, action: Action, name: &BackupName) -> Result<()> {
    let (actor, id, now) = (actor.clone(), name.id(), clock::now());
    let job = move |conn: &mut DbConnection| {
        let event = Event { action, kind: ObjectKind::Backup, id, user_id: None, changes: &[], note: "" };
        Ok(actor.record(conn, &event, now)?)
    };
    db.write(Scope::none(), job).await
}
