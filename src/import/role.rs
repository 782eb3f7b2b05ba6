//! The kinds of tables that are imported, and the columns that each may have.

use std::fmt;

use serde::Serialize;

/// What a table contains.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum Role {
    /// The users of the service, with their balances.
    Users,
    /// The administrators of Django, if they are not among the users.
    Administrators,
    /// The auth tokens, if they have a table of their own.
    AuthTokens,
    /// The chats.
    Chats,
}

/// What is read of a row.
pub(super) struct Field {
    pub name: &'static str,
    /// The names that a column of it may have, the likeliest first.
    pub columns: &'static [&'static str],
    pub is_required: bool,
}

const fn required(name: &'static str, columns: &'static [&'static str]) -> Field {
    Field { name, columns, is_required: true }
}

const fn optional(name: &'static str, columns: &'static [&'static str]) -> Field {
    Field { name, columns, is_required: false }
}

const USERS: &[Field] = &[
    required("id", &["id"]),
    required("username", &["username", "user_name", "login"]),
    required("password", &["password", "password_hash", "hashed_password"]),
    required("tokens", &["tokens", "token_balance", "balance", "credits"]),
    optional("token", &["auth_token", "token", "api_token", "api_key"]),
    optional("active", &["is_active", "active"]),
    optional("staff", &["is_staff"]),
    optional("superuser", &["is_superuser"]),
    optional("joined", &["date_joined", "joined", "created_at", "created"]),
    optional("last_login", &["last_login"]),
];

const ADMINISTRATORS: &[Field] = &[
    required("id", &["id"]),
    required("username", &["username"]),
    required("password", &["password"]),
    required("superuser", &["is_superuser"]),
    optional("active", &["is_active"]),
    optional("joined", &["date_joined"]),
    optional("last_login", &["last_login"]),
];

const AUTH_TOKENS: &[Field] = &[
    required("key", &["key"]),
    required("user", &["user_id", "user", "owner_id", "owner"]),
    optional("created", &["created", "created_at"]),
];

const CHATS: &[Field] = &[
    required("id", &["id"]),
    required("user", &["user_id", "user", "owner_id", "owner"]),
    required("message", &["message", "prompt", "question"]),
    required("response", &["response", "reply", "answer"]),
    required("timestamp", &["timestamp", "created_at", "created", "sent_at", "date"]),
];

impl Role {
    /// All roles.
    pub const ALL: [Role; 4] = [Role::Users, Role::Administrators, Role::AuthTokens, Role::Chats];

    /// Returns the role with this name.
    pub fn named(name: &str) -> Option<Role> {
        Role::ALL.into_iter().find(|role| role.name() == name)
    }

    /// Returns the field of this role with this name.
    pub fn field(self, name: &str) -> Option<&'static str> {
        self.fields().iter().map(|field| field.name).find(|field| *field == name)
    }

    /// Returns the names of the role's fields.
    pub fn field_names(self) -> Vec<&'static str> {
        self.fields().iter().map(|field| field.name).collect()
    }

    const fn name(self) -> &'static str {
        match self {
            Role::Users => "users",
            Role::Administrators => "administrators",
            Role::AuthTokens => "auth-tokens",
            Role::Chats => "chats",
        }
    }

    pub(super) fn fields(self) -> &'static [Field] {
        match self {
            Role::Users => USERS,
            Role::Administrators => ADMINISTRATORS,
            Role::AuthTokens => AUTH_TOKENS,
            Role::Chats => CHATS,
        }
    }

    /// Returns whether a table that nobody named may have this role. Other tables have a `key` and
    /// a user, too, such as those of settings.
    pub(super) fn may_be_called(self, table: &str) -> bool {
        self != Role::AuthTokens || table.to_ascii_lowercase().contains("token")
    }
}

impl fmt::Display for Role {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
