//! The settings that handlers and the middleware read.

use std::convert::Infallible;
use std::future::{Ready, ready};
use std::ops::Deref;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use actix_web::dev::Payload;
use actix_web::http::header::HeaderValue;
use actix_web::web::Data;
use actix_web::{FromRequest, HttpRequest};

use crate::live::Live;
use crate::models::AnswerLimits;
use crate::tls::Tls;

/// The settings that handlers and the middleware read. The server fills it from the command line,
/// and again at each reload; handlers take it as [`CurrentSite`].
#[derive(Clone, Debug)]
pub struct Site {
    /// The name of the site (`--site-title`).
    pub title: String,
    /// The operator's line on the start page (`--site-notice`).
    pub notice: Option<String>,
    /// Where vulnerabilities are reported, as a URI (`--security-contact`).
    pub security_contact: Option<String>,
    /// The label that tells this server from others (`--environment-label`).
    pub environment: Option<String>,
    /// Whether anybody may register over the API (`--registration`).
    pub is_registration_open: bool,
    /// The origin of `--public-url`. `None` if the site is at the address that browsers use.
    pub public_origin: Option<String>,
    /// The origins of `--cors-origins`, whose pages may use the API.
    pub cors_origins: Vec<String>,
    /// Whether all clients use https: the server speaks TLS, or `--public-url` says so. A request
    /// may come over https without it: [`is_https`](super::is_https).
    pub is_https: bool,
    /// The value of `Strict-Transport-Security` over https. `None` if the header is not sent.
    pub strict_transport: Option<HeaderValue>,
    /// The server's certificate, if it speaks TLS itself.
    pub tls: Option<Tls>,
    /// Time limit for a whole body to arrive, before the extra time for its length. actix-web has
    /// no such limit.
    pub body_timeout: Duration,
    /// The price of a message where its model has no price of its own (`--chat-price`).
    pub message_price: i64,
    /// The operator's text on how to get more tokens (`--top-up`).
    pub top_up: Option<String>,
    /// The limits of answers (`--upstream-default-output`, `--upstream-max-output`), where a model
    /// has no limits of its own.
    pub answer_limits: AnswerLimits,
    /// The names of `--upstream-models`. Empty if the dummy responder answers.
    pub models: Vec<String>,
    /// A part of the names of the panel's cookies, which tells this server from others on the same
    /// host name. All nodes on one database have the same.
    pub cookie_mark: String,
    /// The most simultaneous chats of a user without an individual limit (`--concurrent-chats`).
    pub concurrent_chats: i64,
    /// The most messages a minute of a user without an individual limit.
    pub requests_per_minute: i64,
    /// The folder of the SQLite file. `None` on PostgreSQL.
    pub data_folder: Option<PathBuf>,
    /// Free disk space, in MiB, below which the panel warns (`--min-free-disk`).
    pub min_free_disk: u64,
}

/// The settings of the moment at which a request arrived, as an extractor. A reload does not change
/// them.
#[derive(Clone, Debug)]
pub struct CurrentSite(Arc<Site>);

impl Deref for CurrentSite {
    type Target = Site;

    fn deref(&self) -> &Site {
        &self.0
    }
}

impl FromRequest for CurrentSite {
    type Error = Infallible;
    type Future = Ready<Result<CurrentSite, Infallible>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(Ok(CurrentSite(Site::of(request))))
    }
}

impl Default for Site {
    fn default() -> Site {
        Site {
            title: "Tollgate".to_owned(),
            notice: None,
            security_contact: None,
            environment: None,
            is_registration_open: true,
            public_origin: None,
            cors_origins: Vec::new(),
            is_https: false,
            strict_transport: None,
            tls: None,
            body_timeout: Duration::from_secs(15),
            message_price: 0,
            top_up: None,
            answer_limits: AnswerLimits { default: 0, most: 0 },
            models: Vec::new(),
            cookie_mark: String::new(),
            concurrent_chats: 0,
            requests_per_minute: 0,
            data_folder: None,
            min_free_disk: 0,
        }
    }
}

impl Site {
    /// Returns the settings of the server that a request came to, as they are now.
    pub fn of(request: &HttpRequest) -> Arc<Site> {
        request.app_data::<Data<Live<Site>>>().map(|site| site.get()).unwrap_or_default()
    }

    /// Returns the panel's title with the label that tells this server from others.
    pub fn full_title(&self) -> String {
        match &self.environment {
            Some(label) => format!("{} ({label})", self.title),
            None => self.title.clone(),
        }
    }

    /// Returns the host of `--public-url`, without its port.
    pub fn public_host(&self) -> Option<&str> {
        let (_, authority) = self.public_origin.as_deref()?.split_once("://")?;
        let has_port = |port: &str| port.bytes().all(|byte| byte.is_ascii_digit());
        let host =
            authority.rsplit_once(':').filter(|(_, port)| has_port(port)).map_or(authority, |(host, _)| host);
        Some(host.strip_suffix('.').unwrap_or(host))
    }
}
