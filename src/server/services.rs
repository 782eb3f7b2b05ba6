//! The services that handlers use, and the routes.

use std::time::Duration;

use actix_web::http::header::HeaderValue;
use actix_web::web::{self, Data, ServiceConfig};
use chrono::TimeDelta;
use sha2::{Digest, Sha256};
use tokio::runtime::Handle;

use super::cores;
use super::forwarders::UntrustedForwarders;
use super::traffic::Traffic;
use crate::administration::Bulk;
use crate::api::{self, LargeBodies};
use crate::auth::{AccountRules, Auth, Hasher};
use crate::backup::Backups;
use crate::chat::Toll;
use crate::client_address::TrustedProxies;
use crate::config::{Config, LoginErrors, Registration, Switch};
use crate::db::Db;
use crate::error::Error;
use crate::http::{PathKind, Readiness, Site, not_found};
use crate::live::Live;
use crate::models::DatabaseIdentity;
use crate::pages;
use crate::panel;
use crate::throttle::{MemoryBudget, Throttle};
use crate::tls::Tls;

/// Everything that handlers use. Created once and shared by all workers.
#[derive(Clone)]
pub struct Services {
    /// The database.
    pub db: Data<Db>,
    /// Log-in, auth tokens, sessions and the throttles.
    pub auth: Data<Auth>,
    /// Charges and answers chats.
    pub toll: Data<Toll>,
    /// The queue of operations on many rows.
    pub bulk: Data<Bulk>,
    /// Makes backups on SQLite.
    pub backups: Data<Backups>,
    /// Whether the server accepts new requests.
    pub readiness: Data<Readiness>,
    /// The memory budget for what clients send and have not yet read.
    pub memory: Data<MemoryBudget>,
    /// Counts requests and connections.
    pub(super) traffic: Data<Traffic>,
    large_bodies: Data<LargeBodies>,
    proxies: Data<TrustedProxies>,
    forwarders: Data<UntrustedForwarders>,
    site: Data<Live<Site>>,
    /// The server's certificate, if it speaks TLS itself.
    tls: Option<Tls>,
    /// The settings as they are now.
    pub settings: Data<Live<Config>>,
}

impl Services {
    /// Makes the services from the settings. `runtime` settles holds, so it must outlive the
    /// server.
    ///
    /// # Errors
    /// Fails with a sentence on what is missing or wrong in the settings.
    pub fn new(config: &Config, db: Db, runtime: Handle) -> Result<Services, String> {
        let hasher = Hasher::new(config.accounts.hashing.bcrypt_cost, cores());
        let is_throttled = config.accounts.throttle == Switch::On;
        let throttle = Throttle::new(is_throttled, config.limits.reads_per_minute);
        let memory = MemoryBudget::new(config.listen.memory_budget * 1024 * 1024);
        let responder = config.responder(memory.clone())?;
        let identity = identity(&db)?;
        let tls = config.tls.files.open()?;
        let site = Site {
            cookie_mark: cookie_mark(config, &identity),
            tls: tls.clone(),
            ..site(config, responder.models().to_vec())
        };
        let toll = Toll::new(db.clone(), responder, config.prices(), memory.clone(), runtime);
        Ok(Services {
            auth: Data::new(Auth::new(db.clone(), hasher, throttle, rules(config))),
            db: Data::new(db),
            toll: Data::new(toll),
            bulk: Data::new(Bulk::default()),
            backups: Data::new(backups(config, &identity)),
            readiness: Data::new(Readiness::default()),
            memory: Data::new(memory),
            traffic: Data::new(Traffic::default()),
            large_bodies: Data::new(LargeBodies::default()),
            proxies: Data::new(config.listen.trusted_proxies.clone()),
            forwarders: Data::default(),
            site: Data::new(Live::new(site)),
            tls,
            settings: Data::new(Live::new(config.clone())),
        })
    }

    /// Applies settings after a reload. Of those that only the start reads, `config` must have the
    /// values that are in force ([`crate::config::after_reload`]).
    ///
    /// # Errors
    /// Fails with a sentence on what is wrong. Then nothing is changed.
    pub fn apply(&self, config: &Config) -> Result<(), String> {
        let memory = MemoryBudget::clone(&self.memory);
        let responder = config.responder_after(&self.toll.responder(), memory)?;
        let (cookie_mark, tls) = (self.cookie_mark(), self.tls.clone());
        self.site.set(Site { cookie_mark, tls, ..site(config, responder.models().to_vec()) });
        self.auth.set_rules(rules(config));
        self.auth.throttle.change(config.accounts.throttle == Switch::On, config.limits.reads_per_minute);
        self.toll.change(responder, config.prices());
        if let Some(settings) = config.backup_settings() {
            self.backups.change(settings);
        }
        self.settings.set(config.clone());
        Ok(())
    }

    /// Stores the models that the settings name, for the panel, and learns what the upstream
    /// reports of them.
    pub(super) async fn learn_models(&self) {
        if let Err(error) = self.toll.note_models().await {
            log::warn!("the models on offer could not be noted for the panel: {error}");
        }
        self.toll.learn_models().await;
    }

    /// Returns the server's certificate. `None` if the server speaks plain HTTP.
    pub fn tls(&self) -> Option<&Tls> {
        self.tls.as_ref()
    }

    /// Returns the part of the names of the panel's cookies that tells this server from others.
    pub fn cookie_mark(&self) -> String {
        self.site.get().cookie_mark.clone()
    }
}

/// Returns the settings for accounts.
fn rules(config: &Config) -> AccountRules {
    AccountRules {
        opening_tokens: config.metering.opening.opening_tokens,
        large_grant: config.large_grant(),
        registration_open: config.accounts.registration == Registration::Open,
        unified_login_errors: config.accounts.login_errors == LoginErrors::Unified,
        session_idle: TimeDelta::minutes(i64::from(config.accounts.session_idle_minutes)),
        session_lifetime: TimeDelta::hours(i64::from(config.accounts.session_hours)),
        requests_per_minute: config.limits.requests_per_minute,
        auth_token_lifetime: days_of(config.accounts.auth_token_days),
        auth_token_idle: days_of(config.accounts.auth_token_idle_days),
    }
}

/// Returns the settings that handlers and the middleware read. `models` has the names of the models
/// on offer.
fn site(config: &Config, models: Vec<String>) -> Site {
    Site {
        title: config.listen.site_title.clone(),
        notice: config.listen.site_notice.clone(),
        security_contact: config.listen.security_contact.clone(),
        environment: config.listen.environment_label.clone(),
        is_registration_open: config.accounts.registration == Registration::Open,
        public_origin: config.public_origin(),
        cors_origins: config.listen.cors_origins.clone(),
        is_https: config.is_https(),
        strict_transport: config.strict_transport().and_then(|value| HeaderValue::from_str(&value).ok()),
        tls: None,
        body_timeout: Duration::from_secs(config.listen.body_timeout),
        message_price: config.metering.chat_price,
        top_up: config.metering.top_up.clone(),
        answer_limits: config.upstream.answer_limits(),
        models,
        cookie_mark: String::new(),
        concurrent_chats: config.limits.concurrent_chats,
        requests_per_minute: i64::from(config.limits.requests_per_minute),
        data_folder: config.data_folder(),
        min_free_disk: config.listen.min_free_disk,
    }
}

fn identity(db: &Db) -> Result<DatabaseIdentity, String> {
    let identity = db.read_blocking(|conn| Ok(DatabaseIdentity::find(conn)?));
    identity.map_err(|error| format!("cannot read the database's identity: {error}"))
}

/// Returns the part of the cookies' names that tells this server from others on the same host name.
/// A copy of the database has the same identity, so the address that browsers use counts, too.
fn cookie_mark(config: &Config, identity: &DatabaseIdentity) -> String {
    let mut digest = Sha256::new();
    digest.update(&identity.id);
    digest.update(config.public_origin().unwrap_or_default());
    first_digits(digest.finalize().iter())
}

/// Returns the first four bytes as hexadecimal digits.
fn first_digits<'a>(bytes: impl Iterator<Item = &'a u8>) -> String {
    bytes.take(4).map(|byte| format!("{byte:02x}")).collect()
}

/// Returns what makes backups, if the settings turn them on.
fn backups(config: &Config, identity: &DatabaseIdentity) -> Backups {
    match (config.backup_settings(), config.database.url().sqlite_path()) {
        (Some(settings), Some(database)) => {
            Backups::new(settings, database.to_owned(), first_digits(identity.id.iter()))
        }
        _ => Backups::default(),
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
            .app_data(services.backups)
            .app_data(services.readiness)
            .app_data(services.memory)
            .app_data(services.traffic)
            .app_data(services.large_bodies)
            .app_data(services.proxies)
            .app_data(services.forwarders)
            .app_data(services.site)
            .configure(paths);
    }
}

/// Adds all paths. No fixed path also matches a path with parameters that comes before it in its
/// table, so the order of the kinds changes nothing.
fn paths(config: &mut ServiceConfig) {
    for kind in [PathKind::Fixed, PathKind::WithParameters] {
        api::routes(config, kind);
        pages::routes(config, kind);
        panel::routes(config, kind);
    }
    config.default_service(web::to(not_found::<Error>));
}

#[cfg(test)]
mod tests;
