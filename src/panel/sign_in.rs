//! Signing in and out, and the page of the first-run link.

use actix_web::http::header;
use actix_web::web::{Data, Path, Query};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::kit::PageError;
use super::kit::administrator::{Administrator, cookie_with, no_cookie, session_cookie, user_agent};
use super::kit::form::Form;
use super::kit::page::{go, page_with};
use super::kit::paths;
use crate::administration::name_taken;
use crate::auth::{Auth, FirstSuperuser, Guest, SignIn};
use crate::client_address::client_of;
use crate::domain::{Invalid, SessionSecret, is_same_password};
use crate::error::Error;
use crate::http::{Site, request_id_of};

/// The query string of the sign-in page: where to go afterwards.
#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Template)]
#[template(path = "admin/sign_in.html")]
struct SignInPage<'a> {
    site: String,
    csrf: String,
    next: &'a str,
    username: &'a str,
    error: Option<String>,
}

#[derive(Template)]
#[template(path = "admin/first_run.html")]
struct FirstRunPage<'a> {
    site: String,
    csrf: String,
    key: &'a str,
    username: &'a str,
    errors: Vec<Invalid>,
}

/// Shows the form (`GET /admin/sign-in/`).
pub(super) async fn show(
    request: HttpRequest,
    query: Query<Next>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    // Somebody who is already signed in is redirected at once, as in Django's admin.
    match session_cookie(&request).as_ref().and_then(SessionSecret::digest) {
        Some(digest) if auth.admit_session(digest, &request).await?.is_some() => {
            return Ok(go(safe_next(&query.next)));
        }
        Some(_) => {}
        None => {
            Guest::extract(&request).await?;
        }
    }
    let secret = guest_secret(&request)?;
    let page = SignInPage {
        site: Site::of(&request).title.clone(),
        csrf: secret.csrf_token().expose().to_owned(),
        next: safe_next(&query.next),
        username: "",
        error: None,
    };
    answer(&request, actix_web::http::StatusCode::OK, &page, &secret)
}

/// Signs in (`POST /admin/sign-in/`) and leads to the page that was wanted. A failure shows the
/// form again, with the same text for a wrong name, a wrong password and a user without rights.
pub(super) async fn sign_in(
    request: HttpRequest,
    form: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let next = safe_next(form.text("next"));
    let old = session_cookie(&request);
    let agent = user_agent(&request);
    let sign_in = SignIn {
        from: client_of(&request),
        request: request_id_of(&request),
        user_agent: &agent,
        username: form.text("username"),
        password: form.raw("password"),
        old: old.as_ref().and_then(SessionSecret::digest),
    };
    match auth.sign_in(sign_in).await {
        Ok(secret) => {
            let mut response = go(next);
            response.add_cookie(&cookie_with(&request, &secret)).map_err(internal)?;
            Ok(response)
        }
        Err(error @ (Error::InvalidCredentials | Error::TooManyRequests(_))) => {
            let (status, text) = match &error {
                Error::TooManyRequests(retry) => (
                    actix_web::http::StatusCode::TOO_MANY_REQUESTS,
                    format!("Too many attempts from here. Wait {} s, then try again.", retry.seconds()),
                ),
                _ => (
                    actix_web::http::StatusCode::FORBIDDEN,
                    "The name or the password is wrong, or this account may not use the panel.".to_owned(),
                ),
            };
            let secret = guest_secret(&request)?;
            let csrf = secret.csrf_token().expose().to_owned();
            let page = SignInPage {
                site: Site::of(&request).title.clone(),
                csrf,
                next,
                username: form.text("username"),
                error: Some(text),
            };
            let mut response = answer(&request, status, &page, &secret)?;
            if let Error::TooManyRequests(retry) = error {
                response.headers_mut().insert(header::RETRY_AFTER, retry.seconds().into());
            }
            Ok(response)
        }
        Err(error) => Err(error.into()),
    }
}

/// Ends the session (`POST /admin/sign-out/`).
pub(super) async fn sign_out(
    request: HttpRequest,
    administrator: Administrator,
    _form: Form,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    auth.sign_out(administrator.user.id, administrator.digest, administrator.actor()).await?;
    let mut response = go(paths::SIGN_IN);
    response.add_cookie(&no_cookie(&request)).map_err(internal)?;
    Ok(response)
}

/// Shows the form for the first superuser, if the link is open (`GET /admin/first-run/{key}/`).
pub(super) async fn show_first_run(
    request: HttpRequest,
    key: Path<String>,
    auth: Data<Auth>,
    guest: Result<Guest, Error>,
) -> Result<HttpResponse, PageError> {
    guest?;
    if !auth.first_run_is_open(&key).await? {
        return Err(used_up());
    }
    let secret = guest_secret(&request)?;
    let csrf = secret.csrf_token().expose().to_owned();
    let site = Site::of(&request).title.clone();
    let page = FirstRunPage { site, csrf, key: &key, username: "", errors: Vec::new() };
    answer(&request, actix_web::http::StatusCode::OK, &page, &secret)
}

/// Makes the first superuser and signs in (`POST /admin/first-run/{key}/`).
pub(super) async fn first_run(
    request: HttpRequest,
    key: Path<String>,
    form: Form,
    auth: Data<Auth>,
    guest: Result<Guest, Error>,
) -> Result<HttpResponse, PageError> {
    guest?;
    if !auth.first_run_is_open(&key).await? {
        return Err(used_up());
    }
    let (username, password) = (form.text("username"), form.raw("password"));
    let errors = if is_same_password(form.raw("again"), password) {
        let agent = user_agent(&request);
        let new = FirstSuperuser {
            from: client_of(&request),
            request: request_id_of(&request),
            user_agent: &agent,
            username,
            password,
        };
        match auth.make_first_superuser(&key, new).await {
            Ok(secret) => {
                let mut response = go(paths::HOME);
                response.add_cookie(&cookie_with(&request, &secret)).map_err(internal)?;
                return Ok(response);
            }
            Err(Error::InvalidRegistration(invalid)) => invalid,
            Err(Error::UsernameTaken) => vec![name_taken()],
            Err(Error::NotFound) => return Err(used_up()),
            Err(error) => return Err(error.into()),
        }
    } else {
        vec![Invalid::new("again", "the two passwords do not match")]
    };
    let secret = guest_secret(&request)?;
    let csrf = secret.csrf_token().expose().to_owned();
    let site = Site::of(&request).title.clone();
    let page = FirstRunPage { site, csrf, key: &key, username, errors };
    answer(&request, actix_web::http::StatusCode::BAD_REQUEST, &page, &secret)
}

fn used_up() -> PageError {
    PageError::Missing("first-run link: each one works once, until the server restarts", paths::SIGN_IN)
}

/// Returns the secret that ties the form to this browser: that of its session, or a new one for a
/// guest.
fn guest_secret(request: &HttpRequest) -> Result<SessionSecret, PageError> {
    match session_cookie(request) {
        Some(secret) => Ok(secret),
        None => Ok(SessionSecret::generate()?),
    }
}

fn answer(
    request: &HttpRequest,
    status: actix_web::http::StatusCode,
    template: &impl Template,
    secret: &SessionSecret,
) -> Result<HttpResponse, PageError> {
    let mut response = page_with(status, template)?;
    if session_cookie(request).is_none() {
        response.add_cookie(&cookie_with(request, secret)).map_err(internal)?;
    }
    Ok(response)
}

fn internal(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

/// Returns `next` if it is the address of a page of the panel, and the home page otherwise: signing
/// in must not lead to another site.
pub(super) fn safe_next(next: &str) -> &str {
    let path = next.split(['?', '#']).next().unwrap_or_default();
    let is_plain = next.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    let stays = !path.contains("//") && !path.contains("/.") && !path.to_ascii_lowercase().contains("%2");
    if next.starts_with(paths::HOME) && is_plain && stays { next } else { paths::HOME }
}

#[cfg(test)]
mod tests {
    use super::safe_next;

    #[test]
    fn the_address_after_sign_in_never_leaves_the_panel() {
        for good in ["/admin/", "/admin/users/?q=ada&sort=-joined", "/admin/chats/17/"] {
            assert_eq!(safe_next(good), good);
        }
        for bad in [
            "",
            "/",
            "//evil.example",
            "/\\evil.example",
            "https://evil.example/admin/",
            "javascript:alert(1)",
            "/admin",
            "/admin2/",
            "/admin/../chats/",
            "/admin/./",
            "/admin//evil.example",
            "/admin/\\evil",
            "/admin/\r\nX: y",
            "/admin/%2e%2e/",
            "/admin/é",
            " /admin/",
        ] {
            assert_eq!(safe_next(bad), "/admin/", "{bad:?}");
        }
    }
}
