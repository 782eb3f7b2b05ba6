-- The one row says which binaries can work with this database: a binary older than `oldest_binary` refuses to start.
CREATE TABLE compatibility (
    id BIGINT PRIMARY KEY NOT NULL CHECK (id = 1),
    oldest_binary TEXT NOT NULL
);
INSERT INTO compatibility (id, oldest_binary) VALUES (1, '0.1.0');

-- AUTOINCREMENT keeps the id of a row that is gone from being given to another.
CREATE TABLE users (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    username TEXT NOT NULL,
    username_canonical TEXT NOT NULL UNIQUE,
    password TEXT NOT NULL,
    -- SQLite turns an integer that overflows into a REAL without a word, hence the check of the type.
    tokens BIGINT NOT NULL CHECK (typeof(tokens) = 'integer' AND tokens >= 0),
    is_active BOOLEAN NOT NULL DEFAULT TRUE CHECK (is_active IN (0, 1)),
    is_staff BOOLEAN NOT NULL DEFAULT FALSE CHECK (is_staff IN (0, 1)),
    is_superuser BOOLEAN NOT NULL DEFAULT FALSE CHECK (is_superuser IN (0, 1)),
    date_joined TIMESTAMP NOT NULL,
    last_login TIMESTAMP,
    version BIGINT NOT NULL DEFAULT 0
);

CREATE INDEX users_superusers ON users (id) WHERE is_superuser;

CREATE TABLE auth_tokens (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    digest BINARY NOT NULL UNIQUE CHECK (length(digest) = 32),
    first_characters TEXT NOT NULL,
    -- NULL: made by a login. Named ones are made on purpose and never go by themselves.
    name TEXT,
    created_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP,
    expires_at TIMESTAMP,
    revoked_at TIMESTAMP
);
-- Those that ended stay for a while, and must not slow down the look at a user's live ones.
CREATE INDEX auth_tokens_by_user ON auth_tokens (user_id, revoked_at, id);
CREATE INDEX auth_tokens_revoked ON auth_tokens (revoked_at) WHERE revoked_at IS NOT NULL;
CREATE INDEX auth_tokens_expiring ON auth_tokens (expires_at) WHERE expires_at IS NOT NULL;
