//! The admin panel at `/admin/`: one file a page group, and here the table of routes.
//!
//! A handler takes [`administrator::Administrator`] to show something and [`administrator::Superuser`] to change it,
//! and reads a body only as a [`form::Form`], which checks that it comes from a page of ours.

mod administrator;
mod error;
mod form;
mod format;
mod list;
mod page;
mod sign_in;
mod zone;

pub use error::PageError;
pub use form::PublicOrigin;

use actix_web::http::Method;
use actix_web::web::{self, ServiceConfig};
use actix_web::{FromRequest, Handler, Responder, Route, guard};

use crate::error::{Error, Result};

/// The table of routes, below `/admin`.
pub fn routes(config: &mut ServiceConfig) {
    resource(config, "/admin/sign-in", vec![get(sign_in::show), post(sign_in::sign_in)]);
    resource(config, "/admin/sign-out", vec![post(sign_in::sign_out)]);
    resource(config, "/admin/first-run/{key}", vec![get(sign_in::show_first_run), post(sign_in::first_run)]);
    // The rest of the panel is nowhere else.
    config.service(web::resource("/admin/{rest:.*}").default_service(web::to(not_found)));
}

struct MethodRoute(&'static str, Route);

fn get<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    let get_or_head = guard::Any(guard::Get()).or(guard::Head());
    MethodRoute("GET, HEAD", web::route().guard(get_or_head).to(handler))
}

fn post<F, Args>(handler: F) -> MethodRoute
where
    F: Handler<Args>,
    Args: FromRequest + 'static,
    F::Output: Responder + 'static,
{
    MethodRoute("POST", web::method(Method::POST).to(handler))
}

/// One path, with and without its slash; another method gets 405 with `Allow`.
fn resource(config: &mut ServiceConfig, path: &str, routes: Vec<MethodRoute>) {
    let allow = routes.iter().map(|route| route.0).collect::<Vec<_>>().join(", ");
    let refuse = move || {
        let allow = allow.clone();
        async move { Err::<&'static str, PageError>(Error::MethodNotAllowed(allow).into()) }
    };
    let mut resource = web::resource([format!("{path}/"), path.to_owned()]);
    for route in routes {
        resource = resource.route(route.1);
    }
    config.service(resource.default_service(web::to(refuse)));
}

async fn not_found() -> Result<&'static str, PageError> {
    Err(Error::NotFound.into())
}

/// The id in a path.
fn id(path: &web::Path<String>) -> Result<i64> {
    path.parse().map_err(|_| Error::NotFound)
}
