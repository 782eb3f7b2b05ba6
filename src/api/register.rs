//! `POST /register/`.

use std::time::Duration;

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;

use super::form::{FormBody, MEDIA_TYPES, Sent};
use super::text::short;
use crate::auth::Auth;
use crate::domain::{Invalid, NewPassword, Username};
use crate::error::{Error, Result};
use crate::http::operation::{Body, Example, Operation, Success, Tag};
use crate::http::{ClientAddress, Schema};
use crate::logging::RequestNotes;
use crate::throttle::RetryAfter;

/// The fields are of any type, so that an error about a value of a wrong type can name its field.
#[derive(Default, Deserialize, ToSchema)]
#[schema(as = Registration)]
struct RegisterBody {
    /// 1 to 50 letters, digits and `@.+-_`, without `-` at the beginning. It must differ from the
    /// names of others, and not look like one.
    #[schema(value_type = String, required, min_length = 1)]
    username: Option<Value>,
    /// At least 8 characters, and at most 1024 bytes. It may not be common, or the name.
    #[schema(value_type = String, required, min_length = 8)]
    password: Option<Value>,
}

/// What was done.
#[derive(Serialize, ToSchema)]
#[schema(as = Done)]
pub(super) struct DoneView {
    /// A sentence that never changes.
    pub message: &'static str,
}

impl DoneView {
    /// Describes the response with this sentence.
    pub(super) fn success(status: u16, message: &'static str) -> Success {
        Success::json(status, message, Schema::of::<DoneView>(), json!({ "message": message }))
    }
}

/// What the response says.
const CREATED: &str = "User created successfully";

/// Describes `POST /register/`.
pub(super) fn describe_create() -> Operation {
    let example = json!({ "username": "ada", "password": "a plain pass phrase 7" });
    let body = Body::json(Schema::of::<RegisterBody>(), [Example::new("ada", "A new user.", example)]);
    let faults = Username::parse("a b").err().into_iter().chain(NewPassword::parse_for("short", "ada").err());
    let invalid = Error::InvalidRegistration(faults.collect());
    let unreadable =
        Error::InvalidRegistration(Vec::new()).of_unreadable_body(Invalid::new("body", "it is empty"));
    Operation::of(create)
        .titled(Tag::Accounts, "Register")
        .about("The new user has the opening balance of the server. Log in to get an auth token.")
        .takes(body.also_as(&MEDIA_TYPES))
        .returns(DoneView::success(201, CREATED))
        .fails([invalid, unreadable, Error::UsernameTaken, Error::RegistrationClosed])
        .fails(errors_of_passwords())
}

/// Returns the errors of requests for which a password is hashed.
pub(super) fn errors_of_passwords() -> [Error; 3] {
    let retry = RetryAfter::new(Duration::from_secs(6), "log-ins from one address");
    [Error::TooManyRequests(retry), Error::PasswordQueueFull(2), Error::Unavailable(String::new())]
}

/// `POST /register/`: makes a user.
pub(super) async fn create(
    auth: web::Data<Auth>,
    from: ClientAddress,
    notes: RequestNotes,
    body: FormBody,
) -> Result<HttpResponse> {
    let Sent { fields: RegisterBody { username, password }, fault, .. } = body.parse()?;
    let (username, password) = (short(username), short(password));
    let registered = auth.register(from.0, notes, username.as_deref(), password.as_deref()).await;
    registered.map_err(|error| match (error, fault) {
        (error @ Error::InvalidRegistration(_), Some(fault)) => error.of_unreadable_body(fault),
        (error, _) => error,
    })?;
    Ok(HttpResponse::Created().json(DoneView { message: CREATED }))
}
