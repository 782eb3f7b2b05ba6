//! Pages of lists by key: `?limit=&before=`, newest first.

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use utoipa::ToSchema;
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::auth::{Auth, CurrentUser};
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::http::Schema;
use crate::http::operation::{Operation, Parameter, Success};
use crate::models::{Keyset, PAGE_BYTES, Rows};

/// Rows of a page if the request does not say.
const DEFAULT_LIMIT: i64 = 50;
/// The most rows that a page may have.
const MOST: i64 = 200;

/// The query of a list. The values are texts, so that a wrong number gets the error that the
/// contract prescribes.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    limit: Option<String>,
    before: Option<String>,
}

/// Returns the schema of a text that is one of these words.
pub(super) fn words(meaning: &str, words: &[&str]) -> Object {
    let words = words.iter().copied().map(str::to_owned);
    ObjectBuilder::new().schema_type(Type::String).description(Some(meaning)).enum_values(Some(words)).build()
}

/// Describes a page of a list: its parameters, their errors, and the page, whose rows have the name
/// `name` and the form of `View`. `head`: the schema of the object that has the rows, if they are
/// fields among others.
pub(super) fn described<View: ToSchema>(
    operation: Operation,
    name: &'static str,
    head: Option<Schema>,
    example: Value,
) -> Operation {
    let parameters = [
        Parameter::query(
            "limit",
            "The number of rows. A page ends at about 1 MiB, so it may have fewer.",
            json!({ "type": "integer", "minimum": 1, "maximum": MOST, "default": DEFAULT_LIMIT }),
        ),
        Parameter::query(
            "before",
            "An id: the page has the rows before it, newest first.",
            json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX }),
        ),
    ];
    let wrong = ["limit=0", "before=0", "limit=1&limit=2"];
    let errors = wrong.into_iter().filter_map(|query| PageQuery::parse(query).err()).map(Error::Invalid);
    let rows = Schema::of::<View>();
    let page = json!({
        "type": "object",
        "required": [name, "next"],
        "properties": {
            name: { "type": "array", "items": rows.json, "maxItems": MOST },
            "next": {
                "type": ["string", "null"],
                "description": "The path of the next page. `null` on the last one.",
            },
        },
    });
    let schema = match head {
        None => Schema::plain(page),
        Some(head) => Schema::plain(json!({ "allOf": [head.json, page] })).using(head),
    };
    let page = Success::json(200, "A page of the list.", schema.using(rows), example);
    operation.with(parameters).fails(errors).returns(page)
}

impl PageQuery {
    /// Returns the page that a request asks for.
    pub(super) fn of(request: &HttpRequest) -> Result<Keyset> {
        PageQuery::parse(request.query_string()).map_err(Error::Invalid)
    }

    /// Parses the query of a request; unknown parameters are ignored.
    fn parse(query: &str) -> Result<Keyset, Invalid> {
        let unreadable = |_| Invalid::new("query", "give each parameter once");
        let query = actix_web::web::Query::<PageQuery>::from_query(query).map_err(unreadable)?.into_inner();
        let limit = match query.limit.as_deref().map(str::parse) {
            None => DEFAULT_LIMIT,
            Some(Ok(limit @ 1..=MOST)) => limit,
            Some(_) => return Err(Invalid::new("limit", "give a whole number from 1 to 200")),
        };
        let before = match query.before.as_deref().map(str::parse) {
            None => None,
            Some(Ok(before @ 1..)) => Some(before),
            Some(_) => return Err(Invalid::new("before", "give the id that the last page ended with")),
        };
        Ok(Keyset { limit, before })
    }
}

/// A page of a list in JSON: at most about [`PAGE_BYTES`], whatever `limit` says, and at least one
/// row.
#[derive(Clone, Debug)]
pub(super) struct List {
    /// The JSON before the rows; see [`head`].
    pub head: Vec<u8>,
    /// The name of the field with the rows.
    pub name: &'static str,
    /// The path of the next page.
    pub path: String,
    /// The page that was asked for.
    pub page: Keyset,
}

impl List {
    /// Writes the rows, each in the form of `View`, and the link to the next page if there may be
    /// one. It runs on the thread that reads the rows, so that no other request waits for it.
    ///
    /// # Errors
    /// [`Error::Internal`], by a defect.
    pub(super) fn write<Row, View>(&self, rows: Rows<Row>, id: impl Fn(&Row) -> i64) -> Result<Vec<u8>>
    where
        View: From<Row> + Serialize,
    {
        let (mut body, mut last, mut has_more) = (self.head.clone(), None, rows.has_more);
        if body.is_empty() {
            body.push(b'{');
        }
        let begun = body.len();
        body.extend_from_slice(format!("\"{}\":[", self.name).as_bytes());
        for row in rows.rows {
            let row_id = id(&row);
            let json = one(&View::from(row))?;
            if last.is_some() && body.len() - begun + json.len() > PAGE_BYTES {
                has_more = true;
                break;
            }
            if last.is_some() {
                body.push(b',');
            }
            body.extend_from_slice(&json);
            last = Some(row_id);
        }
        let next = last.filter(|_| has_more).map(|last| next_link(&self.path, self.page, last));
        body.extend_from_slice(b"],\"next\":");
        body.extend_from_slice(&one(&next)?);
        body.push(b'}');
        Ok(body)
    }
}

/// Writes the fields of an object as JSON. The rows follow.
pub(super) fn head(object: &impl Serialize) -> Result<Vec<u8>> {
    let mut fields = one(object)?;
    if fields.pop() == Some(b'}') && fields.len() > 1 {
        fields.push(b',');
    }
    Ok(fields)
}

/// Writes one object as JSON.
pub(super) fn one(object: &impl Serialize) -> Result<Vec<u8>> {
    serde_json::to_vec(object)
        .map_err(|error| Error::Internal(format!("an answer cannot be written: {error}")))
}

/// Builds the response from the written JSON, and counts its bytes as reads.
pub(super) fn answer(auth: &Auth, current: &CurrentUser, body: Vec<u8>) -> Result<HttpResponse> {
    auth.count_bytes(current, body.len());
    Ok(HttpResponse::Ok().content_type("application/json").body(body))
}

fn next_link(path: &str, page: Keyset, last: i64) -> String {
    format!("{path}?limit={}&before={last}", page.limit)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_a_default_and_a_bound() {
        assert_eq!(PageQuery::parse(""), Ok(Keyset { limit: 50, before: None }));
        assert_eq!(PageQuery::parse("before=7&limit=200&x=y"), Ok(Keyset { limit: 200, before: Some(7) }));
        for bad in ["limit=0", "limit=201", "limit=ten", "limit=", "before=-1", "before=x", "limit=1&limit=2"]
        {
            assert!(PageQuery::parse(bad).is_err(), "{bad}");
        }
    }

    fn written(texts: &[String], has_more: bool) -> Value {
        let rows: Vec<(i64, String)> =
            (1..).zip(texts.iter().cloned()).map(|(id, text)| (100 - id, text)).collect();
        let page = Keyset { limit: 2, before: None };
        let list = List { head: Vec::new(), name: "chats", path: "/chats/".to_owned(), page };
        let body = list.write::<_, (i64, String)>(Rows { rows, has_more }, |row| row.0).unwrap();
        assert!(body.len() < PAGE_BYTES * 2);
        serde_json::from_slice(&body).unwrap()
    }

    #[test]
    fn a_page_that_is_not_full_is_the_last() {
        let texts = ["a".to_owned(), "b".to_owned()];
        assert_eq!(written(&texts, true)["next"], "/chats/?limit=2&before=98");
        assert_eq!(written(&texts, false), json!({ "chats": [[99, "a"], [98, "b"]], "next": null }));
        assert_eq!(written(&[], false), json!({ "chats": [], "next": null }));
    }

    #[test]
    fn a_page_ends_before_its_json_is_too_long_but_has_a_row() {
        // Each character takes six bytes of JSON.
        let texts = vec!["\u{1}".repeat(100_000); 5];
        let page = written(&texts, false);
        assert_eq!(page["chats"].as_array().unwrap().len(), 1);
        assert_eq!(page["next"], "/chats/?limit=2&before=99");
        let huge = written(&["x".repeat(PAGE_BYTES + 7)], false);
        assert_eq!((huge["chats"].as_array().unwrap().len(), &huge["next"]), (1, &Value::Null));
    }

    #[test]
    fn rows_may_follow_the_fields_of_an_object() {
        assert_eq!(head(&json!({ "id": 7 })).unwrap(), b"{\"id\":7,");
        assert_eq!(head(&json!({})).unwrap(), b"{");
    }
}
