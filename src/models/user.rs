//! `users`: accounts, with their balances, rights and limits.

use std::collections::HashMap;

use chrono::NaiveDateTime;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::db::{Bind, DbConnection, DynamicStatement, MaybeStoredTime, StoredTime, fixed, on_either};
use crate::domain::{LoginName, TokenDigest, Username, canonical_of};
use crate::models::{AuthToken, Editable, EditableField, FieldValue};
use crate::schema::{auth_tokens, users};

/// What charges and limits need to know of a user.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Queryable)]
pub struct Payer {
    /// The user's id.
    pub user_id: i64,
    /// The balance.
    pub tokens: i64,
    /// See [`User::concurrent_chats`].
    pub concurrent_chats: Option<i64>,
    /// See [`User::requests_per_minute`].
    pub requests_per_minute: Option<i64>,
}

impl Payer {
    /// Returns what a user's row says.
    pub fn of(user: &User) -> Payer {
        Payer {
            user_id: user.id,
            tokens: user.tokens,
            concurrent_chats: user.concurrent_chats,
            requests_per_minute: user.requests_per_minute,
        }
    }

    /// Returns the active user of a valid auth token.
    pub fn find(
        conn: &mut DbConnection,
        digest: TokenDigest,
        now: NaiveDateTime,
    ) -> QueryResult<Option<Payer>> {
        on_either!(conn => {
            let found = with_auth_token(digest.as_bytes(), StoredTime(now));
            let columns = (users::id, users::tokens, users::concurrent_chats, users::requests_per_minute);
            fixed(found.select(columns)).get_result(conn)
        })
        .optional()
    }
}

/// The active user of an auth token that is valid at a time.
#[diesel::dsl::auto_type(no_type_alias)]
fn with_auth_token<'a>(digest: &'a [u8], now: StoredTime) -> _ {
    auth_tokens::table
        .inner_join(users::table)
        .filter(auth_tokens::digest.eq(digest))
        .filter(auth_tokens::revoked_at.is_null())
        .filter(auth_tokens::expires_at.is_null().or(auth_tokens::expires_at.gt(now)))
        .filter(users::is_active.eq(true))
}

/// The fields of a user that an administrator can edit.
#[derive(Clone, Debug, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = users)]
pub struct UserChanges {
    /// The name, as it is shown.
    pub username: String,
    /// The canonical form of the name, which is unique.
    pub username_canonical: String,
    /// Whether the user may log in and use auth tokens.
    pub is_active: bool,
    /// Whether the user may sign in to the panel.
    pub is_staff: bool,
    /// Whether the user may do everything in the panel.
    pub is_superuser: bool,
}

impl UserChanges {
    /// Gives the user another name.
    pub fn named(self, username: &Username) -> UserChanges {
        UserChanges {
            username: username.as_str().to_owned(),
            username_canonical: username.canonical().to_owned(),
            ..self
        }
    }
}

impl Editable for UserChanges {
    type Row = User;

    const FIELDS: &'static [EditableField<UserChanges>] = &[
        EditableField { name: "username", value: |user| FieldValue::Text(user.username.clone()) },
        EditableField { name: "active", value: |user| FieldValue::YesNo(user.is_active) },
        EditableField { name: "staff", value: |user| FieldValue::YesNo(user.is_staff) },
        EditableField { name: "superuser", value: |user| FieldValue::YesNo(user.is_superuser) },
    ];

    fn of(user: &User) -> UserChanges {
        UserChanges {
            username: user.username.clone(),
            username_canonical: user.username_canonical.clone(),
            is_active: user.is_active,
            is_staff: user.is_staff,
            is_superuser: user.is_superuser,
        }
    }

    fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<User>> {
        User::find(conn, id)
    }

    fn store(&self, conn: &mut DbConnection, stored: &User) -> QueryResult<bool> {
        let values = (self, users::version.eq(users::version + 1));
        Ok(diesel::update(users::table.find(stored.id)).set(values).execute(conn)? == 1)
    }
}

/// A user's own limits. `None`: the limit of the settings applies.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, AsChangeset)]
#[diesel(table_name = users, treat_none_as_null = true)]
pub struct UserLimits {
    /// The most simultaneous chats.
    pub concurrent_chats: Option<i64>,
    /// The most messages a minute.
    pub requests_per_minute: Option<i64>,
}

impl Editable for UserLimits {
    type Row = User;

    const FIELDS: &'static [EditableField<UserLimits>] = &[
        EditableField {
            name: "concurrent_chats",
            value: |limits| FieldValue::Limit(limits.concurrent_chats),
        },
        EditableField {
            name: "requests_per_minute",
            value: |limits| FieldValue::Limit(limits.requests_per_minute),
        },
    ];

    fn of(user: &User) -> UserLimits {
        UserLimits { concurrent_chats: user.concurrent_chats, requests_per_minute: user.requests_per_minute }
    }

    fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<User>> {
        User::find(conn, id)
    }

    fn store(&self, conn: &mut DbConnection, stored: &User) -> QueryResult<bool> {
        let values = (self, users::version.eq(users::version + 1));
        Ok(diesel::update(users::table.find(stored.id)).set(values).execute(conn)? == 1)
    }
}

/// A row of `users`. It is never serialised: each API resource has its own list of fields.
#[derive(Clone, Debug, Queryable, Selectable, Identifiable)]
#[diesel(table_name = users)]
pub struct User {
    /// Ascends with the time of registration.
    pub id: i64,
    /// The name, as it is shown.
    pub username: String,
    /// The form that makes the name unique ([`crate::domain::canonical_of`]).
    pub username_canonical: String,
    /// The password hash, in Django's form.
    pub password: String,
    /// The balance, in tokens. Only `metering` changes it.
    pub tokens: i64,
    /// Whether the user may log in and use auth tokens.
    pub is_active: bool,
    /// Whether the user may sign in to the panel.
    pub is_staff: bool,
    /// Whether the user may do everything in the panel.
    pub is_superuser: bool,
    /// When the user registered or was added.
    #[diesel(deserialize_as = StoredTime)]
    pub date_joined: NaiveDateTime,
    /// When the user last logged in, if ever.
    #[diesel(deserialize_as = MaybeStoredTime)]
    pub last_login: Option<NaiveDateTime>,
    /// Increases with each edit by an administrator, so that conflicting edits are found. A charge
    /// does not change it.
    pub version: i64,
    /// The most simultaneous chats. `None`: the limit of the settings applies.
    pub concurrent_chats: Option<i64>,
    /// The most messages a minute. `None`: the limit of the settings applies.
    pub requests_per_minute: Option<i64>,
}

/// The key of the advisory lock, a number that no other program uses: "tollroot" in ASCII.
const FIRST_SUPERUSER_LOCK: i64 = 0x746f_6c6c_726f_6f74;

impl User {
    /// Returns the user with this id, if there is one.
    pub fn find(conn: &mut DbConnection, id: i64) -> QueryResult<Option<User>> {
        on_either!(conn => fixed(users::table.find(id).select(User::as_select())).get_result(conn)).optional()
    }

    /// Returns a user, and the tokens that are held for the user's pending chats. The balance is
    /// already without them.
    pub fn find_with_held(conn: &mut DbConnection, id: i64) -> QueryResult<Option<(User, i64)>> {
        let held = sql::<BigInt>(
            "(SELECT CAST(coalesce(sum(charge), 0) AS BIGINT) FROM chats
              WHERE chats.user_id = users.id AND chats.state = 'pending')",
        );
        users::table.find(id).select((User::as_select(), held)).get_result(conn).optional()
    }

    /// Returns the user with this name as it is stored or, in any letter case, in its canonical
    /// form. The stored name has precedence, so that each of two imported names that differ only in
    /// case finds its own user.
    pub fn find_by_name(conn: &mut DbConnection, name: &str, canonical: &str) -> QueryResult<Option<User>> {
        let mut found: Vec<User> = users::table
            .filter(users::username_canonical.eq_any([name, canonical]))
            .select(User::as_select())
            .load(conn)?;
        let exact = found.iter().position(|user| user.username == name).unwrap_or(0);
        Ok((exact < found.len()).then(|| found.swap_remove(exact)))
    }

    /// Returns whether another user than `own_id` has this name, or one that looks like it.
    pub fn is_name_taken(conn: &mut DbConnection, name: &Username, own_id: Option<i64>) -> QueryResult<bool> {
        let own_id = own_id.unwrap_or(-1);
        if User::find_by_name(conn, name.as_str(), name.canonical())?.is_some_and(|user| user.id != own_id) {
            return Ok(true);
        }
        let alike =
            users::table.filter(users::username_skeleton.eq(name.skeleton())).filter(users::id.ne(own_id));
        diesel::select(diesel::dsl::exists(alike)).get_result(conn)
    }

    /// Stores what a user's name looks like. If it is `guarded`, this fails if another guarded name
    /// looks the same.
    pub fn set_skeleton(
        conn: &mut DbConnection,
        id: i64,
        skeleton: &str,
        guarded: bool,
    ) -> QueryResult<usize> {
        diesel::update(users::table.find(id))
            .set((users::username_skeleton.eq(skeleton), users::skeleton_guarded.eq(guarded)))
            .execute(conn)
    }

    /// Returns the ids and names of up to `most` users whose skeletons are not computed yet, from
    /// the lowest id above `above`.
    pub fn without_skeleton(
        conn: &mut DbConnection,
        above: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String)>> {
        users::table
            .filter(users::id.gt(above))
            .filter(users::username_skeleton.is_null())
            .order(users::id)
            .limit(most)
            .select((users::id, users::username))
            .load(conn)
    }

    /// Stores the skeleton of a name, if the user still has that name and no skeleton.
    pub fn fill_skeleton(conn: &mut DbConnection, id: i64, name: &str, skeleton: &str) -> QueryResult<usize> {
        let target = users::table
            .filter(users::id.eq(id))
            .filter(users::username.eq(name))
            .filter(users::username_skeleton.is_null());
        diesel::update(target).set(users::username_skeleton.eq(skeleton)).execute(conn)
    }

    /// Returns, for each of these users whose name looks like another one's, the name of the oldest
    /// other user whom it looks like.
    pub fn look_alikes(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<HashMap<i64, String>> {
        let others = diesel::alias!(users as others);
        let other_name = others
            .filter(others.field(users::username_skeleton).eq(users::username_skeleton))
            .filter(others.field(users::id).ne(users::id))
            .order(others.field(users::id))
            .limit(1)
            .select(others.field(users::username))
            .single_value();
        let found: Vec<(i64, Option<String>)> =
            users::table.filter(users::id.eq_any(ids)).select((users::id, other_name)).load(conn)?;
        Ok(found.into_iter().filter_map(|(id, name)| Some((id, name?))).collect())
    }

    /// Returns the user who logs in with a name. A stored name that has the spaces that were sent,
    /// which an import may have brought, has precedence over one without.
    pub fn find_by_login_name(conn: &mut DbConnection, name: &LoginName) -> QueryResult<Option<User>> {
        if let Some(text) = name.untrimmed()
            && let Some(user) = User::find_by_name(conn, text, &canonical_of(text))?
        {
            return Ok(Some(user));
        }
        User::find_by_name(conn, name.as_str(), name.canonical())
    }

    /// Returns the active user who owns this live auth token: the one indexed read that
    /// authenticates a request.
    pub fn find_by_auth_token(
        conn: &mut DbConnection,
        digest: TokenDigest,
        now: NaiveDateTime,
    ) -> QueryResult<Option<(User, AuthToken)>> {
        on_either!(conn => {
            let found = with_auth_token(digest.as_bytes(), StoredTime(now));
            fixed(found.select((User::as_select(), AuthToken::as_select()))).get_result(conn)
        })
        .optional()
    }

    /// Returns the password hashes of the `most` oldest and the `most` latest users.
    pub fn some_password_hashes(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<String>> {
        // A range of ids, so that a test can see that the query walks the index.
        let hashes = || users::table.select(users::password).filter(users::id.gt(0)).limit(most);
        let mut found: Vec<String> = hashes().order(users::id).load(conn)?;
        found.extend(hashes().order(users::id.desc()).load::<String>(conn)?);
        Ok(found)
    }

    /// Returns the users with these ids, in any order.
    pub fn find_many(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<User>> {
        users::table.filter(users::id.eq_any(ids)).select(User::as_select()).load(conn)
    }

    /// Returns the names of these users, by id.
    pub fn names_of(conn: &mut DbConnection, ids: Vec<i64>) -> QueryResult<HashMap<i64, String>> {
        let names: Vec<(i64, String)> =
            users::table.filter(users::id.eq_any(ids)).select((users::id, users::username)).load(conn)?;
        Ok(names.into_iter().collect())
    }

    /// Returns the ids and canonical names of the users after an id, and whether each is a
    /// superuser, in the order of their ids.
    pub fn page_of_names(
        conn: &mut DbConnection,
        after: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String, bool)>> {
        let page = users::table.filter(users::id.gt(after)).order(users::id).limit(most);
        page.select((users::id, users::username_canonical, users::is_superuser)).load(conn)
    }

    /// Returns the ids and canonical names of these users, in any order.
    pub fn canonical_names_of(conn: &mut DbConnection, ids: &[i64]) -> QueryResult<Vec<(i64, String)>> {
        users::table.filter(users::id.eq_any(ids)).select((users::id, users::username_canonical)).load(conn)
    }

    /// Returns the ids and canonical names of administrators, at most `most`.
    pub fn administrators(conn: &mut DbConnection, most: i64) -> QueryResult<Vec<(i64, String)>> {
        // With a parameter, SQLite would not use the index of administrators.
        let text = "SELECT id, username_canonical FROM users WHERE is_staff OR is_superuser LIMIT ?";
        DynamicStatement::<(BigInt, Text)>::new(text.to_owned(), vec![Bind::Integer(most)]).load(conn)
    }

    /// Returns how many users have joined since a moment, counted up to `most`.
    pub fn joined_since(conn: &mut DbConnection, moment: NaiveDateTime, most: i64) -> QueryResult<i64> {
        let text = "SELECT CAST(count(*) AS BIGINT)
                    FROM (SELECT 1 FROM users WHERE date_joined >= ? LIMIT ?) w";
        let binds = vec![Bind::Time(moment), Bind::Integer(most)];
        DynamicStatement::<BigInt>::new(text.to_owned(), binds).get_result(conn)
    }

    /// Returns ids and names of those of these users who are active and have fewer tokens than
    /// `price`, in any order.
    pub fn too_poor_among(
        conn: &mut DbConnection,
        ids: &[i64],
        price: i64,
    ) -> QueryResult<Vec<(i64, String)>> {
        users::table
            .filter(users::id.eq_any(ids))
            .filter(users::is_active.eq(true))
            .filter(users::tokens.lt(price))
            .select((users::id, users::username))
            .load(conn)
    }

    /// Returns whether there is a user without rights in the panel.
    pub fn any_customer(conn: &mut DbConnection) -> QueryResult<bool> {
        let customers = users::table.filter(users::is_staff.eq(false)).filter(users::is_superuser.eq(false));
        let found: Vec<i64> = customers.order(users::id).limit(1).select(users::id).load(conn)?;
        Ok(!found.is_empty())
    }

    /// Returns id, canonical name and balance of the users with ids after `after` up to `up_to`, in
    /// the order of their ids.
    pub fn names_after(
        conn: &mut DbConnection,
        after: i64,
        up_to: i64,
        most: i64,
    ) -> QueryResult<Vec<(i64, String, i64)>> {
        users::table
            .filter(users::id.gt(after))
            .filter(users::id.le(up_to))
            .order(users::id)
            .limit(most)
            .select((users::id, users::username_canonical, users::tokens))
            .load(conn)
    }

    /// Returns the ids of all superusers who can sign in.
    pub fn superusers(conn: &mut DbConnection) -> QueryResult<Vec<i64>> {
        users::table
            .filter(users::is_superuser.eq(true))
            .filter(users::is_active.eq(true))
            .limit(1000)
            .select(users::id)
            .load(conn)
    }

    /// Lets a user sign in to the panel.
    pub fn set_staff(conn: &mut DbConnection, id: i64) -> QueryResult<usize> {
        diesel::update(users::table.find(id)).set(users::is_staff.eq(true)).execute(conn)
    }

    /// Returns when the first user joined.
    pub fn first_joined(conn: &mut DbConnection) -> QueryResult<Option<NaiveDateTime>> {
        users::table.order(users::id).select(users::date_joined).first(conn).optional()
    }

    /// Returns whether there is a superuser who can sign in.
    pub fn any_superuser(conn: &mut DbConnection) -> QueryResult<bool> {
        // With a parameter, SQLite would not use an index of superusers.
        let superusers = users::table.filter(sql::<Bool>("users.is_superuser"));
        let first = superusers.filter(users::is_active.eq(true)).order(users::id).select(users::id);
        Ok(first.first::<i64>(conn).optional()?.is_some())
    }

    /// Lets one transaction at a time look for a superuser and create the first one. SQLite has one
    /// writer anyway.
    pub fn lock_first_superuser(conn: &mut DbConnection) -> QueryResult<()> {
        match conn {
            DbConnection::Sqlite(_) => Ok(()),
            DbConnection::Postgres(conn) => {
                let lock = format!("SELECT pg_advisory_xact_lock({FIRST_SUPERUSER_LOCK})");
                diesel::sql_query(lock).execute(conn).map(|_| ())
            }
        }
    }

    /// Replaces a password hash if it is still `old`, so that a simultaneous change of the password
    /// is not undone.
    pub fn upgrade_password(conn: &mut DbConnection, id: i64, old: &str, new: &str) -> QueryResult<usize> {
        diesel::update(users::table.filter(users::id.eq(id)).filter(users::password.eq(old)))
            .set(users::password.eq(new))
            .execute(conn)
    }

    /// Stores a new password hash.
    pub fn set_password(conn: &mut DbConnection, id: i64, hash: &str) -> QueryResult<usize> {
        diesel::update(users::table.find(id))
            .set((users::password.eq(hash), users::version.eq(users::version + 1)))
            .execute(conn)
    }

    /// Stores the time of a login.
    pub fn set_last_login(conn: &mut DbConnection, id: i64, now: NaiveDateTime) -> QueryResult<usize> {
        diesel::update(users::table.find(id)).set(users::last_login.eq(now)).execute(conn)
    }
}
