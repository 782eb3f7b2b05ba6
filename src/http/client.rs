//! The client of a request, and the id of the request.

use std::future::{Ready, ready};
use std::net::IpAddr;

use actix_web::dev::Payload;
use actix_web::{FromRequest, HttpRequest};

use crate::client_address::client_of;
use crate::domain::RequestId;
use crate::error::{Error, Result};
use crate::logging::RequestNotes;

/// The client's address, for throttles and the log.
#[derive(Clone, Copy, Debug)]
pub struct ClientAddress(pub IpAddr);

impl FromRequest for ClientAddress {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(ClientAddress(client_of(request))))
    }
}

impl FromRequest for RequestNotes {
    type Error = Error;
    type Future = Ready<Result<Self>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(RequestNotes::of(request)))
    }
}

/// Returns the request's id, which the response has in `X-Request-Id`.
pub fn request_id_of(request: &HttpRequest) -> RequestId {
    RequestNotes::of(request).id()
}
