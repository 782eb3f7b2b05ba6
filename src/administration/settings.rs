//! How an administrator likes the panel. It concerns nobody else, so the history does not tell of it.

use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::PanelSettings;

pub async fn store_settings(db: &Db, settings: PanelSettings) -> Result<()> {
    let scope = Scope::user(settings.user_id);
    let job = move |conn: &mut DbConnection| Ok(settings.store(conn).map(|_| ())?);
    db.write(scope, job).await
}
