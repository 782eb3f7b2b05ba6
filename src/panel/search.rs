//! The search box at the top of every page, which searches users, chats, reasons, the history and
//! auth tokens at once, and finds pages and actions by their names.
//!
//! The box sends a form, so that an auth token that is pasted into it is in no address. Words that
//! contain none are redirected to an address that can be kept. The script shows the same results
//! while one types.

mod actions;
mod asked;
mod groups;

use actix_web::HttpResponse;
use actix_web::web::{Data, Query};
use askama::Template;
use serde::Deserialize;

use asked::{Search, query};
use groups::Group;

use super::kit::PageError;
use super::kit::administrator::Administrator;
use super::kit::form::Form;
use super::kit::page::{Crumb, Frame, go, page};
use super::kit::{format, paths};
use crate::db::{Db, DbConnection};
use crate::domain::{TokenDigest, without_tokens};
use crate::error::Result as TollgateResult;
use crate::models::AuthToken;

/// The most characters that are searched for.
const MOST_CHARACTERS: usize = 200;
/// The fewest characters that may be a whole auth token, ours or an imported one.
const TOKEN_CHARACTERS: usize = 20;

/// The query string of a search.
#[derive(Deserialize)]
pub(super) struct Words {
    #[serde(default)]
    q: String,
}

#[derive(Template)]
#[template(path = "admin/search.html")]
struct SearchPage {
    frame: Frame,
    words: String,
    groups: Vec<Group>,
}

/// The results that the script shows while somebody types.
#[derive(Template)]
#[template(path = "admin/search_results.html")]
struct Results {
    words: String,
    groups: Vec<Group>,
    /// The number of results, for screen readers.
    status: String,
    /// The link to the page with all results.
    all: String,
}

fn cleaned(typed: &str) -> String {
    typed.trim().chars().filter(|c| *c != '\0').take(MOST_CHARACTERS).collect()
}

async fn results(administrator: &Administrator, words: &str, db: &Db) -> TollgateResult<Vec<Group>> {
    if words.is_empty() {
        return Ok(Vec::new());
    }
    let search = Search::new(administrator, words);
    db.read_in_turn(administrator.user.id, move |conn| search.groups(conn)).await
}

/// Shows the results (`GET /admin/search/?q=…`).
pub(super) async fn show(
    administrator: Administrator,
    words: Query<Words>,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let words = cleaned(&words.q);
    let groups = results(&administrator, &words, &db).await?;
    let mut frame = Frame::new(&administrator, &[Crumb::new("Search", paths::SEARCH)]);
    frame.search = words.clone();
    page(&SearchPage { frame, words, groups }).map_err(PageError::from)
}

/// Takes what was typed into the box (`POST /admin/search/`). A whole auth token leads to its page,
/// and other words to their results. The script gets the results themselves.
pub(super) async fn send(
    administrator: Administrator,
    form: Form,
    db: Data<Db>,
) -> Result<HttpResponse, PageError> {
    let typed = form.text("q");
    let token = whole_token(typed, &db).await?;
    let words = cleaned(&without_tokens(typed).unwrap_or_else(|| typed.to_owned()));
    if !form.has("results") {
        return Ok(go(&token.map_or_else(|| address(&words), paths::auth_token)));
    }
    let groups = match token {
        Some(id) => {
            let search = Search::new(&administrator, &words);
            db.read(move |conn| search.token(conn, id)).await?.into_iter().collect()
        }
        None => results(&administrator, &words, &db).await?,
    };
    let number = groups.iter().map(|group| group.hits.len() as i64).sum();
    let status = format::counted(number, "result", "results");
    page(&Results { all: address(&words), words, groups, status }).map_err(PageError::from)
}

/// Returns the id of the auth token that was typed as a whole. `None` if there is none.
async fn whole_token(typed: &str, db: &Db) -> TollgateResult<Option<i64>> {
    let digest = Some(typed).filter(|typed| typed.len() >= TOKEN_CHARACTERS).and_then(TokenDigest::of);
    let Some(digest) = digest else { return Ok(None) };
    let find = move |conn: &mut DbConnection| Ok(AuthToken::find_by_digest(conn, digest.as_bytes())?);
    Ok(db.read_few(find).await?.map(|token| token.id))
}

/// Returns the address of the results of words without auth tokens.
fn address(words: &str) -> String {
    format!("{}?{}", paths::SEARCH, query(words))
}
