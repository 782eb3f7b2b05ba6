//! `GET` and `DELETE /v1/responses/{id}`, and `GET /v1/responses/{id}/input_items`.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};

use super::shape::{chat_of_response, response_id};
use super::stored::StoredRequest;
use super::write::Response;
use crate::api::page;
use crate::auth::{Auth, CurrentUser};
use crate::chat::Receipt;
use crate::domain::Invalid;
use crate::error::{Error, Result};
use crate::models::StoredResponse;

/// Returns a stored response, as it was returned when it was created.
pub(in crate::api) async fn show(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
    http: HttpRequest,
) -> Result<HttpResponse> {
    let wants_stream = http.query_string().split('&').any(|pair| pair == "stream=true");
    if wants_stream {
        return Err(Error::Invalid(Invalid::new(
            "stream",
            "leave it out: stored responses are returned whole",
        )));
    }
    let write = |stored: StoredResponse, chat| {
        let request = StoredRequest::parse(&stored.request)?;
        page::one(&Response::ended(&Receipt::stored(chat)?, &request.shape))
    };
    page::answer(&auth, &current, current.response(&auth.db, chat_id(&path)?, write).await?)
}

/// Items of a list if the request does not say, and the most.
const LIMITS: (usize, usize) = (20, 100);

/// The query of a list of items. The values are texts, so that a wrong number gets an error of the
/// dialect.
#[derive(Deserialize)]
struct ItemsQuery {
    limit: Option<String>,
    after: Option<String>,
    order: Option<String>,
}

/// Which items of a list are wanted.
#[derive(Debug)]
struct ItemsPage {
    limit: usize,
    after: Option<String>,
    is_ascending: bool,
}

impl ItemsPage {
    fn parse(query: &str) -> Result<ItemsPage, Invalid> {
        let unreadable = |_| Invalid::new("query", "give each parameter once");
        let query = web::Query::<ItemsQuery>::from_query(query).map_err(unreadable)?.into_inner();
        let limit = match query.limit.as_deref().map(str::parse) {
            None => LIMITS.0,
            Some(Ok(limit)) if (1..=LIMITS.1).contains(&limit) => limit,
            Some(_) => return Err(Invalid::new("limit", "give a whole number from 1 to 100")),
        };
        let is_ascending = match query.order.as_deref() {
            Some("asc") => true,
            None | Some("desc") => false,
            Some(_) => return Err(Invalid::new("order", "give \"asc\" or \"desc\"")),
        };
        Ok(ItemsPage { limit, after: query.after, is_ascending })
    }

    /// Returns the page of all items, which are in ascending order, and whether more follow.
    fn of(&self, mut items: Vec<Value>) -> Result<(Vec<Value>, bool)> {
        if !self.is_ascending {
            items.reverse();
        }
        if let Some(after) = &self.after {
            let at = items.iter().position(|item| item["id"] == after.as_str());
            let at = at
                .ok_or_else(|| Error::Invalid(Invalid::new("after", "give the id of an item of the list")))?;
            items.drain(..=at);
        }
        let has_more = items.len() > self.limit;
        items.truncate(self.limit);
        Ok((items, has_more))
    }
}

/// Returns a page of the items of a stored response's input, the last first, unless `order=asc` is
/// given.
pub(in crate::api) async fn input_items(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
    http: HttpRequest,
) -> Result<HttpResponse> {
    let wanted = ItemsPage::parse(http.query_string()).map_err(Error::Invalid)?;
    let write = move |stored: StoredResponse, _| {
        let mut items = StoredRequest::parse(&stored.request)?.input;
        for (at, item) in items.iter_mut().enumerate() {
            complete(item, stored.chat_id, at);
        }
        let (items, has_more) = wanted.of(items)?;
        let id = |item: Option<&Value>| item.map_or(Value::Null, |item| item["id"].clone());
        let (first_id, last_id) = (id(items.first()), id(items.last()));
        let list = json!({ "object": "list", "data": items, "first_id": first_id, "last_id": last_id, "has_more": has_more });
        page::one(&list)
    };
    page::answer(&auth, &current, current.response(&auth.db, chat_id(&path)?, write).await?)
}

/// Adds the fields that an item of a list has: its id, its status, and its content as a list.
fn complete(item: &mut Value, chat_id: i64, at: usize) {
    if item["id"].is_null() {
        item["id"] = format!("in_{chat_id}_{at}").into();
    }
    if item["type"] != "reasoning" && item["status"].is_null() {
        item["status"] = "completed".into();
    }
    if item["type"] == "message"
        && let Some(text) = item["content"].as_str().map(str::to_owned)
    {
        let kind = if item["role"] == "assistant" { "output_text" } else { "input_text" };
        item["content"] = json!([{ "type": kind, "text": text }]);
    }
}

/// Deletes a stored response. The chat stays among the user's chats.
pub(in crate::api) async fn delete(
    auth: web::Data<Auth>,
    current: CurrentUser,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    let chat_id = chat_id(&path)?;
    current.delete_response(&auth.db, chat_id).await?;
    let deleted = json!({ "id": response_id(chat_id), "object": "response", "deleted": true });
    Ok(HttpResponse::Ok().json(deleted))
}

fn chat_id(path: &web::Path<String>) -> Result<i64> {
    chat_of_response(path).ok_or(Error::NotFound)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(query: &str) -> (Vec<u64>, bool) {
        let items = (0..25).map(|number| json!({ "id": format!("in_1_{number}"), "number": number }));
        let (items, has_more) = ItemsPage::parse(query).unwrap().of(items.collect()).unwrap();
        (items.iter().map(|item| item["number"].as_u64().unwrap()).collect(), has_more)
    }

    #[test]
    fn a_list_has_pages() {
        assert_eq!(page(""), ((5..25).rev().collect(), true));
        assert_eq!(page("after=in_1_5&order=desc"), ((0..5).rev().collect(), false));
        assert_eq!(page("order=asc&limit=2&after=in_1_3"), (vec![4, 5], true));
        assert_eq!(page("limit=25&order=asc"), ((0..25).collect(), false));
        assert_eq!(page("after=in_1_0"), (vec![], false));
        for (query, field) in
            [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("order=up", "order")]
        {
            assert_eq!(ItemsPage::parse(query).unwrap_err().field, field);
        }
        assert!(ItemsPage::parse("after=x").unwrap().of(Vec::new()).is_err());
    }
}
