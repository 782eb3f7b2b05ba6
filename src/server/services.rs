//! The services that handlers use, and the routes.

use std::time::Duration;

use actix_web::web::{self, Data, ServiceConfig};
use chrono::TimeDelta;
use tokio::runtime::Handle;

use super::cores;
use crate::administration::Bulk;
use crate::api::{self, LargeBodies};
use crate::auth::{AccountRules, Auth, Hasher};
use crate::chat::Toll;
use crate::client_address::TrustedProxies;
use crate::config::{Config, LoginErrors, Registration, Switch};
use crate::db::Db;
use crate::error::Error;
use crate::http::{BodyTimeout, Https, Readiness, StrictTransport, not_found};
use crate::pages;
use crate::panel::{self, ModelSettings, PublicOrigin, SiteTitle, UserLimitDefaults};
use crate::throttle::{MemoryBudget, Throttle};

/// Everything that handlers use. Created once, shared by all workers.
#[derive(Clone)]
pub struct Services {
    pub db: Data<Db>,
    pub auth: Data<Auth>,
    pub toll: Data<Toll>,
    pub bulk: Data<Bulk>,
    pub readiness: Data<Readiness>,
    pub memory: Data<MemoryBudget>,
    body_timeout: Data<BodyTimeout>,
    large_bodies: Data<LargeBodies>,
    proxies: Data<TrustedProxies>,
    https: Data<Https>,
    strict_transport: Data<StrictTransport>,
    public_origin: Data<PublicOrigin>,
    site_title: Data<SiteTitle>,
    model_settings: Data<ModelSettings>,
    user_limits: Data<UserLimitDefaults>,
}

impl Services {
    /// `runtime` settles holds, so it must outlive the server.
    ///
    /// # Errors
    /// What is missing in the settings.
    pub fn new(config: &Config, db: Db, runtime: Handle) -> Result<Services, String> {
        let hasher = Hasher::new(config.accounts.bcrypt_cost, cores());
        let rules = AccountRules {
            opening_tokens: config.metering.opening_tokens,
            registration_open: config.accounts.registration == Registration::Open,
            unified_login_errors: config.accounts.login_errors == LoginErrors::Unified,
            session_idle: TimeDelta::minutes(i64::from(config.accounts.session_idle_minutes)),
            session_lifetime: TimeDelta::hours(i64::from(config.accounts.session_hours)),
            requests_per_minute: config.limits.requests_per_minute,
            auth_token_lifetime: days_of(config.accounts.auth_token_days),
            auth_token_idle: days_of(config.accounts.auth_token_idle_days),
        };
        let is_throttled = config.accounts.throttle == Switch::On;
        let throttle = Throttle::new(is_throttled, config.limits.reads_per_minute);
        let responder = config.responder()?;
        let named = responder.models().to_vec();
        let toll = Toll::new(db.clone(), responder, config.prices(), runtime);
        Ok(Services {
            auth: Data::new(Auth::new(db.clone(), hasher, throttle, rules)),
            db: Data::new(db),
            toll: Data::new(toll),
            bulk: Data::new(Bulk::default()),
            readiness: Data::new(Readiness::default()),
            memory: Data::new(MemoryBudget::new(config.listen.memory_budget * 1024 * 1024)),
            body_timeout: Data::new(BodyTimeout(Duration::from_secs(config.listen.body_timeout))),
            large_bodies: Data::new(LargeBodies::default()),
            proxies: Data::new(config.listen.trusted_proxies.clone()),
            https: Data::new(Https(config.is_https())),
            strict_transport: Data::new(StrictTransport(config.strict_transport())),
            public_origin: Data::new(PublicOrigin(config.public_origin())),
            site_title: Data::new(SiteTitle(config.listen.site_title.clone())),
            model_settings: Data::new(ModelSettings {
                message_price: config.metering.chat_price,
                max_output: config.upstream.upstream_max_output,
                named,
            }),
            user_limits: Data::new(UserLimitDefaults {
                concurrent_chats: config.limits.concurrent_chats,
                requests_per_minute: i64::from(config.limits.requests_per_minute),
            }),
        })
    }
}

/// Converts days to a duration. 0 means no limit.
fn days_of(days: u32) -> Option<TimeDelta> {
    (days > 0).then(|| TimeDelta::days(i64::from(days)))
}

/// Configures all routes and what they need: the whole server except its middleware.
pub fn routes(services: Services) -> impl FnOnce(&mut ServiceConfig) {
    move |config| {
        config
            .app_data(services.db)
            .app_data(services.auth)
            .app_data(services.toll)
            .app_data(services.bulk)
            .app_data(services.readiness)
            .app_data(services.memory)
            .app_data(services.body_timeout)
            .app_data(services.large_bodies)
            .app_data(services.proxies)
            .app_data(services.https)
            .app_data(services.strict_transport)
            .app_data(services.public_origin)
            .app_data(services.site_title)
            .app_data(services.model_settings)
            .app_data(services.user_limits)
            .configure(api::routes)
            .configure(pages::routes)
            .configure(panel::routes)
            .default_service(web::to(not_found::<Error>));
    }
}
