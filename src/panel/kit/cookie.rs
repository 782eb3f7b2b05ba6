//! The panel's two cookies. One has the secret of a session. The other, for guests, only ties the
//! forms of the sign-in page and of the first-run page to a browser, so that showing these pages
//! never replaces a session.
//!
//! Both are `SameSite=Lax`: a link on another site, for example in a ticket system, opens the page
//! that it names. That is safe because no GET changes anything, and each form has a token and comes
//! from an origin that is ours.

use actix_web::HttpRequest;
use actix_web::cookie::{Cookie, SameSite};

use crate::domain::SessionSecret;
use crate::http::{Site, is_https};

/// Which of the two cookies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::panel) enum CookieKind {
    Session,
    Guest,
}

impl CookieKind {
    /// Returns the name of the cookie. It contains a mark of the server's database, because
    /// browsers share cookies among all ports of a host. Under HTTPS it has the prefix `__Host-`,
    /// with which browsers require `Secure`, the path `/` and no other host (RFC 6265bis).
    fn name(self, request: &HttpRequest, site: &Site) -> String {
        let prefix = if is_https(request, site) { "__Host-" } else { "" };
        let kind = match self {
            CookieKind::Session => "session",
            CookieKind::Guest => "guest",
        };
        format!("{prefix}tollgate_{kind}_{}", site.cookie_mark)
    }

    /// Returns the secret in the browser's cookie.
    pub(crate) fn read(self, request: &HttpRequest) -> Option<SessionSecret> {
        let cookie = request.cookie(&self.name(request, &Site::of(request)))?;
        SessionSecret::presented(cookie.value())
    }

    /// Returns the cookie for a secret. The browser keeps it until it is closed, unless the session
    /// ends on the server before.
    pub(crate) fn with(self, request: &HttpRequest, secret: &SessionSecret) -> Cookie<'static> {
        let site = Site::of(request);
        Cookie::build(self.name(request, &site), secret.expose().to_owned())
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(is_https(request, &site))
            .finish()
    }

    /// Returns the cookie that makes the browser forget its secret.
    pub(crate) fn without(self, request: &HttpRequest) -> Cookie<'static> {
        let site = Site::of(request);
        let mut cookie = Cookie::build(self.name(request, &site), "")
            .path("/")
            .http_only(true)
            .same_site(SameSite::Lax)
            .secure(is_https(request, &site))
            .finish();
        cookie.make_removal();
        cookie
    }
}

/// Returns the secret of the browser's session.
pub(in crate::panel) fn session_cookie(request: &HttpRequest) -> Option<SessionSecret> {
    CookieKind::Session.read(request)
}
