//! `POST /logout/`.

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::json;
use utoipa::ToSchema;

use super::body::JsonBody;
use super::register::DoneView;
use crate::auth::{Auth, CurrentUser};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::operation::{Body, Example, Operation, Tag};
use crate::http::{ClientAddress, Schema};

#[derive(Deserialize, ToSchema)]
#[schema(as = LogOut)]
struct LogOutBody {
    /// Whether all of your auth tokens end, and not only that of this request.
    #[serde(default)]
    everywhere: bool,
}

/// What the response says.
const LOGGED_OUT: &str = "Logged out";

fn invalid() -> Error {
    Error::Invalid(Invalid::new("everywhere", "give true or false"))
}

/// Describes `POST /logout/`.
pub(super) fn describe_create() -> Operation {
    let example =
        Example::new("here", "Ends the auth token of this request.", json!({ "everywhere": false }));
    let body = Body::json(Schema::of::<LogOutBody>(), [example]).or_none();
    Operation::of(create)
        .titled(Tag::Accounts, "Log out")
        .about("Ends the auth token of this request, or all of yours.")
        .takes(body)
        .returns(DoneView::success(200, LOGGED_OUT))
        .fails([invalid()])
}

/// Logs out. An empty body means: only the auth token of this request.
pub(super) async fn create(
    auth: web::Data<Auth>,
    current: CurrentUser,
    from: ClientAddress,
    body: JsonBody,
) -> Result<HttpResponse> {
    let everywhere = match body.optional::<LogOutBody>()? {
        None => false,
        Some(Ok(request)) => request.everywhere,
        Some(Err(_)) => return Err(invalid()),
    };
    auth.log_out(&current, from.0, everywhere).await?;
    Ok(HttpResponse::Ok().json(DoneView { message: LOGGED_OUT }))
}
