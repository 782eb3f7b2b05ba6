-- Sign-ins of administrators. Only the digest of the session's secret is stored.
CREATE TABLE sessions (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    digest BINARY NOT NULL UNIQUE CHECK (length(digest) = 32),
    created_at TIMESTAMP NOT NULL,
    last_used_at TIMESTAMP NOT NULL,
    -- The absolute limit; the idle limit is reckoned from last_used_at.
    expires_at TIMESTAMP NOT NULL,
    address TEXT NOT NULL,
    user_agent TEXT NOT NULL,
    -- What the next page has to say, as a JSON array; read once.
    messages TEXT NOT NULL DEFAULT '[]'
);
CREATE INDEX sessions_by_user ON sessions (user_id, id);
CREATE INDEX sessions_expiring ON sessions (expires_at);

-- How an administrator likes the panel. No row: the defaults.
CREATE TABLE panel_settings (
    user_id BIGINT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    time_zone TEXT NOT NULL,
    page_size BIGINT NOT NULL CHECK (page_size BETWEEN 1 AND 200),
    theme TEXT NOT NULL CHECK (theme IN ('auto', 'light', 'dark'))
);

-- Who did what to what, written in the transaction of the change itself.
CREATE TABLE audit_log (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    -- The administrator; NULL: the server itself or the command line.
    actor_id BIGINT REFERENCES users (id) ON DELETE RESTRICT,
    action TEXT NOT NULL,
    object_kind TEXT NOT NULL,
    object_id BIGINT NOT NULL,
    -- The user whom it concerns, if any: a user's page shows what was done to all that is theirs.
    user_id BIGINT REFERENCES users (id) ON DELETE RESTRICT,
    -- Before and after of each field: a JSON array of {"field", "before", "after"}.
    changes TEXT NOT NULL DEFAULT '[]',
    note TEXT NOT NULL DEFAULT '',
    address TEXT NOT NULL DEFAULT ''
);
CREATE INDEX audit_log_by_object ON audit_log (object_kind, object_id, id);
CREATE INDEX audit_log_by_user ON audit_log (user_id, id) WHERE user_id IS NOT NULL;
CREATE INDEX audit_log_by_actor ON audit_log (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX audit_log_by_action ON audit_log (action, id);
CREATE INDEX audit_log_by_time ON audit_log (created_at, id);

-- Work on many rows, which were chosen once and for all when it was confirmed.
CREATE TABLE bulk_operations (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    -- Made with the form, so that sending it twice starts it once. The operation id of each row is made of it.
    seed BINARY NOT NULL UNIQUE CHECK (length(seed) = 16),
    actor_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    kind TEXT NOT NULL,
    amount BIGINT NOT NULL DEFAULT 0,
    note TEXT NOT NULL,
    -- What was chosen, in words.
    selection TEXT NOT NULL,
    address TEXT NOT NULL DEFAULT '',
    -- The chosen ids, 8 bytes each, big-endian.
    ids BINARY NOT NULL,
    total BIGINT NOT NULL,
    -- How many of them are behind us; moves in the transaction that does them.
    position BIGINT NOT NULL DEFAULT 0,
    failed BIGINT NOT NULL DEFAULT 0,
    created_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    CHECK (position BETWEEN 0 AND total)
);
CREATE INDEX bulk_operations_unfinished ON bulk_operations (id) WHERE finished_at IS NULL;

CREATE TABLE bulk_failures (
    bulk_operation_id BIGINT NOT NULL REFERENCES bulk_operations (id) ON DELETE RESTRICT,
    object_id BIGINT NOT NULL,
    reason TEXT NOT NULL,
    PRIMARY KEY (bulk_operation_id, object_id)
);

-- Runs of `verify` from the panel.
CREATE TABLE verifications (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    actor_id BIGINT REFERENCES users (id) ON DELETE RESTRICT,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    -- The claims that do not hold, a line each; empty: all is well.
    damage TEXT NOT NULL DEFAULT '',
    -- Why it could not be finished.
    failure TEXT
);

-- The panel's lists. None is on users.tokens, or each debit would have to write it: see user_balances.
CREATE INDEX users_by_joined ON users (date_joined, id);
CREATE INDEX users_by_last_login ON users (coalesce(last_login, '1970-01-01 00:00:00'), id);
CREATE INDEX users_inactive ON users (id) WHERE NOT is_active;
CREATE INDEX users_staff ON users (id) WHERE is_staff OR is_superuser;
-- Partial, so that charging with an answer at once, and charging at all, writes neither.
CREATE INDEX chats_unusual ON chats (state, id) WHERE state <> 'complete';
CREATE INDEX ledger_entries_unusual ON ledger_entries (kind, id) WHERE kind <> 'charge';
CREATE INDEX ledger_entries_by_actor ON ledger_entries (actor_id, id) WHERE actor_id IS NOT NULL;
CREATE INDEX auth_tokens_by_first_characters ON auth_tokens (first_characters, id);
CREATE INDEX auth_tokens_named ON auth_tokens (id) WHERE name IS NOT NULL;
CREATE INDEX auth_tokens_by_name ON auth_tokens (name, id) WHERE name IS NOT NULL;
