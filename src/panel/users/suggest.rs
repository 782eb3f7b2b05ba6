//! Names that complete what is typed where a form asks for a user.

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

/// Names that are offered at once.
const SHOWN: i64 = 10;

#[derive(Deserialize)]
pub(in crate::panel) struct Typed {
    #[serde(default)]
    q: String,
}

/// The first names in which what was typed occurs, as a JSON array.
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
        Ok(found.rows.into_iter().map(|user| user.username).collect::<Vec<_>>())
    };
    Ok(HttpResponse::Ok().json(db.read(read).await?))
}
