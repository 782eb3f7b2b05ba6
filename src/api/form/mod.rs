//! The bodies of the old contract's paths: JSON under any content type, or a form, because the old
//! services took both. No request has a cookie, so a page cannot act for its visitor.

mod fields;
mod multipart;
mod parameter;
mod url_encoded;

use std::future::Future;
use std::pin::Pin;

use actix_web::dev::Payload;
use actix_web::http::header;
use actix_web::{FromRequest, HttpRequest};
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use super::body::{
    check_coding, check_length, content_type, errors_of_reading, is_json, looks_like_json, parse, unreadable,
    without_mark,
};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::operation::{Describe, JSON, Operation};
use crate::http::{BodyReader, HeldBody, MOST_BYTES, Site, is_from_foreign_page};
use crate::throttle::MemoryShare;
use fields::Fields;
use parameter::parameter;

/// The content types that are read, as `Accept` lists them.
const ACCEPTED: &str = "application/json, application/x-www-form-urlencoded, multipart/form-data";

/// The same, one by one.
pub(super) const MEDIA_TYPES: [&str; 3] = [JSON, "application/x-www-form-urlencoded", "multipart/form-data"];

/// A kind of form, and what its content type says about it.
#[derive(Debug, PartialEq, Eq)]
enum Form {
    /// `application/x-www-form-urlencoded`.
    UrlEncoded {
        /// The character set. `None` if the type names none.
        charset: Option<String>,
    },
    /// `multipart/form-data`.
    Multipart {
        /// The line between two fields. `None` if the type names none.
        boundary: Option<String>,
    },
}

impl Form {
    /// Returns the kind of form that a content type names, if it names one.
    fn of(content_type: &str) -> Option<Form> {
        let essence = content_type.split(';').next().unwrap_or_default().trim();
        if essence.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Some(Form::UrlEncoded { charset: parameter(content_type, "charset") });
        }
        let is_multipart = essence.eq_ignore_ascii_case("multipart/form-data");
        is_multipart.then(|| Form::Multipart { boundary: parameter(content_type, "boundary") })
    }

    /// Parses a body. Of a field that appears twice the last one counts, as in Django.
    fn parse(&self, bytes: &[u8]) -> Result<Map<String, Value>, Invalid> {
        let mut fields = Fields::default();
        match self {
            Form::UrlEncoded { charset } => url_encoded::parse(bytes, charset.as_deref(), &mut fields)?,
            Form::Multipart { boundary } => {
                let boundary = boundary.as_deref().filter(|boundary| !boundary.is_empty());
                let missing = || unreadable("its Content-Type names no boundary");
                multipart::parse(bytes, boundary.ok_or_else(missing)?, &mut fields)?;
            }
        }
        Ok(fields.into_map())
    }
}

/// The body of a request, or the error of reading it. Extracting it never fails, so that the
/// handler decides whether another error comes first.
pub(super) struct FormBody {
    body: Result<HeldBody>,
    form: Option<Form>,
}

/// What a body says.
pub(super) struct Sent<T> {
    /// The fields. Empty if the body cannot be parsed.
    pub fields: T,
    /// Whether they come from a form, so that all values are texts.
    pub is_form: bool,
    /// Why the body cannot be parsed. `None` if it can.
    pub fault: Option<Invalid>,
}

impl FormBody {
    /// Parses the body. The body itself decides what it is: no program writes a form that begins
    /// with `{`.
    ///
    /// # Errors
    /// The body is too large or too slow, or it is compressed.
    pub(super) fn parse<T: DeserializeOwned + Default>(self) -> Result<Sent<T>> {
        let bytes = self.body?.bytes;
        let unmarked = without_mark(&bytes);
        let form = self.form.filter(|_| !unmarked.is_empty() && !looks_like_json(unmarked));
        let is_form = form.is_some();
        let parsed = match form {
            None => parse(&bytes),
            Some(form) => form.parse(unmarked).and_then(|fields| {
                T::deserialize(Value::Object(fields)).map_err(|_| unreadable("a field has the wrong type"))
            }),
        };
        let (fields, fault) = match parsed {
            Ok(fields) => (fields, None),
            Err(fault) => (T::default(), Some(fault)),
        };
        Ok(Sent { fields, is_form, fault })
    }

    /// Takes the body's share of the memory budget. `None` if the body is too small to count.
    pub(super) fn take_memory(&mut self) -> Option<MemoryShare> {
        self.body.as_mut().ok()?.memory.take()
    }
}

impl FromRequest for FormBody {
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Self>>>>;

    fn from_request(request: &HttpRequest, payload: &mut Payload) -> Self::Future {
        let checked = check_head(request);
        let reader = BodyReader::new(request, MOST_BYTES);
        let mut payload = payload.take();
        Box::pin(async move {
            match checked {
                Ok(form) => Ok(FormBody { body: reader.read(&mut payload).await, form }),
                Err(error) => Ok(FormBody { body: Err(error), form: None }),
            }
        })
    }
}

impl Describe for FormBody {
    fn describe(operation: &mut Operation) {
        operation.errors.extend(errors_of_reading(MOST_BYTES, ACCEPTED));
    }
}

/// Checks what the head says about the body, and returns the kind of form that it names. Pages of
/// other sites may send forms and texts to any server without asking, so from them only JSON is
/// read: otherwise they could register and guess passwords from their visitors' addresses.
fn check_head(request: &HttpRequest) -> Result<Option<Form>> {
    if request.headers().get_all(header::CONTENT_TYPE).count() > 1 {
        return Err(Error::UnsupportedMediaType(ACCEPTED));
    }
    let is_json = content_type(request).is_some_and(is_json);
    if !is_json && is_from_foreign_page(request, &Site::of(request)) {
        return Err(Error::UnsupportedMediaType("application/json"));
    }
    check_coding(request)?;
    check_length(request, MOST_BYTES)?;
    Ok(content_type(request).and_then(Form::of))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_content_type_tells_which_form_it_is() {
        let multipart =
            |boundary: Option<&str>| Some(Form::Multipart { boundary: boundary.map(str::to_owned) });
        let url_encoded =
            |charset: Option<&str>| Some(Form::UrlEncoded { charset: charset.map(str::to_owned) });
        for (content_type, form) in [
            ("Application/X-WWW-Form-Urlencoded", url_encoded(None)),
            ("application/x-www-form-urlencoded;charset=UTF-8", url_encoded(Some("UTF-8"))),
            ("multipart/form-data; boundary=abc", multipart(Some("abc"))),
            ("multipart/form-data", multipart(None)),
            ("multipart/mixed; boundary=abc", None),
            ("application/json", None),
            ("text/plain", None),
            ("", None),
        ] {
            assert_eq!(Form::of(content_type), form, "{content_type}");
        }
    }

    #[test]
    fn a_multipart_form_needs_its_boundary() {
        for content_type in ["multipart/form-data", "multipart/form-data; boundary=\"\""] {
            let form = Form::of(content_type).unwrap();
            assert_eq!(form.parse(b"--\r\n\r\n\r\n----").unwrap_err().field, "body");
        }
    }
}
