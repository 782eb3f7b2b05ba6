//! `auth_tokens`: auth tokens, of which only digests are stored.

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Timestamp};

use crate::db::{DbConnection, MaybeStoredTime, StoredTime};
use crate::domain::{OperationId, TokenDigest};
use crate::models::{Editable, EditableField, FieldValue};
use crate::schema::auth_tokens::{self, dsl};

/// A row of `auth_tokens`.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = auth_tokens)]
pub struct AuthToken {
    /// Identifies the token in the API and the panel.
    pub id: i64,
    /// The user who owns it.
    pub user_id: i64,
    /// The SHA-256 of the token.
    pub digest: Vec<u8>,
    /// The first characters of the token, by which its owner recognises it.
    pub first_characters: String,
    /// The name that its owner gave it. `None` if a login created it.
    pub name: Option<String>,
    /// When it was created.
    #[diesel(deserialize_as = StoredTime)]
    pub created_at: NaiveDateTime,
    /// When it was last used, to the minute: uses are written in batches.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub last_used_at: Option<NaiveDateTime>,
    /// When it expires. `None` if it never does.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub expires_at: Option<NaiveDateTime>,
    /// When it was revoked, if it was.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub revoked_at: Option<NaiveDateTime>,
}

/// What a person can edit of an auth token.
#[derive(Clone, Debug, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = auth_tokens, treat_none_as_null = true)]
pub struct AuthTokenChanges {
    /// The name. `None` for the auth token of a login.
    pub name: Option<String>,
    /// When it expires. `None` if it never does.
    pub expires_at: Option<NaiveDateTime>,
}

impl Editable for AuthTokenChanges {
    type Row = AuthToken;

    const FIELDS: &'static [EditableField<AuthTokenChanges>] = &[
        EditableField {
            name: "name",
            value: |token| FieldValue::Text(token.name.clone().unwrap_or_default()),
        },
        EditableField { name: "expires", value: |token| FieldValue::Time(token.expires_at) },
    ];

    fn of(token: &AuthToken) -> AuthTokenChanges {
        AuthTokenChanges { name: token.name.clone(), expires_at: token.expires_at }
    }

    fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<AuthToken>> {
        Ok(AuthToken::find(conn, id)?.filter(|stored| stored.revoked_at.is_none()))
    }

    fn store(&self, conn: &mut DbConnection, stored: &AuthToken) -> QueryResult<bool> {
        Ok(diesel::update(dsl::auth_tokens.find(stored.id)).set(self).execute(conn)? == 1)
    }
}

/// A row to insert. Its fields are those of [`AuthToken`].
#[derive(Clone, Debug, Insertable)]
#[diesel(table_name = auth_tokens)]
pub struct NewAuthToken {
    /// The user who owns it.
    pub user_id: i64,
    /// The SHA-256 of the token.
    pub digest: Vec<u8>,
    /// The first characters of the token, by which its owner recognises it.
    pub first_characters: String,
    /// The name that its owner gave it. `None` if a login creates it.
    pub name: Option<String>,
    /// When it is created.
    pub created_at: NaiveDateTime,
    /// When it expires. `None` if it never does.
    pub expires_at: Option<NaiveDateTime>,
    /// The operation that creates it, if a repeat of it must create no second one.
    pub operation_id: Option<Vec<u8>>,
    /// The digest of the operation's request.
    pub fingerprint: Option<Vec<u8>>,
}

impl NewAuthToken {
    /// Inserts the auth token, or returns the stored one if an earlier attempt of the same job has
    /// inserted it.
    pub fn insert(&self, conn: &mut DbConnection) -> QueryResult<AuthToken> {
        match AuthToken::find_by_digest(conn, &self.digest)? {
            Some(stored) => Ok(stored),
            None => {
                let row = diesel::insert_into(dsl::auth_tokens).values(self.clone());
                let id = row.returning(dsl::id).get_result(conn)?;
                Ok(self.clone().stored_as(id))
            }
        }
    }

    fn stored_as(self, id: i64) -> AuthToken {
        AuthToken {
            id,
            user_id: self.user_id,
            digest: self.digest,
            first_characters: self.first_characters,
            name: self.name,
            created_at: self.created_at,
            last_used_at: None,
            expires_at: self.expires_at,
            revoked_at: None,
        }
    }
}

impl AuthToken {
    /// Returns a user's live auth tokens, the newest first.
    pub fn live_of(conn: &mut DbConnection, user_id: i64, now: NaiveDateTime) -> QueryResult<Vec<AuthToken>> {
        live(user_id, now).order(dsl::id.desc()).select(AuthToken::as_select()).load(conn)
    }

    /// Returns the auth token with this id, if there is one.
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<AuthToken>> {
        dsl::auth_tokens.find(id).select(AuthToken::as_select()).get_result(conn).optional()
    }

    /// Returns the auth tokens with these ids, in any order.
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<AuthToken>> {
        dsl::auth_tokens.filter(dsl::id.eq_any(ids)).select(AuthToken::as_select()).load(conn)
    }

    /// Deletes up to `most` auth tokens of a user. Returns how many it deleted.
    pub fn forget_of(conn: &mut DbConnection, user_id: i64, most: i64) -> QueryResult<usize> {
        let own = dsl::auth_tokens.filter(dsl::user_id.eq(user_id));
        let ids: Vec<i64> = own.limit(most).select(dsl::id).load(conn)?;
        diesel::delete(dsl::auth_tokens.filter(dsl::id.eq_any(ids))).execute(conn)
    }

    /// Returns how many live auth tokens with a name a user has.
    pub fn count_named(conn: &mut DbConnection, user_id: i64, now: NaiveDateTime) -> QueryResult<i64> {
        live(user_id, now).filter(dsl::name.is_not_null()).count().get_result(conn)
    }

    /// Returns the auth token with this digest, even if it has ended.
    pub fn find_by_digest(conn: &mut DbConnection, digest: &[u8]) -> QueryResult<Option<AuthToken>> {
        dsl::auth_tokens
            .filter(dsl::digest.eq(digest))
            .select(AuthToken::as_select())
            .get_result(conn)
            .optional()
    }

    /// Returns the id of the auth token that an operation has created, even if it has ended, and
    /// the digest of that operation's request.
    pub fn find_by_operation(
        conn: &mut DbConnection,
        operation_id: OperationId,
    ) -> QueryResult<Option<(i64, Option<Vec<u8>>)>> {
        dsl::auth_tokens
            .filter(dsl::operation_id.eq(operation_id.as_bytes().as_slice()))
            .select((dsl::id, dsl::fingerprint))
            .get_result(conn)
            .optional()
    }

    /// Returns how many live auth tokens of a user were created by logins.
    pub fn count_logins(conn: &mut DbConnection, user_id: i64, now: NaiveDateTime) -> QueryResult<i64> {
        live(user_id, now).filter(dsl::name.is_null()).count().get_result(conn)
    }

    /// Deletes a user's live auth tokens that logins created, except `newest` and the most recently
    /// used others: `keep` remain in total.
    pub fn prune_logins(
        conn: &mut DbConnection,
        user_id: i64,
        newest: i64,
        keep: i64,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        let last_use = sql::<Nullable<Timestamp>>("coalesce(last_used_at, created_at)");
        let surplus: Vec<i64> = live(user_id, now)
            .filter(dsl::name.is_null())
            .filter(dsl::id.ne(newest))
            .order((last_use.desc(), dsl::id.desc()))
            .offset(keep - 1)
            // SQLite has no OFFSET without a LIMIT.
            .limit(1000)
            .select(dsl::id)
            .load(conn)?;
        diesel::delete(dsl::auth_tokens.filter(dsl::id.eq_any(surplus))).execute(conn)
    }

    /// Deletes some of a user's earliest ended auth tokens, beyond the latest `keep`.
    pub fn prune_ended(
        conn: &mut DbConnection,
        user_id: i64,
        keep: i64,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        let ended = dsl::revoked_at.is_not_null().or(dsl::expires_at.lt(now).assume_not_null());
        let surplus: Vec<i64> = dsl::auth_tokens
            .filter(dsl::user_id.eq(user_id))
            .filter(ended)
            .order(dsl::id.desc())
            .offset(keep)
            // SQLite has no OFFSET without a LIMIT.
            .limit(100)
            .select(dsl::id)
            .load(conn)?;
        if surplus.is_empty() {
            return Ok(0);
        }
        diesel::delete(dsl::auth_tokens.filter(dsl::id.eq_any(surplus))).execute(conn)
    }

    /// Revokes a user's auth token. Returns whether it was live, or was revoked by an earlier
    /// attempt of the same job, at the same `now`.
    pub fn revoke(conn: &mut DbConnection, user_id: i64, id: i64, now: NaiveDateTime) -> QueryResult<bool> {
        let target = dsl::auth_tokens
            .filter(dsl::id.eq(id))
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::revoked_at.is_null().or(dsl::revoked_at.eq(now)));
        Ok(diesel::update(target).set(dsl::revoked_at.eq(now)).execute(conn)? == 1)
    }

    /// Revokes all auth tokens of a user except the one with the id `keep`.
    pub fn revoke_all(
        conn: &mut DbConnection,
        user_id: i64,
        keep: Option<i64>,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        let target = dsl::auth_tokens
            .filter(dsl::user_id.eq(user_id))
            .filter(dsl::revoked_at.is_null())
            .filter(dsl::id.ne(keep.unwrap_or(-1)));
        diesel::update(target).set(dsl::revoked_at.eq(now)).execute(conn)
    }

    /// Deletes up to `most` auth tokens that ended before `time`. Returns how many it deleted.
    pub fn forget(conn: &mut DbConnection, time: NaiveDateTime, most: i64) -> QueryResult<usize> {
        let ended = dsl::revoked_at.lt(time).or(dsl::expires_at.lt(time));
        let ids: Vec<i64> =
            dsl::auth_tokens.filter(ended.assume_not_null()).limit(most).select(dsl::id).load(conn)?;
        diesel::delete(dsl::auth_tokens.filter(dsl::id.eq_any(ids))).execute(conn)
    }

    /// Scans up to `most` ids above `after`. Returns the last of them, and the live auth tokens
    /// among them that a login created and that were not used after `unused_since`. Returns `None`
    /// if there are no further ids.
    pub fn idle_logins(
        conn: &mut DbConnection,
        after: i64,
        most: i64,
        unused_since: NaiveDateTime,
    ) -> QueryResult<(Option<i64>, Vec<i64>)> {
        let range = dsl::auth_tokens.filter(dsl::id.gt(after)).order(dsl::id).select(dsl::id);
        let ids: Vec<i64> = range.limit(most).load(conn)?;
        let Some(last) = ids.last().copied() else { return Ok((None, Vec::new())) };
        let idle = idle(unused_since).filter(dsl::id.gt(after)).filter(dsl::id.le(last));
        Ok((Some(last), idle.select(dsl::id).load(conn)?))
    }

    /// Revokes those of `ids` that are still as [`AuthToken::idle_logins`] found them.
    pub fn revoke_idle(
        conn: &mut DbConnection,
        ids: &[i64],
        unused_since: NaiveDateTime,
        now: NaiveDateTime,
    ) -> QueryResult<usize> {
        let target = idle(unused_since).filter(dsl::id.eq_any(ids));
        diesel::update(target).set(dsl::revoked_at.eq(now)).execute(conn)
    }

    /// Stores the time of a use, unless a later one is stored.
    pub fn touch(conn: &mut DbConnection, digest: TokenDigest, used_at: NaiveDateTime) -> QueryResult<usize> {
        let target = dsl::auth_tokens
            .filter(dsl::digest.eq(digest.as_bytes().as_slice()))
            .filter(dsl::last_used_at.is_null().or(dsl::last_used_at.lt(used_at)));
        diesel::update(target).set(dsl::last_used_at.eq(used_at)).execute(conn)
    }
}

#[diesel::dsl::auto_type(no_type_alias)]
fn live(user_id: i64, now: NaiveDateTime) -> _ {
    let unexpired = dsl::expires_at.is_null().or(dsl::expires_at.gt(now));
    dsl::auth_tokens.filter(dsl::user_id.eq(user_id)).filter(dsl::revoked_at.is_null()).filter(unexpired)
}

/// Matches auth tokens that a login created, that are not revoked, and that were last used, or
/// created, before `unused_since`.
#[diesel::dsl::auto_type(no_type_alias)]
fn idle(unused_since: NaiveDateTime) -> _ {
    let never_used = dsl::last_used_at.is_null().and(dsl::created_at.lt(unused_since));
    let is_idle = dsl::last_used_at.lt(unused_since).or(never_used);
    dsl::auth_tokens.filter(dsl::name.is_null()).filter(dsl::revoked_at.is_null()).filter(is_idle)
}
