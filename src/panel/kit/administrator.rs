//! The users of the panel: the extractors by which a handler requires staff or a superuser, and the
//! session's cookie.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use actix_web::cookie::{Cookie, SameSite};
use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpRequest, web};
use url::form_urlencoded;

use super::error::PageError;
use super::message::Message;
use super::paths;
use super::preferences::Preferences;
use super::route::Navigation;
use super::zone::Zone;
use crate::audit::Actor;
use crate::auth::{Auth, Guest, SignedIn};
use crate::client_address::client_of;
use crate::domain::{CsrfToken, RequestId, SessionSecret, TokenDigest, without_tokens};
use crate::error::{Error, Result};
use crate::http::{Site, request_id_of};
use crate::models::{PanelSettings, Session, User};

/// A signed-in member of the staff, who may view everything. Changes require a [`Superuser`].
#[derive(Clone, Debug)]
pub(in crate::panel) struct Administrator {
    pub user: User,
    pub session: Session,
    pub settings: PanelSettings,
    /// The digest of the session's secret.
    pub digest: TokenDigest,
    pub csrf: CsrfToken,
    /// Messages that this page shows, once.
    pub messages: Vec<Message>,
    pub zone: Zone,
    /// One of [`THEMES`].
    pub theme: &'static str,
    /// The client's address.
    pub from: IpAddr,
    pub request: RequestId,
    /// The panel's name (`--site-title`).
    pub site: String,
    /// The address of the page that is shown.
    pub here: String,
    /// The sections of the panel.
    pub navigation: Navigation,
}

/// Returns the address of a page without the auth tokens in it, if it has any: somebody pasted one
/// into a search. Addresses stay in histories, in bookmarks and in the logs of proxies. The script
/// cuts them before they are sent; this is for browsers without scripts.
fn shortened(request: &HttpRequest) -> Option<String> {
    if ![Method::GET, Method::HEAD].contains(request.method()) {
        return None;
    }
    let mut is_cut = false;
    let mut query = form_urlencoded::Serializer::new(String::new());
    for (name, value) in form_urlencoded::parse(request.query_string().as_bytes()) {
        let cut = without_tokens(&value);
        is_cut |= cut.is_some();
        query.append_pair(&name, cut.as_deref().unwrap_or(&value));
    }
    is_cut.then(|| format!("{}?{}", request.path(), query.finish()))
}

/// An administrator who may change things.
#[derive(Clone, Debug)]
pub(in crate::panel) struct Superuser(pub Administrator);

impl Administrator {
    async fn of(request: HttpRequest) -> Result<Administrator, PageError> {
        if let Some(address) = shortened(&request) {
            return Err(PageError::Shortened(address));
        }
        let auth = auth_of(&request)?;
        let secret = session_cookie(&request);
        let digest = secret.as_ref().and_then(SessionSecret::digest);
        let found = match digest {
            Some(digest) => auth.admit_session(digest, &request).await?,
            None => {
                Guest::extract(&request).await?;
                None
            }
        };
        let (Some(SignedIn { user, session, settings }), Some(secret), Some(digest)) =
            (found, secret, digest)
        else {
            return Err(guest(&request));
        };
        let messages: Vec<Message> = serde_json::from_str(&session.messages).unwrap_or_default();
        // Pages can be read even while nothing can be written. The messages are then shown again.
        let is_seen = request.method() == Method::GET && !request.headers().contains_key(BACKGROUND);
        if !messages.is_empty() && is_seen {
            let cleared = auth.leave_messages(session.id, "[]".to_owned());
            if !matches!(tokio::time::timeout(PATIENCE, cleared).await, Ok(Ok(()))) {
                log::warn!("messages of a session could not be cleared");
            }
        }
        Ok(Administrator {
            csrf: secret.csrf_token(),
            digest,
            messages,
            zone: Zone::parse(&settings.time_zone).unwrap_or(Zone::UTC),
            theme: THEMES.into_iter().find(|theme| *theme == settings.theme).unwrap_or("auto"),
            from: client_of(&request),
            request: request_id_of(&request),
            site: Site::of(&request).title.clone(),
            here: here(&request),
            navigation: Navigation::of(&request),
            user,
            session,
            settings,
        })
    }

    /// Returns the actor that the audit log records.
    pub(crate) fn actor(&self) -> Actor {
        Actor { user_id: Some(self.user.id), address: self.from.to_string() }
    }

    /// Returns how this administrator wants to see lists.
    pub(crate) fn preferences(&self) -> Preferences {
        Preferences { zone: self.zone, page_size: self.settings.page_size }
    }

    /// Whether the administrator is a superuser, who may change things.
    pub(crate) fn may_change(&self) -> bool {
        self.user.is_superuser
    }

    /// Leaves a message for the next page, in place of earlier ones.
    pub(crate) async fn leave_message(&self, auth: &Auth, message: Message) -> Result<()> {
        self.leave_messages(auth, &[message]).await
    }

    /// Leaves several messages for the next page, in place of earlier ones.
    pub(crate) async fn leave_messages(&self, auth: &Auth, messages: &[Message]) -> Result<()> {
        let json = serde_json::to_string(messages).map_err(|error| Error::Internal(error.to_string()))?;
        auth.leave_messages(self.session.id, json).await
    }
}

/// Time limit for a page's own bookkeeping writes.
const PATIENCE: Duration = Duration::from_secs(1);
/// Header of the requests that the panel's script makes in the background. Their responses are not
/// shown as a page, so they must not use up messages.
const BACKGROUND: &str = "x-tollgate-background";

/// Returns the address of the page that is shown, or of the page that sent a form. It accepts GET.
fn here(request: &HttpRequest) -> String {
    if *request.method() != Method::POST {
        return request.uri().path_and_query().map_or(paths::HOME, |here| here.as_str()).to_owned();
    }
    let referrer = request.headers().get(header::REFERER).and_then(|value| value.to_str().ok());
    let Some(from) = referrer.and_then(|referrer| url::Url::parse(referrer).ok()) else {
        return paths::HOME.to_owned();
    };
    let path = from.path().trim_end_matches('/');
    let navigation = Navigation::of(request);
    match path.rsplit_once('/') {
        // A page that responded to a form cannot be reloaded, so the nearest list takes its place.
        Some((list, _)) if navigation.accepts_only_forms(path) => format!("{list}/"),
        _ => from[url::Position::BeforePath..].to_owned(),
    }
}

/// The values of the theme setting. `auto` follows the system.
pub(in crate::panel) const THEMES: [&str; 3] = ["auto", "light", "dark"];

type Extracting<T> = Pin<Box<dyn Future<Output = Result<T, PageError>>>>;

impl FromRequest for Administrator {
    type Error = PageError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        Box::pin(Administrator::of(request.clone()))
    }
}

impl FromRequest for Superuser {
    type Error = PageError;
    type Future = Extracting<Self>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        let request = request.clone();
        Box::pin(async move {
            let administrator = Administrator::of(request).await?;
            if administrator.may_change() {
                Ok(Superuser(administrator))
            } else {
                Err(PageError::Forbidden("Only superusers may change things; staff may view everything."))
            }
        })
    }
}

/// Returns the app's [`Auth`].
///
/// # Errors
///
/// `Internal` if the app was put together without it.
pub(in crate::panel) fn auth_of(request: &HttpRequest) -> Result<web::Data<Auth>, Error> {
    let auth = request.app_data::<web::Data<Auth>>().cloned();
    auth.ok_or_else(|| Error::Internal("no Auth in the app's data".to_owned()))
}

/// Returns the error for a guest. A request for a page leads to the sign-in page and back; a form
/// is rejected with a message, since it cannot be sent again after a redirect.
fn guest(request: &HttpRequest) -> PageError {
    if *request.method() == Method::GET || *request.method() == Method::HEAD {
        let wanted = request.uri().path_and_query().map_or(paths::HOME, |wanted| wanted.as_str());
        PageError::SignIn(wanted.to_owned())
    } else {
        PageError::SessionEnded
    }
}

/// Returns the name of the session's cookie. Under HTTPS it has the prefix `__Host-`, with which
/// browsers require `Secure`, the path `/` and no other host (RFC 6265bis).
fn cookie_name(request: &HttpRequest) -> &'static str {
    if Site::of(request).is_https { "__Host-tollgate_session" } else { "tollgate_session" }
}

/// Returns the secret in the browser's cookie: that of a session, or that of a guest who opened the
/// sign-in page.
pub(in crate::panel) fn session_cookie(request: &HttpRequest) -> Option<SessionSecret> {
    let cookie = request.cookie(cookie_name(request))?;
    SessionSecret::presented(cookie.value())
}

/// Returns the cookie for a secret. The browser keeps it until it is closed, unless the session
/// ends on the server before.
pub(in crate::panel) fn cookie_with(request: &HttpRequest, secret: &SessionSecret) -> Cookie<'static> {
    Cookie::build(cookie_name(request), secret.expose().to_owned())
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(Site::of(request).is_https)
        .finish()
}

/// Returns the cookie that makes the browser forget its secret.
pub(in crate::panel) fn no_cookie(request: &HttpRequest) -> Cookie<'static> {
    let mut cookie = Cookie::build(cookie_name(request), "")
        .path("/")
        .http_only(true)
        .same_site(SameSite::Strict)
        .secure(Site::of(request).is_https)
        .finish();
    cookie.make_removal();
    cookie
}

/// Returns the `User-Agent` header. Empty if there is none.
pub(in crate::panel) fn user_agent(request: &HttpRequest) -> String {
    let value = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
