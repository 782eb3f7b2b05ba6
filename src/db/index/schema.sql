-- The index database of SQLite. Everything in it can be rebuilt from the database beside it. `{schema}` is the name under
-- which it is open: a new version of these tables needs a new number in src/db/index/contents.rs.

-- The database that it belongs to. No row: nothing was indexed yet.
CREATE TABLE {schema}.index_owner (
    database_id BINARY NOT NULL
);

-- How far the follower has come in each table: the highest id behind it, and what tells that row from another database's
-- row with the same id.
CREATE TABLE {schema}.follower_marks (
    name TEXT PRIMARY KEY NOT NULL,
    position BIGINT NOT NULL,
    anchor TEXT
);
INSERT INTO {schema}.follower_marks (name, position)
VALUES ('users', 0), ('chats', 0), ('ledger_entries', 0), ('audit_log', 0), ('chat_keys', 0), ('entry_keys', 0),
    ('index_changes', 0);

-- The ids of each user's chats and ledger entries.
CREATE TABLE {schema}.chat_keys (
    user_id BIGINT NOT NULL,
    is_listed BOOLEAN NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (user_id, is_listed, id)
) WITHOUT ROWID;
CREATE TABLE {schema}.entry_keys (
    user_id BIGINT NOT NULL,
    id BIGINT NOT NULL,
    PRIMARY KEY (user_id, id)
) WITHOUT ROWID;

-- Balances to sort and filter by, as they were after the last ledger entry that was followed.
CREATE TABLE {schema}.user_balances (
    user_id INTEGER PRIMARY KEY NOT NULL,
    balance BIGINT NOT NULL
);
CREATE INDEX {schema}.user_balances_by_balance ON user_balances (balance, user_id);

-- Sums of each quarter of an hour (UTC), from which every time zone can make its days: ledger entries by kind
-- (`opening`, `charge`, ...) and chats that ended without an answer (`failed`, `cancelled`).
CREATE TABLE {schema}.quarter_totals (
    quarter TIMESTAMP NOT NULL,
    kind TEXT NOT NULL,
    count BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (quarter, kind)
) WITHOUT ROWID;

-- Chats that were still pending when the follower reached them.
CREATE TABLE {schema}.chats_to_follow (
    chat_id INTEGER PRIMARY KEY NOT NULL
);

-- The rowid is the id of the chat, the user, the ledger entry or the audit entry, the text its terms: beginnings of words
-- in lower case, and marks with `=` in front (src/index/search/terms.rs). The `ascii` tokenizer takes each as it is. Only
-- ledger entries with a reason have terms.
CREATE VIRTUAL TABLE {schema}.chat_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
CREATE VIRTUAL TABLE {schema}.user_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
CREATE VIRTUAL TABLE {schema}.reason_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
CREATE VIRTUAL TABLE {schema}.history_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);

-- Merging fewer and larger segments is what makes a large index quick to build: 8 segments at a time instead of 4, and
-- up to 8 MB of terms in memory within a transaction instead of 1 MB.
INSERT INTO {schema}.chat_search (chat_search, rank) VALUES ('automerge', 8), ('hashsize', 8388608);
INSERT INTO {schema}.user_search (user_search, rank) VALUES ('automerge', 8), ('hashsize', 8388608);
INSERT INTO {schema}.reason_search (reason_search, rank) VALUES ('automerge', 8), ('hashsize', 8388608);
INSERT INTO {schema}.history_search (history_search, rank) VALUES ('automerge', 8), ('hashsize', 8388608);
