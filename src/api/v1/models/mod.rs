//! `GET /v1/models` and `GET /v1/models/{id}`: the models that can be used, as OpenAI's or
//! Anthropic's protocol describes them.

mod pages;

use actix_web::{HttpRequest, HttpResponse, web};
use serde_json::{Value, json};

use self::pages::ModelsPage;
use crate::auth::CurrentUser;
use crate::chat::{OfferedName, Toll};
use crate::error::{Error, Result};
use crate::http::speaks_anthropic;

/// `GET /v1/models`: lists the models on offer. Anthropic's clients offer their users nothing but
/// this list, so that it has the aliases, too.
pub(in crate::api) async fn list(
    toll: web::Data<Toll>,
    _: CurrentUser,
    http: HttpRequest,
) -> Result<HttpResponse> {
    if !speaks_anthropic(&http) {
        let models: Vec<Value> = toll.models().await?.iter().map(|name| view(name)).collect();
        return Ok(HttpResponse::Ok().json(json!({ "object": "list", "data": models })));
    }
    let wanted = ModelsPage::parse(http.query_string()).map_err(Error::Invalid)?;
    let names = toll.offered_names().await?;
    let (names, has_more) = wanted.of(&names).map_err(Error::Invalid)?;
    let (first, last) = (names.first(), names.last());
    Ok(HttpResponse::Ok().json(json!({
        "data": names.iter().map(anthropic_view).collect::<Vec<_>>(),
        "has_more": has_more, "first_id": first.map(|name| &name.name), "last_id": last.map(|name| &name.name),
    })))
}

/// `GET /v1/models/{id}`: describes a model on offer. An alias is as good as its name.
pub(in crate::api) async fn show(
    toll: web::Data<Toll>,
    _: CurrentUser,
    path: web::Path<String>,
    http: HttpRequest,
) -> Result<HttpResponse> {
    let name = toll.model_named(&path).await?;
    if speaks_anthropic(&http) {
        let model = name.clone();
        return Ok(HttpResponse::Ok().json(anthropic_view(&OfferedName { name, model })));
    }
    Ok(HttpResponse::Ok().json(view(&name)))
}

/// Describes a model. `created` is always 0, because this server does not know it.
fn view(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "tollgate" })
}

/// Describes a model as Anthropic's protocol does, which has the beginning of 1970 for a time that
/// is not known. An alias is shown by the name of its model.
fn anthropic_view(name: &OfferedName) -> Value {
    let OfferedName { name, model } = name;
    json!({ "type": "model", "id": name, "display_name": model, "created_at": "1970-01-01T00:00:00Z" })
}
