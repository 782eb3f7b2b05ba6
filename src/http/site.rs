//! The settings that handlers and the middleware read.

use std::path::PathBuf;
use std::time::Duration;

use actix_web::HttpRequest;
use actix_web::web::Data;

use crate::models::AnswerLimits;

/// The settings that handlers and the middleware read. The server fills it from the command line;
/// handlers take it as `Data<Site>`.
#[derive(Clone, Debug)]
pub struct Site {
    /// The panel's title (`--site-title`).
    pub title: String,
    /// The label that tells this server from others (`--environment-label`).
    pub environment: Option<String>,
    /// The origin of `--public-url`. `None` if the site is at the address that browsers use.
    pub public_origin: Option<String>,
    /// The origins of `--cors-origins`, whose pages may use the API.
    pub cors_origins: Vec<String>,
    /// Whether clients use https, through a proxy. The scheme of `--public-url` decides.
    pub is_https: bool,
    /// The value of `Strict-Transport-Security`. `None` if the header is not sent.
    pub strict_transport: Option<&'static str>,
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

impl Default for Site {
    fn default() -> Site {
        Site {
            title: "Tollgate".to_owned(),
            environment: None,
            public_origin: None,
            cors_origins: Vec::new(),
            is_https: false,
            strict_transport: None,
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
    /// Returns the settings of the server that a request came to.
    pub fn of(request: &HttpRequest) -> Data<Site> {
        request.app_data::<Data<Site>>().cloned().unwrap_or_default()
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
