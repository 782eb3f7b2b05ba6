//! Who somebody is: registration, log-in, auth tokens, passwords.
//!
//! [`Auth`] has the business verbs, each in a file of its own. [`CurrentUser`] is the extractor by
//! which a handler requires a user.

mod auth_tokens;
mod current_user;
mod failed_sign_ins;
mod first_run;
mod hasher;
mod hashing;
mod last_uses;
mod limits;
mod log_in;
pub mod password_hash;
mod passwords;
mod register;
mod security_log;
mod sessions;
mod skeletons;
mod usual_cost;

pub(crate) use auth_tokens::revoke_and_record;
pub use auth_tokens::{
    AuthTokenOutcome, AuthTokenRequest, MadeAuthToken, forget_auth_tokens, revoke_auth_token,
};
pub use current_user::{Credentials, CurrentUser};
pub use first_run::{FirstRun, FirstSuperuser};
pub use hasher::Hasher;
pub use hashing::HashTimes;
pub use last_uses::LastUses;
pub use limits::{Counted, Guest};
pub use log_in::LogIn;
pub use passwords::{Keep, PasswordChange, parse_new_password, set_password};
pub(crate) use register::open_superuser;
pub use register::{NewSuperuser, make_superuser, parse_account};
pub use sessions::{RequestedBy, SignIn, SignedIn, forget_sessions};
pub use skeletons::fill_skeletons;

use std::sync::Arc;

use chrono::TimeDelta;
use tokio::sync::OnceCell;

use crate::db::Db;
use crate::live::Live;
use crate::throttle::Throttle;

/// The settings for accounts.
#[derive(Clone, Debug)]
pub struct AccountRules {
    /// The opening balance of a new user, in tokens.
    pub opening_tokens: i64,
    /// The tokens above which an administrator types the amount of a grant twice. 0: never.
    pub large_grant: i64,
    /// Whether anybody may register.
    pub registration_open: bool,
    /// Whether the error of a failed log-in hides which was wrong, the name or the password.
    pub unified_login_errors: bool,
    /// How long a login's auth token lives. `None` means for ever.
    pub auth_token_lifetime: Option<TimeDelta>,
    /// How long a login's auth token may go unused. `None` means no limit.
    pub auth_token_idle: Option<TimeDelta>,
    /// How long a session of the panel may go unused.
    pub session_idle: TimeDelta,
    /// The longest lifetime of a session of the panel.
    pub session_lifetime: TimeDelta,
    /// Messages per minute that this node accepts from a user without a limit of their own.
    pub requests_per_minute: u32,
}

/// The accounts of this server.
pub struct Auth {
    pub(crate) db: Db,
    pub(crate) hasher: Hasher,
    pub(crate) throttle: Throttle,
    rules: Live<AccountRules>,
    pub(crate) last_uses: LastUses,
    limits: limits::KnownLimits,
    /// Set after stored hashes were sampled.
    usual_cost_learnt: OnceCell<()>,
    /// The key of the link that makes the first superuser.
    pub first_run: FirstRun,
}

impl Auth {
    /// Puts the parts together.
    pub fn new(db: Db, hasher: Hasher, throttle: Throttle, rules: AccountRules) -> Auth {
        let (last_uses, limits, usual_cost_learnt, first_run) = Default::default();
        let rules = Live::new(rules);
        Auth { db, hasher, throttle, rules, last_uses, limits, usual_cost_learnt, first_run }
    }

    /// Returns the settings for accounts, as they are now.
    pub fn rules(&self) -> Arc<AccountRules> {
        self.rules.get()
    }

    /// Replaces the settings for accounts.
    pub fn set_rules(&self, rules: AccountRules) {
        self.rules.set(rules);
    }

    /// Returns the cost of the bcrypt that a log-in with an unknown name takes, in doublings.
    pub fn cost_of_unknown_names(&self) -> u32 {
        self.hasher.usual_cost().get()
    }

    /// Returns the hasher of passwords.
    pub fn hasher(&self) -> &Hasher {
        &self.hasher
    }

    /// Counts the bytes of a response for the user.
    pub fn count_bytes(&self, current: &CurrentUser, bytes: usize) {
        self.throttle.charge_bytes(current.user.id, bytes);
    }

    /// Drops what the throttles no longer need.
    pub fn housekeeping(&self) {
        self.throttle.housekeeping();
    }

    /// Writes to the database which auth tokens were used.
    pub async fn write_last_uses(&self) {
        self.last_uses.write(&self.db).await;
    }
}
