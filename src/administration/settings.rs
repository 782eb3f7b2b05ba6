//! An administrator's settings of the panel. They concern nobody else, so the audit log does not
//! record them.

use crate::db::{Db, DbConnection, Scope};
use crate::error::Result;
use crate::models::PanelSettings;

/// Stores the settings of an administrator.
pub async fn store_settings(db: &Db, settings: PanelSettings) -> Result<()> {
    let scope = Scope::user(settings.user_id);
    let job = move |conn: &mut DbConnection| Ok(settings.store(conn).map(|_| ())?);
    db.write(scope, job).await
}
