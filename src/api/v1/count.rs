//! The most tokens that a prompt can have: `POST /v1/messages/count_tokens` and `POST
//! /v1/responses/input_tokens`.

use actix_web::web::{Data, Payload};
use actix_web::{HttpRequest, HttpResponse};
use serde_json::Value;

use super::dialect::Dialect;
use super::limits::with_limits;
use crate::api::large_body::{self, Large, LargeBodies};
use crate::auth::{Auth, Credentials, CurrentUser};
use crate::chat::Toll;
use crate::error::{Error, Result};
use crate::responder::Question;

/// Says that the number is a bound, and not a count.
const IS_BOUND: (&str, &str) = ("X-Token-Count", "upper-bound");

/// A dialect in which the tokens of a prompt can be counted.
pub(in crate::api) trait Countable: Dialect {
    /// Returns the question of a request, which may lack what only an answer needs.
    ///
    /// # Errors
    /// See [`Dialect::parse`].
    fn countable(body: Self::Body) -> Result<Question>;

    /// Writes the number.
    fn counted(tokens: i64) -> Value;
}

/// Returns the number of tokens that a request with this prompt is held for. It costs nothing, and
/// counts as a change for the limits, of which the headers say what is left.
pub(in crate::api) async fn count_tokens<D: Countable>(
    auth: Data<Auth>,
    toll: Data<Toll>,
    places: Data<LargeBodies>,
    credentials: Credentials,
    current: Result<CurrentUser>,
    http: HttpRequest,
    payload: Payload,
) -> HttpResponse {
    let counted = match current {
        Ok(current) => count::<D>(&toll, &places, &current, &http, payload).await,
        Err(error) => Err(error),
    };
    with_limits(counted, auth.changes_left(credentials), D::ENDPOINT)
}

async fn count<D: Countable>(
    toll: &Toll,
    places: &LargeBodies,
    current: &CurrentUser,
    http: &HttpRequest,
    payload: Payload,
) -> Result<HttpResponse> {
    let user_id = Some(current.user.id);
    // The memory of a large body is held until its tokens are counted.
    let Large { json: body, memory: _memory } =
        large_body::json::<D::Body>(http, payload, places, user_id, D::MOST_VALUES).await?;
    let question = D::countable(body.map_err(Error::Invalid)?)?;
    let bound = toll.prompt_bound(question).await?;
    Ok(HttpResponse::Ok().insert_header(IS_BOUND).json(D::counted(bound)))
}
