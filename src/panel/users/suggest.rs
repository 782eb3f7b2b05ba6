//! Suggestions of usernames while somebody types into a field for a user.

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use serde::Deserialize;
use url::form_urlencoded::Serializer;

use super::USERS;
use crate::clock;
use crate::db::{Db, DbConnection};
use crate::panel::kit::PageError;
use crate::panel::kit::administrator::Administrator;
use crate::panel::kit::list::{ListParams, fetch};
use crate::panel::kit::preferences::Preferences;

/// The most names in a response.
const SHOWN: i64 = 10;

/// The query string of a request for suggestions.
#[derive(Deserialize)]
pub(in crate::panel) struct Typed {
    #[serde(default)]
    q: String,
}

/// Returns the first names that contain what was typed, as a JSON array
/// (`GET /admin/users/suggest/?q=…`).
pub(in crate::panel) async fn suggest(
    administrator: Administrator,
    typed: Query<Typed>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let words: String = typed.q.chars().filter(|c| *c != '\0').take(100).collect();
    let query = Serializer::new(String::new()).append_pair("q", &words).append_pair("sort", "name").finish();
    let preferences = Preferences { page_size: SHOWN, ..administrator.preferences() };
    let read = move |conn: &mut DbConnection| {
        let params = ListParams::read(&USERS, &query, conn, preferences, clock::now())?;
        let found = fetch(&USERS, &params, conn)?;
        Ok(found.rows.into_iter().map(|row| row.user.username).collect::<Vec<_>>())
    };
    Ok(HttpResponse::Ok().json(db.read(read).await?))
}
