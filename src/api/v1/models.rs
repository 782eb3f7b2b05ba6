//! `GET /v1/models` and `GET /v1/models/{id}`: the models that can be used.

use actix_web::{HttpResponse, web};
use serde_json::{Value, json};

use crate::auth::CurrentUser;
use crate::chat::Toll;
use crate::error::{Error, Result};

/// `GET /v1/models`: lists the models on offer.
pub(in crate::api) async fn list(toll: web::Data<Toll>, _: CurrentUser) -> Result<HttpResponse> {
    let models: Vec<Value> = toll.models().await?.iter().map(|name| view(name)).collect();
    Ok(HttpResponse::Ok().json(json!({ "object": "list", "data": models })))
}

/// `GET /v1/models/{id}`: describes a model on offer.
pub(in crate::api) async fn show(
    toll: web::Data<Toll>,
    _: CurrentUser,
    path: web::Path<String>,
) -> Result<HttpResponse> {
    let name = path.into_inner();
    if toll.models().await?.contains(&name) {
        return Ok(HttpResponse::Ok().json(view(&name)));
    }
    Err(Error::ModelNotFound(name))
}

/// Describes a model. `created` is always 0, because this server does not know it.
fn view(name: &str) -> Value {
    json!({ "id": name, "object": "model", "created": 0, "owned_by": "tollgate" })
}
