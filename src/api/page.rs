//! Keyset pages: `?limit=&before=`, newest first.

use actix_web::{HttpRequest, HttpResponse};
use serde::{Deserialize, Serialize};
use serde_json::json;

use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::Keyset;

/// Rows of a page where the request does not say.
const DEFAULT_LIMIT: i64 = 50;
/// Rows of a page at most.
const MOST: i64 = 200;

/// The query of a list, as text: a wrong number is told in the contract's shape.
#[derive(Debug, Default, Deserialize)]
pub(super) struct PageQuery {
    limit: Option<String>,
    before: Option<String>,
}

impl PageQuery {
    /// Parses the query of a request; unknown parameters are ignored.
    pub(super) fn parse(query: &str) -> Result<Keyset, Invalid> {
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

/// Answers a list: a page of what `fetch` finds, each row as `View` shows it, under `name`, and the link to the next page.
pub(super) async fn list<Row, View>(
    request: &HttpRequest,
    (name, path): (&str, &str),
    id: impl Fn(&Row) -> i64,
    fetch: impl AsyncFnOnce(Keyset) -> Result<Vec<Row>>,
) -> Result<HttpResponse>
where
    View: From<Row> + Serialize,
{
    let page = PageQuery::parse(request.query_string()).map_err(Error::Invalid)?;
    let rows = fetch(page).await?;
    let ids: Vec<i64> = rows.iter().map(id).collect();
    let views: Vec<View> = rows.into_iter().map(View::from).collect();
    Ok(HttpResponse::Ok().json(json!({ name: views, "next": next_link(path, page, &ids) })))
}

/// The link to the next page, where there may be one: the page was full.
pub(super) fn next_link(path: &str, page: Keyset, ids: &[i64]) -> Option<String> {
    let full = i64::try_from(ids.len()).is_ok_and(|count| count >= page.limit);
    let last = ids.last().filter(|_| full)?;
    Some(format!("{path}?limit={}&before={last}", page.limit))
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

    #[test]
    fn a_page_that_is_not_full_is_the_last() {
        let page = Keyset { limit: 2, before: None };
        assert_eq!(next_link("/chats/", page, &[9, 4]).as_deref(), Some("/chats/?limit=2&before=4"));
        assert_eq!(next_link("/chats/", page, &[9]), None);
    }
}
