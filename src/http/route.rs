//! Routes as data. A table is a constant, so that tests can read it, too.

use actix_web::http::Method;
use actix_web::web;
use actix_web::{HttpRequest, Resource, Route, guard};

use super::known_path::KnownPath;
use super::operation::Operation;
use crate::auth::Guest;
use crate::error::{Error, UnknownUrl};

/// A table of routes: each path, without a slash at its end, and its methods. Fixed paths are tried
/// first, then those with parameters, each in this order.
pub type Routes = &'static [(&'static str, &'static [MethodRoute])];

/// One method of a path, and its handler.
#[derive(Debug)]
pub struct MethodRoute {
    /// The method's name, as `Allow` lists it.
    pub name: &'static str,
    route: fn() -> Route,
    /// Adds the handler. Each handler has a type of its own, which a table cannot name, so it is
    /// inside a function.
    serve: fn(Route) -> Route,
    /// Describes it, if it is a part of the API.
    describe: Option<fn() -> Operation>,
}

impl MethodRoute {
    /// Adds the description of a route of the API.
    pub const fn described(self, describe: fn() -> Operation) -> MethodRoute {
        MethodRoute { name: self.name, route: self.route, serve: self.serve, describe: Some(describe) }
    }

    /// Returns its description. `None` if it is not a part of the API.
    pub fn operation(&self) -> Option<Operation> {
        self.describe.map(|describe| describe())
    }

    /// Returns the method's name alone. `Allow` also lists HEAD for GET.
    pub fn method(&self) -> &'static str {
        self.name.split(',').next().unwrap_or(self.name)
    }
}

/// Makes a route for GET and HEAD, for example `get(|r| r.to(show))`.
pub const fn get(serve: fn(Route) -> Route) -> MethodRoute {
    let route = || web::route().guard(guard::Any(guard::Get()).or(guard::Head()));
    MethodRoute { name: "GET, HEAD", route, serve, describe: None }
}

/// Makes a route for POST.
pub const fn post(serve: fn(Route) -> Route) -> MethodRoute {
    MethodRoute { name: "POST", route: || web::method(Method::POST), serve, describe: None }
}

/// Makes a route for PATCH.
pub const fn patch(serve: fn(Route) -> Route) -> MethodRoute {
    MethodRoute { name: "PATCH", route: || web::method(Method::PATCH), serve, describe: None }
}

/// Makes a route for DELETE.
pub const fn delete(serve: fn(Route) -> Route) -> MethodRoute {
    MethodRoute { name: "DELETE", route: || web::method(Method::DELETE), serve, describe: None }
}

/// The path of a request's row in the table of routes, without a slash at its end. The resource has
/// it as data, because actix would have to match all paths again to tell which one it was.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RoutePath(pub &'static str);

/// How the paths of a part of the table are matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum PathKind {
    /// Paths without parameters, which are compared. They come before all others.
    Fixed,
    /// Paths with parameters, which are matched by regular expressions.
    WithParameters,
}

impl PathKind {
    /// Returns the kind of a path.
    pub fn of(path: &str) -> PathKind {
        if path.contains('{') { PathKind::WithParameters } else { PathKind::Fixed }
    }
}

/// Serves one path of a table, with and without a slash at its end. Any other method gets a 405
/// with `Allow`. `E` is the type of errors in this part of the site.
///
/// A fixed path gets two resources, because actix matches a resource with two spellings by regular
/// expressions.
pub fn resources<'a, E>(
    path: &'static str,
    methods: impl Iterator<Item = &'a MethodRoute> + Clone,
) -> Vec<Resource>
where
    E: From<Error> + Into<actix_web::Error> + 'static,
{
    let spellings = vec![format!("{path}/"), path.to_owned()];
    let resource = |spellings| resource::<E>(spellings, methods.clone()).app_data(RoutePath(path));
    match PathKind::of(path) {
        PathKind::Fixed => spellings.into_iter().map(|path| resource(vec![path])).collect(),
        PathKind::WithParameters => vec![resource(spellings)],
    }
}

fn resource<'a, E>(spellings: Vec<String>, methods: impl Iterator<Item = &'a MethodRoute> + Clone) -> Resource
where
    E: From<Error> + Into<actix_web::Error> + 'static,
{
    let allow = methods.clone().map(|method| method.name).collect::<Vec<_>>().join(", ");
    let refuse = move |guest: Result<Guest, Error>| {
        let allow = allow.clone();
        async move { refuse::<E>(guest, Error::MethodNotAllowed(allow)) }
    };
    let resource = web::resource(spellings);
    let serve = |resource: Resource, method: &MethodRoute| resource.route((method.serve)((method.route)()));
    methods.fold(resource, serve).default_service(web::to(refuse))
}

/// Responds to a path that is in no table.
pub async fn not_found<E: From<Error>>(
    request: HttpRequest,
    guest: Result<Guest, Error>,
) -> Result<&'static str, E> {
    let (method, path) = (request.method().as_str(), request.path());
    refuse(guest, Error::UnknownUrl(UnknownUrl::new(method, path, speaks_openai(path))))
}

/// Returns whether a path is one of the OpenAI protocol, or probably meant as one.
pub fn speaks_openai(path: &str) -> bool {
    path == "/v1" || path.starts_with("/v1/") || KnownPath::of(path).is_some_and(|known| known.is_openai)
}

/// Returns whether a request is one of Anthropic's protocol: by its path, or by the header that
/// clients of Anthropic's send.
pub fn speaks_anthropic(request: &HttpRequest) -> bool {
    let path = request.path().trim_end_matches('/');
    let is_of_messages = path.ends_with("/messages") || path.contains("/messages/");
    speaks_openai(path) && (is_of_messages || request.headers().contains_key("anthropic-version"))
}

/// Returns the error, or the rate limit of the client's address if that is reached.
fn refuse<E: From<Error>>(guest: Result<Guest, Error>, error: Error) -> Result<&'static str, E> {
    Err(guest.err().unwrap_or(error).into())
}
