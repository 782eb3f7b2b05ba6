//! The users of the panel: the extractors by which a handler requires staff or a superuser.

use std::future::Future;
use std::net::IpAddr;
use std::pin::Pin;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::{Method, header};
use actix_web::{FromRequest, HttpMessage, HttpRequest, HttpResponse, web};
use url::form_urlencoded;

use super::cookie::session_cookie;
use super::environment::Environment;
use super::error::PageError;
use super::message::Message;
use super::paths;
use super::preferences::Preferences;
use super::returned_form::{arrival, token_for};
use super::route::Navigation;
use super::trouble::Trouble;
use super::zone::Zone;
use crate::audit::Actor;
use crate::auth::{Auth, Guest, RequestedBy, SignedIn};
use crate::chat::Toll;
use crate::client_address::client_of;
use crate::domain::{SessionSecret, TokenDigest, without_tokens};
use crate::error::{Error, Result};
use crate::http::Site;
use crate::logging::RequestNotes;
use crate::models::{OpenWork, PanelSettings, SavedView, Session, User};

/// A signed-in member of the staff, who may view everything. Changes require a [`Superuser`].
#[derive(Clone, Debug)]
pub(in crate::panel) struct Administrator {
    pub user: User,
    pub session: Session,
    pub settings: PanelSettings,
    /// The administrator's own saved views, and those that others share.
    pub views: Vec<SavedView>,
    /// The digest of the session's secret.
    pub digest: TokenDigest,
    /// The value of the field `csrf` in each form of the session.
    pub csrf: String,
    /// Messages that this page shows, once.
    pub messages: Vec<Message>,
    pub zone: Zone,
    /// One of [`THEMES`].
    pub theme: &'static str,
    /// The client's address.
    pub from: IpAddr,
    pub request: RequestNotes,
    /// The panel's name (`--site-title`).
    pub site: String,
    /// The label that tells this server from others.
    pub environment: Option<Environment>,
    /// The address of the page that is shown.
    pub here: String,
    /// The sections of the panel.
    pub navigation: Navigation,
    /// Which models of the upstream fail, if any do.
    pub trouble: Option<Trouble>,
    /// The numbers beside the menu.
    pub open_work: OpenWork,
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
        let by = requested_by(&request);
        let found = match digest {
            Some(digest) => auth.admit_session(digest, &request, by).await?,
            None => {
                Guest::extract(&request).await?;
                None
            }
        };
        let (Some(signed_in), Some(secret)) = (found, secret) else { return Err(guest(&request).await) };
        let administrator = Administrator::new(&request, &secret, signed_in)?;
        // An error page is shown inside the frame, without looking the session up again.
        request.extensions_mut().insert(administrator.clone());
        // A response to the script, or one that the browser loads in advance, may never be shown as
        // a page, so it uses up no messages.
        let is_unseen = by == RequestedBy::Script || request.headers().contains_key(PURPOSE);
        let is_seen = request.method() == Method::GET && !is_unseen;
        if !administrator.messages.is_empty() && is_seen {
            administrator.take_messages(&auth).await;
        }
        Ok(administrator)
    }

    /// Returns the administrator of a session. The request need not be one of the session yet.
    ///
    /// # Errors
    ///
    /// `Internal` if the secret has no digest.
    pub(crate) fn new(
        request: &HttpRequest,
        secret: &SessionSecret,
        signed_in: SignedIn,
    ) -> Result<Administrator> {
        let SignedIn { user, session, settings, views, open_work } = signed_in;
        let digest =
            secret.digest().ok_or_else(|| Error::Internal("a secret without a digest".to_owned()))?;
        Ok(Administrator {
            csrf: token_for(secret.csrf_token().expose(), user.id),
            digest,
            messages: serde_json::from_str(&session.messages).unwrap_or_default(),
            zone: Zone::parse(&settings.time_zone).unwrap_or(Zone::UTC),
            theme: THEMES.into_iter().find(|theme| *theme == settings.theme).unwrap_or("auto"),
            from: client_of(request),
            request: RequestNotes::of(request),
            site: Site::of(request).title.clone(),
            environment: Environment::of(&Site::of(request)),
            here: here(request),
            navigation: Navigation::of(request),
            trouble: request.app_data::<web::Data<Toll>>().and_then(|toll| Trouble::of(toll)),
            user,
            session,
            settings,
            views,
            open_work,
        })
    }

    /// Returns the administrator whose session a request belongs to, for an error page. `None` if
    /// nobody is signed in, or that would take too long to find out. With `may_look_up` unset, only
    /// an administrator who was found before the error counts.
    pub(crate) async fn at_an_error(request: &HttpRequest, may_look_up: bool) -> Option<Administrator> {
        let known = request.extensions().get::<Administrator>().cloned();
        if known.is_some() || !may_look_up {
            return known;
        }
        let (auth, secret) = (auth_of(request).ok()?, session_cookie(request)?);
        let found = auth.look_up_session(secret.digest()?, client_of(request));
        let found = tokio::time::timeout(PATIENCE, found).await.ok()?.ok()??;
        let administrator = Administrator::new(request, &secret, found).ok()?;
        // Messages are for a page that uses them up.
        Some(Administrator { messages: Vec::new(), ..administrator })
    }

    /// Deletes the messages that this page shows, and only these: another tab may have left one in
    /// the meantime. Pages can be read even while nothing can be written. The messages are then
    /// shown again.
    async fn take_messages(&self, auth: &Auth) {
        let shown = values_of(&self.messages).unwrap_or_default();
        let taken = auth.take_messages(self.user.id, self.session.id, shown);
        if !matches!(tokio::time::timeout(PATIENCE, taken).await, Ok(Ok(()))) {
            log::warn!("messages of a session could not be cleared");
        }
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

    /// Leaves a message for the next page, after those that no page has shown yet.
    pub(crate) async fn leave_message(&self, auth: &Auth, message: Message) -> Result<()> {
        self.leave_messages(auth, &[message]).await
    }

    /// Leaves several messages for the next page, after those that no page has shown yet.
    pub(crate) async fn leave_messages(&self, auth: &Auth, messages: &[Message]) -> Result<()> {
        auth.leave_messages(self.user.id, self.session.id, values_of(messages)?).await
    }

    /// Leads to another page, which shows the messages that this page has taken.
    pub(crate) async fn pass_on(&self, auth: &Auth, to: &str) -> Result<HttpResponse> {
        if !self.messages.is_empty() {
            self.leave_messages(auth, &self.messages).await?;
        }
        Ok(HttpResponse::SeeOther().insert_header((header::LOCATION, to.to_owned())).finish())
    }
}

/// Returns messages as a session stores them.
fn values_of(messages: &[Message]) -> Result<Vec<serde_json::Value>> {
    let values = messages.iter().map(serde_json::to_value).collect::<Result<_, _>>();
    values.map_err(|error| Error::Internal(error.to_string()))
}

/// Time limit for what a page does beside its own work.
const PATIENCE: Duration = Duration::from_secs(1);
/// Header of the requests that the panel's script makes in the background. Their responses are not
/// shown as a page, so they must not use up messages.
const BACKGROUND: &str = "x-tollgate-background";
/// Header of the requests for pages that the browser loads in advance.
const PURPOSE: &str = "sec-purpose";

fn requested_by(request: &HttpRequest) -> RequestedBy {
    if request.headers().contains_key(BACKGROUND) { RequestedBy::Script } else { RequestedBy::Person }
}

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
/// comes back, to be sent again after signing in.
async fn guest(request: &HttpRequest) -> PageError {
    if *request.method() == Method::GET || *request.method() == Method::HEAD {
        let wanted = request.uri().path_and_query().map_or(paths::HOME, |wanted| wanted.as_str());
        return PageError::SignIn(wanted.to_owned());
    }
    match arrival(request).await {
        Some(form) => PageError::Returned(Box::new(form)),
        None => PageError::SessionEnded,
    }
}

/// Returns the `User-Agent` header. Empty if there is none.
pub(in crate::panel) fn user_agent(request: &HttpRequest) -> String {
    let value = request.headers().get(header::USER_AGENT).and_then(|value| value.to_str().ok());
    value.unwrap_or_default().to_owned()
}
