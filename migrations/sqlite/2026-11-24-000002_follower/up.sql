-- What the panel looks things up in. A task in the background fills it by following the ids of users, chats and
-- ledger entries, so that a charge does not pay for it.

-- How far the follower has come in each table: the highest id behind it.
CREATE TABLE follower_marks (
    name TEXT PRIMARY KEY NOT NULL,
    position BIGINT NOT NULL
);
INSERT INTO follower_marks (name, position) VALUES ('users', 0), ('chats', 0), ('ledger_entries', 0);

-- Balances to sort and filter by, as they were after the last ledger entry that was followed.
CREATE TABLE user_balances (
    user_id BIGINT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    balance BIGINT NOT NULL
);
CREATE INDEX user_balances_by_balance ON user_balances (balance, user_id);

-- Sums of each quarter of an hour (UTC), from which every time zone can make its days: ledger entries by kind
-- (`opening`, `charge`, ...) and chats that ended without an answer (`failed`, `cancelled`).
CREATE TABLE quarter_totals (
    quarter TIMESTAMP NOT NULL,
    kind TEXT NOT NULL,
    count BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (quarter, kind)
);

-- Chats that were still pending when the follower came by.
CREATE TABLE chats_to_follow (
    chat_id BIGINT PRIMARY KEY NOT NULL REFERENCES chats (id) ON DELETE RESTRICT
);

-- The rowid is the id of the chat or the user, the text its terms: words in lower case, and marks with an ASCII
-- letter and `=` in front (src/search/terms.rs). The `ascii` tokenizer takes each as it is.
CREATE VIRTUAL TABLE chat_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
CREATE VIRTUAL TABLE user_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
