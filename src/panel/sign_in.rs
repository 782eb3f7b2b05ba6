//! Signing in and out, and the page of the first-run link.

use actix_web::http::{StatusCode, header};
use actix_web::web::{Data, Path, Query};
use actix_web::{FromRequest, HttpRequest, HttpResponse};
use askama::Template;
use serde::Deserialize;

use super::kit::PageError;
use super::kit::administrator::{Administrator, auth_of, user_agent};
use super::kit::common_fields::PASSWORDS_DIFFER;
use super::kit::cookie::{CookieKind, session_cookie};
use super::kit::form::{Form, GuestFault, GuestForm};
use super::kit::message::Message;
use super::kit::page::{go, page_with};
use super::kit::paths;
use super::kit::returned_form::ReturnedForm;
use super::kit::sentence::sentence;
use super::kit::zone::Zone;
use super::returned_form;
use crate::administration::{adopt_time_zone as store_time_zone, name_taken};
use crate::auth::{Auth, FirstSuperuser, Guest, RequestedBy, SignIn, parse_account};
use crate::client_address::client_of;
use crate::domain::{Invalid, SessionSecret, is_same_password};
use crate::error::Error;
use crate::http::Site;
use crate::logging::RequestNotes;

/// The query string of the sign-in page: where to go afterwards.
#[derive(Deserialize)]
pub(super) struct Next {
    #[serde(default)]
    next: String,
}

#[derive(Template, Default)]
#[template(path = "admin/sign_in.html")]
struct SignInPage<'a> {
    site: String,
    csrf: String,
    next: &'a str,
    username: &'a str,
    error: Option<String>,
    /// What happened before.
    note: Option<String>,
    /// A form to be sent again after signing in.
    returned: Option<Carried>,
    has_superuser: bool,
}

/// A form that the sign-in page carries.
struct Carried {
    address: String,
    owner: i64,
    kept: String,
}

#[derive(Template)]
#[template(path = "admin/first_run.html")]
struct FirstRunPage<'a> {
    site: String,
    csrf: String,
    key: &'a str,
    username: &'a str,
    errors: Vec<Fault>,
}

/// A fault of a field, as the page of the first run shows it.
struct Fault {
    /// Empty if the fault belongs to no field.
    field: &'static str,
    label: &'static str,
    text: String,
}

impl Fault {
    fn of(invalid: Invalid) -> Fault {
        let label = match invalid.field {
            "username" => "Username",
            "again" => "Repeat password",
            _ => "Password",
        };
        Fault { field: invalid.field, label, text: sentence(&invalid.reason) }
    }
}

/// Shows the form (`GET /admin/sign-in/`).
pub(super) async fn show(
    request: HttpRequest,
    query: Query<Next>,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    // Somebody who is already signed in is redirected at once, as in Django's admin.
    match session_cookie(&request).as_ref().and_then(SessionSecret::digest) {
        Some(digest) if auth.admit_session(digest, &request, RequestedBy::Person).await?.is_some() => {
            return Ok(go(safe_next(&query.next)));
        }
        Some(_) => {}
        None => {
            Guest::extract(&request).await?;
        }
    }
    let page = SignInPage { next: safe_next(&query.next), ..SignInPage::default() };
    page.answer(&request, &auth, StatusCode::OK).await
}

impl SignInPage<'_> {
    /// Returns the page with the site's name and a token for this browser.
    async fn answer(
        self,
        request: &HttpRequest,
        auth: &Auth,
        status: StatusCode,
    ) -> Result<HttpResponse, PageError> {
        let secret = guest_secret(request)?;
        let page = SignInPage {
            site: Site::of(request).full_title(),
            csrf: secret.csrf_token().expose().to_owned(),
            has_superuser: auth.has_superuser().await?,
            ..self
        };
        answer(request, status, &page, &secret)
    }
}

/// Returns the sign-in page for somebody whose session has ended, with the form that was sent, to
/// be sent again afterwards.
pub(super) async fn for_returned(
    request: &HttpRequest,
    auth: &Auth,
    form: &ReturnedForm,
) -> Result<HttpResponse, PageError> {
    let kept = form.encoded();
    let note = match (&kept, form.had_passwords()) {
        (None, _) => "Your session has ended, so nothing was done.",
        (_, true) => {
            "Your session has ended, so nothing was done. What you entered is kept, except passwords: sign in \
             to send it again."
        }
        _ => {
            "Your session has ended, so nothing was done. What you entered is kept: sign in to send it again."
        }
    };
    let carried = |kept| Carried { address: form.address.clone(), owner: form.owner, kept };
    let page = SignInPage {
        next: paths::HOME,
        note: Some(note.to_owned()),
        returned: kept.map(carried),
        ..SignInPage::default()
    };
    page.answer(request, auth, StatusCode::FORBIDDEN).await
}

/// Signs in (`POST /admin/sign-in/`) and leads to the page that was wanted, or to the form that is
/// to be sent again. A failure shows the form again, with the same text for a wrong name, a wrong
/// password and a user without rights.
pub(super) async fn sign_in(
    request: HttpRequest,
    sent: GuestForm,
    auth: Data<Auth>,
) -> Result<HttpResponse, PageError> {
    let form = &sent.form;
    let returned =
        ReturnedForm::carried(form.text("kept_address"), form.text("kept_owner"), form.raw("kept"));
    let again = |error: String| SignInPage {
        next: safe_next(form.text("next")),
        username: form.text("username"),
        error: Some(error),
        returned: returned.as_ref().and_then(|form| {
            let kept = form.encoded()?;
            Some(Carried { address: form.address.clone(), owner: form.owner, kept })
        }),
        ..SignInPage::default()
    };
    if let Some(fault) = sent.fault {
        if is_signed_in(&request, &auth, fault).await? {
            return Ok(go(safe_next(form.text("next"))));
        }
        return again(fault.advice().to_owned()).answer(&request, &auth, StatusCode::FORBIDDEN).await;
    }
    let old = session_cookie(&request);
    let agent = user_agent(&request);
    let sign_in = SignIn {
        from: client_of(&request),
        request: RequestNotes::of(&request),
        user_agent: &agent,
        username: form.text("username"),
        password: form.raw("password"),
        old: old.as_ref().and_then(SessionSecret::digest),
    };
    match auth.sign_in(sign_in).await {
        Ok(secret) => {
            adopt_time_zone(&request, &auth, &secret, form).await;
            let response =
                signed_in(&request, &auth, &secret, returned, safe_next(form.text("next"))).await?;
            with_session(&request, response, &secret)
        }
        Err(Error::TooManyRequests(retry)) => {
            let text = format!("Too many attempts from here. Wait {} s, then try again.", retry.seconds());
            let mut response = again(text).answer(&request, &auth, StatusCode::TOO_MANY_REQUESTS).await?;
            response.headers_mut().insert(header::RETRY_AFTER, retry.seconds().into());
            Ok(response)
        }
        Err(Error::InvalidCredentials) => {
            let text = "The name or the password is wrong, or this account may not use the panel.";
            again(text.to_owned()).answer(&request, &auth, StatusCode::FORBIDDEN).await
        }
        Err(error) => Err(error.into()),
    }
}

/// Takes on the browser's time zone for an administrator who has not chosen one, and says so. A
/// failure is only logged: it must not keep anybody from signing in.
async fn adopt_time_zone(request: &HttpRequest, auth: &Auth, secret: &SessionSecret, sent: &Form) {
    let zone = Zone::parse(sent.text("time_zone")).filter(|zone| *zone != Zone::UTC);
    let (Some(zone), Some(digest)) = (zone, secret.digest()) else { return };
    let adopted = async {
        let Some(found) = auth.signed_in(digest, RequestedBy::Script).await? else { return Ok(()) };
        let administrator = Administrator::new(request, secret, found)?;
        if store_time_zone(&auth.db, administrator.user.id, zone.name()).await? {
            let text = format!("Times are shown in {}, the time zone of your browser.", zone.name());
            let message = Message::success(text).link("Change", paths::SETTINGS);
            administrator.leave_message(auth, message).await?;
        }
        Ok::<(), Error>(())
    };
    if let Err(error) = adopted.await {
        log::warn!("the time zone of a browser could not be stored: {error}");
    }
}

/// Returns the response to somebody who has just signed in: the form that came back, if this user
/// has entered it, or else the page that was wanted.
async fn signed_in(
    request: &HttpRequest,
    auth: &Auth,
    secret: &SessionSecret,
    returned: Option<ReturnedForm>,
    next: &str,
) -> Result<HttpResponse, PageError> {
    let Some(form) = returned else { return Ok(go(next)) };
    let digest = secret.digest().ok_or_else(|| internal("a secret without a digest"))?;
    let Some(found) = auth.signed_in(digest, RequestedBy::Person).await? else { return Ok(go(next)) };
    let administrator = Administrator::new(request, secret, found)?;
    // The address was in the browser's hands.
    let is_own = form.owner == administrator.user.id && safe_next(&form.address) == form.address;
    if !is_own {
        let text = "The form was another administrator's, so it was dropped.";
        administrator.leave_message(auth, Message::warning(text)).await?;
        return Ok(go(next));
    }
    let note = "You are signed in. Nothing was done yet: check the form, and send it again.";
    returned_form::page(&administrator, &form, note, StatusCode::OK)
}

/// Sets the cookie of a new session, and removes that of the guest.
fn with_session(
    request: &HttpRequest,
    mut response: HttpResponse,
    secret: &SessionSecret,
) -> Result<HttpResponse, PageError> {
    response.add_cookie(&CookieKind::Session.with(request, secret)).map_err(internal)?;
    response.add_cookie(&CookieKind::Guest.without(request)).map_err(internal)?;
    Ok(response)
}

/// Returns whether another tab has signed in since a form for guests was opened. Then the browser
/// has a session, and goes on to the next page.
async fn is_signed_in(request: &HttpRequest, auth: &Auth, fault: GuestFault) -> Result<bool, PageError> {
    Guest::extract(request).await?;
    let digest = session_cookie(request).as_ref().and_then(SessionSecret::digest);
    Ok(match digest {
        Some(digest) if fault == GuestFault::OtherCookie => {
            auth.signed_in(digest, RequestedBy::Person).await?.is_some()
        }
        _ => false,
    })
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
    response.add_cookie(&CookieKind::Session.without(&request)).map_err(internal)?;
    Ok(response)
}

/// Leads on from a form that signs out of an earlier session, as another tab may still show. That
/// session has ended, so nothing is left to do; one that was begun since does not end by it.
pub(super) async fn sign_out_late(
    form: &ReturnedForm,
    request: &HttpRequest,
) -> Result<HttpResponse, PageError> {
    let found = Administrator::at_an_error(request, true).await;
    let Some(administrator) = found else { return Ok(go(paths::SIGN_IN)) };
    if administrator.user.id == form.owner {
        let text = "You have signed in again since that page was opened. To end this session, sign out here.";
        let auth = auth_of(request)?;
        administrator.leave_message(&auth, Message::warning(text)).await?;
    }
    Ok(go(paths::HOME))
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
        return Err(closed(&auth).await);
    }
    first_run_page(&request, &key, "", Vec::new(), StatusCode::OK)
}

/// Makes the first superuser and signs in (`POST /admin/first-run/{key}/`).
pub(super) async fn first_run(
    request: HttpRequest,
    key: Path<String>,
    sent: GuestForm,
    auth: Data<Auth>,
    guest: Result<Guest, Error>,
) -> Result<HttpResponse, PageError> {
    guest?;
    let form = &sent.form;
    let (username, password) = (form.text("username"), form.raw("password"));
    if let Some(fault) = sent.fault {
        if is_signed_in(&request, &auth, fault).await? {
            return Ok(go(paths::HOME));
        }
        if !auth.first_run_is_open(&key).await? {
            return Err(PageError::Forbidden(fault.advice()));
        }
        let fault = Fault { field: "", label: "", text: fault.advice().to_owned() };
        return first_run_page(&request, &key, username, vec![fault], StatusCode::FORBIDDEN);
    }
    if !auth.first_run_is_open(&key).await? {
        return Err(closed(&auth).await);
    }
    let faults = if is_same_password(form.raw("again"), password) {
        let agent = user_agent(&request);
        let new = FirstSuperuser {
            from: client_of(&request),
            request: RequestNotes::of(&request),
            user_agent: &agent,
            username,
            password,
        };
        match auth.make_first_superuser(&key, new).await {
            Ok(secret) => {
                adopt_time_zone(&request, &auth, &secret, form).await;
                return with_session(&request, go(paths::HOME), &secret);
            }
            Err(Error::InvalidRegistration(invalid)) => invalid,
            Err(Error::UsernameTaken) => vec![name_taken()],
            Err(Error::NotFound) => return Err(closed(&auth).await),
            Err(error) => return Err(error.into()),
        }
    } else {
        let mut faults = parse_account(Some(username), Some(password)).err().unwrap_or_default();
        faults.push(Invalid::new("again", PASSWORDS_DIFFER));
        faults
    };
    let faults = faults.into_iter().map(Fault::of).collect();
    first_run_page(&request, &key, username, faults, StatusCode::BAD_REQUEST)
}

fn first_run_page(
    request: &HttpRequest,
    key: &str,
    username: &str,
    errors: Vec<Fault>,
    status: StatusCode,
) -> Result<HttpResponse, PageError> {
    let secret = guest_secret(request)?;
    let csrf = secret.csrf_token().expose().to_owned();
    let page = FirstRunPage { site: Site::of(request).full_title(), csrf, key, username, errors };
    answer(request, status, &page, &secret)
}

/// Returns why a link of the first run is not open.
async fn closed(auth: &Auth) -> PageError {
    match auth.has_superuser().await {
        Ok(true) => PageError::FirstRunUsed,
        Ok(false) => PageError::FirstRunUnknown,
        Err(error) => error.into(),
    }
}

/// Returns the secret that ties the form to this browser: that of its guest cookie, or a new one.
fn guest_secret(request: &HttpRequest) -> Result<SessionSecret, PageError> {
    match CookieKind::Guest.read(request) {
        Some(secret) => Ok(secret),
        None => Ok(SessionSecret::generate()?),
    }
}

fn answer(
    request: &HttpRequest,
    status: StatusCode,
    template: &impl Template,
    secret: &SessionSecret,
) -> Result<HttpResponse, PageError> {
    let mut response = page_with(status, template)?;
    if CookieKind::Guest.read(request).is_none() {
        response.add_cookie(&CookieKind::Guest.with(request, secret)).map_err(internal)?;
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
