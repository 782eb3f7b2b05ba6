//! Named auth tokens: making, listing and revoking them.

use std::net::IpAddr;

use chrono::{NaiveDateTime, TimeDelta};
use diesel::QueryResult;

use super::{Auth, CurrentUser};
use crate::audit::{Action, Actor, Event, time_text};
use crate::clock;
use crate::db::{BULK_ROWS, Db, DbConnection, Scope};
use crate::domain::{Fingerprint, Invalid, OperationId, PlainToken, single_line};
use crate::error::{Error, Result};
use crate::models::{AuthToken, Change, NewAuthToken, User};

/// The most named auth tokens that a user may have at once.
const NAMED_TOKENS: i64 = 100;
/// The number of ended auth tokens kept for each user. Only the latest are kept, so that making and
/// ending auth tokens does not fill the disk.
pub(super) const ENDED_TOKENS: i64 = 100;
/// The most characters of a name.
const NAME_LENGTH: usize = 100;
/// The longest lifetime that can be asked for, in days. Without one, an auth token lives for ever.
const LONGEST_LIFE_DAYS: i64 = 36_500;

/// How long an ended auth token is kept, so that its user can still see it.
const KEEP_ENDED: TimeDelta = TimeDelta::days(30);

/// Extra time that an auth token may go unused beyond the setting, because recent uses may not be
/// written yet.
const IDLE_GRACE: TimeDelta = TimeDelta::minutes(5);
/// The number of ids that one query for idle auth tokens covers.
const IDLE_RANGE: i64 = 2_000;

/// A request for a named auth token.
#[derive(Clone, Debug)]
pub struct AuthTokenRequest {
    name: String,
    lifetime: Option<TimeDelta>,
    once: Option<(OperationId, Fingerprint)>,
}

impl AuthTokenRequest {
    /// Parses a name of 1 to 100 characters, and a lifetime in days.
    ///
    /// # Errors
    /// [`Invalid`], naming the field.
    pub fn parse(name: Option<&str>, expires_in_days: Option<i64>) -> Result<AuthTokenRequest, Invalid> {
        let name = single_line(name.unwrap_or_default(), NAME_LENGTH).map_err(|_| {
            Invalid::new("name", "give it as one line of 1 to 100 characters that can be seen")
        })?;
        let lifetime = match expires_in_days {
            None => None,
            Some(days @ 1..=LONGEST_LIFE_DAYS) => Some(TimeDelta::days(days)),
            Some(_) => return Err(Invalid::new("expires_in_days", "give a whole number from 1 to 36500")),
        };
        Ok(AuthTokenRequest { name, lifetime, once: None })
    }

    /// Returns the name, as it is stored.
    pub fn into_name(self) -> String {
        self.name
    }

    /// Makes the request part of an operation, which makes one auth token, however often it is
    /// repeated. The fingerprint tells a repeat from another request under the same id.
    pub fn once(self, operation_id: OperationId, fingerprint: Fingerprint) -> AuthTokenRequest {
        AuthTokenRequest { once: Some((operation_id, fingerprint)), ..self }
    }

    /// Digests the name and the lifetime, for the fingerprint of a request from `path`.
    pub fn fingerprint(&self, path: &str) -> Fingerprint {
        let days = self.lifetime.map_or(String::new(), |lifetime| lifetime.num_days().to_string());
        Fingerprint::of(path, &[("name", &self.name), ("expires_in_days", &days)])
    }
}

/// A new auth token. Its plain text is known only now.
#[derive(Debug)]
pub struct MadeAuthToken {
    /// The row, which has only the digest.
    pub stored: AuthToken,
    /// The plain text, for the user.
    pub plain: PlainToken,
}

/// The outcome of a request for a named auth token.
#[derive(Debug)]
pub enum AuthTokenOutcome {
    /// It was made.
    Made(MadeAuthToken),
    /// An earlier run of the same operation has made the auth token with this id. Its plain text is
    /// not known any more, since only its digest is stored.
    MadeBefore(i64),
    /// The operation id belongs to a request with different content. Nothing was made.
    OtherRequest,
}

impl Auth {
    /// Makes an auth token for the user who asks. For a member of the staff, the audit log records
    /// it, because the account has rights.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the user has as many as are allowed.
    pub async fn make_own_auth_token(
        &self,
        current: &CurrentUser,
        from: IpAddr,
        request: AuthTokenRequest,
    ) -> Result<AuthTokenOutcome> {
        self.make_auth_token(recorded_actor(&current.user, from), current.user.id, request).await
    }

    /// Makes an auth token for a user, and records it if there is an actor.
    ///
    /// # Errors
    /// [`Error::Invalid`] if the user has as many as are allowed.
    pub async fn make_auth_token(
        &self,
        actor: Option<Actor>,
        user_id: i64,
        request: AuthTokenRequest,
    ) -> Result<AuthTokenOutcome> {
        let now = clock::now();
        let plain = PlainToken::generate()?;
        let new = NewAuthToken {
            user_id,
            digest: plain.digest().as_bytes().to_vec(),
            first_characters: plain.first_characters().to_owned(),
            name: Some(request.name),
            created_at: now,
            expires_at: request.lifetime.map(|lifetime| now + lifetime),
            operation_id: request.once.map(|(id, _)| id.as_bytes().to_vec()),
            fingerprint: request.once.map(|(_, fingerprint)| fingerprint.as_bytes().to_vec()),
        };
        let once = request.once;
        let job = move |conn: &mut DbConnection| make_once(conn, &new, once, actor.as_ref());
        let made = match self.db.write(Scope::user(user_id), job.clone()).await {
            // The same form was sent at the same time for another user. Trying again finds what it
            // made.
            Err(error) if error.is_unique_violation() => self.db.write(Scope::user(user_id), job).await,
            outcome => outcome,
        };
        Ok(match made? {
            Stored::New(stored) => AuthTokenOutcome::Made(MadeAuthToken { stored, plain }),
            Stored::Before(id) => AuthTokenOutcome::MadeBefore(id),
            Stored::OtherRequest => AuthTokenOutcome::OtherRequest,
            Stored::TooMany => {
                let why = "there are 100 named auth tokens: revoke one first";
                return Err(Error::Invalid(Invalid::new("name", why)));
            }
        })
    }

    /// Returns what an operation has done so far: the auth token that it made, or that its id
    /// belongs to another request. `None` if it has done nothing.
    pub async fn find_operation(
        &self,
        operation_id: OperationId,
        fingerprint: Fingerprint,
    ) -> Result<Option<AuthTokenOutcome>> {
        let read = move |conn: &mut DbConnection| Ok(earlier(conn, operation_id, fingerprint)?);
        Ok(match self.db.read_few(read).await? {
            Some(Stored::Before(id)) => Some(AuthTokenOutcome::MadeBefore(id)),
            Some(_) => Some(AuthTokenOutcome::OtherRequest),
            None => None,
        })
    }

    /// Returns the user's live auth tokens, newest first.
    pub async fn auth_tokens(&self, current: &CurrentUser) -> Result<Vec<AuthToken>> {
        let (user_id, now): (i64, NaiveDateTime) = (current.user.id, clock::now());
        self.db.read(move |conn| Ok(AuthToken::live_of(conn, user_id, now)?)).await
    }

    /// Revokes an auth token of the user who asks. The audit log records it as in
    /// [`Auth::make_own_auth_token`].
    ///
    /// # Errors
    /// [`Error::NotFound`] if the user has no live auth token with this id.
    pub async fn revoke_own_auth_token(&self, current: &CurrentUser, from: IpAddr, id: i64) -> Result<()> {
        let actor = recorded_actor(&current.user, from);
        let revoked = revoke_auth_token(&self.db, actor, current.user.id, id).await?;
        if revoked { Ok(()) } else { Err(Error::NotFound) }
    }

    /// Revokes the auth tokens made by logins that went unused for longer than the setting allows.
    /// Returns their number.
    ///
    /// Uses are written once a minute, so an auth token gets five minutes more. The job reads
    /// ranges of ids, and each write touches only a few rows, so chats never wait for it.
    pub async fn end_idle_auth_tokens(&self) -> Result<usize> {
        let Some(idle) = self.rules().auth_token_idle else { return Ok(0) };
        let now = clock::now();
        let unused_since = now - idle - IDLE_GRACE;
        let (mut after, mut ended) = (0, 0);
        loop {
            let look = move |conn: &mut DbConnection| {
                Ok(AuthToken::idle_logins(conn, after, IDLE_RANGE, unused_since)?)
            };
            let (last, idle) = self.db.read(look).await?;
            for part in idle.chunks(usize::try_from(BULK_ROWS).unwrap_or(1)) {
                let part = part.to_vec();
                let end = move |conn: &mut DbConnection| {
                    Ok(AuthToken::revoke_idle(conn, &part, unused_since, now)?)
                };
                ended += self.db.write_bulk(Scope::none(), end).await?;
            }
            let Some(last) = last else { return Ok(ended) };
            after = last;
        }
    }
}

/// What one run of a request for an auth token did or found.
enum Stored {
    New(AuthToken),
    Before(i64),
    OtherRequest,
    TooMany,
}

/// Makes an auth token, unless its operation has made one.
fn make_once(
    conn: &mut DbConnection,
    new: &NewAuthToken,
    once: Option<(OperationId, Fingerprint)>,
    actor: Option<&Actor>,
) -> Result<Stored> {
    // A second run of this job finds its own digest, because nobody else can have made it.
    if let Some(stored) = AuthToken::find_by_digest(conn, &new.digest)? {
        return Ok(Stored::New(stored));
    }
    if let Some((operation_id, fingerprint)) = once
        && let Some(earlier) = earlier(conn, operation_id, fingerprint)?
    {
        return Ok(earlier);
    }
    if AuthToken::count_named(conn, new.user_id, new.created_at)? >= NAMED_TOKENS {
        return Ok(Stored::TooMany);
    }
    let made = new.insert(conn)?;
    AuthToken::prune_ended(conn, new.user_id, ENDED_TOKENS, new.created_at)?;
    if let Some(actor) = actor {
        record_made(conn, actor, &made)?;
    }
    Ok(Stored::New(made))
}

/// Looks up what an operation has done.
fn earlier(
    conn: &mut DbConnection,
    operation_id: OperationId,
    fingerprint: Fingerprint,
) -> QueryResult<Option<Stored>> {
    let found = AuthToken::find_by_operation(conn, operation_id)?;
    Ok(found.map(|(id, stored)| match stored.as_deref() == Some(fingerprint.as_bytes().as_slice()) {
        true => Stored::Before(id),
        false => Stored::OtherRequest,
    }))
}

fn record_made(conn: &mut DbConnection, actor: &Actor, made: &AuthToken) -> Result<()> {
    let changes = [
        Change::new("name", "", made.name.as_deref().unwrap_or_default()),
        Change::new("first_characters", "", &made.first_characters),
        Change::new("expires", "", time_text(made.expires_at)),
    ];
    let event = Event { changes: &changes, ..Event::about_auth_token(Action::Add, made.id, made.user_id) };
    Ok(actor.record(conn, &event, made.created_at)?)
}

/// Revokes an auth token of a user, and records it if there is an actor. Returns `false` if it had
/// already ended or does not exist.
pub async fn revoke_auth_token(db: &Db, actor: Option<Actor>, user_id: i64, id: i64) -> Result<bool> {
    let now = clock::now();
    let job = move |conn: &mut DbConnection| match &actor {
        Some(actor) => revoke_and_record(conn, actor, id, user_id, "", now),
        None => Ok(AuthToken::revoke(conn, user_id, id, now)?),
    };
    db.write(Scope::user(user_id), job).await
}

/// Revokes an auth token of a user and records it, in the caller's transaction. Returns `false` if
/// it had already ended or does not exist. A second run with the same `now` changes nothing.
pub(crate) fn revoke_and_record(
    conn: &mut DbConnection,
    actor: &Actor,
    id: i64,
    user_id: i64,
    note: &str,
    now: NaiveDateTime,
) -> Result<bool> {
    let Some(stored) = AuthToken::find(conn, id)? else { return Ok(false) };
    if stored.revoked_at == Some(now) {
        return Ok(true);
    }
    if !AuthToken::revoke(conn, user_id, id, now)? {
        return Ok(false);
    }
    let changes = [Change::new("revoked", "", time_text(Some(now)))];
    let event = Event { changes: &changes, note, ..Event::about_auth_token(Action::Revoke, id, user_id) };
    actor.record(conn, &event, now)?;
    Ok(true)
}

/// Returns the actor to record in the audit log when users change their own auth tokens. `None` for
/// a user without rights: the auth token's own row says enough, and such users could fill the log
/// at no cost.
fn recorded_actor(user: &User, from: IpAddr) -> Option<Actor> {
    let has_rights = user.is_staff || user.is_superuser;
    has_rights.then(|| Actor { user_id: Some(user.id), address: from.to_string() })
}

/// Deletes the auth tokens that were revoked or expired more than 30 days ago. Returns their
/// number.
pub async fn forget_auth_tokens(db: &Db) -> Result<usize> {
    db.write_in_parts(|conn, most| Ok(AuthToken::forget(conn, clock::now() - KEEP_ENDED, most)?)).await
}
