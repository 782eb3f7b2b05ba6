//! The settings that handlers and the middleware read.

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
    /// The most simultaneous chats of a user without an individual limit (`--concurrent-chats`).
    pub concurrent_chats: i64,
    /// The most messages a minute of a user without an individual limit.
    pub requests_per_minute: i64,
}

impl Default for Site {
    fn default() -> Site {
        Site {
            title: "Tollgate".to_owned(),
            public_origin: None,
            cors_origins: Vec::new(),
            is_https: false,
            strict_transport: None,
            body_timeout: Duration::from_secs(15),
            message_price: 0,
            top_up: None,
            answer_limits: AnswerLimits { default: 0, most: 0 },
            models: Vec::new(),
            concurrent_chats: 0,
            requests_per_minute: 0,
        }
    }
}

impl Site {
    /// Returns the settings of the server that a request came to.
    pub fn of(request: &HttpRequest) -> Data<Site> {
        request.app_data::<Data<Site>>().cloned().unwrap_or_default()
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
