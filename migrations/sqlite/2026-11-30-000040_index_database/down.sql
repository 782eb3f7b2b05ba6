CREATE INDEX chats_by_user ON chats (user_id, is_listed, id);
CREATE INDEX ledger_entries_by_user ON ledger_entries (user_id, id);
DROP TABLE IF EXISTS retired_user_balances;
DROP TABLE IF EXISTS retired_chat_search_data;
DROP TABLE IF EXISTS retired_chat_search_idx;
DROP TABLE IF EXISTS retired_chat_search_docsize;
DROP TABLE IF EXISTS retired_user_search_data;
DROP TABLE IF EXISTS retired_user_search_idx;
DROP TABLE IF EXISTS retired_user_search_docsize;
DROP TABLE index_changes;
DROP TABLE database_identity;

-- As in 2026-11-24-000002_follower. The follower begins anew.
CREATE TABLE follower_marks (
    name TEXT PRIMARY KEY NOT NULL,
    position BIGINT NOT NULL
);
INSERT INTO follower_marks (name, position) VALUES ('users', 0), ('chats', 0), ('ledger_entries', 0);
CREATE TABLE user_balances (
    user_id BIGINT PRIMARY KEY NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    balance BIGINT NOT NULL
);
CREATE INDEX user_balances_by_balance ON user_balances (balance, user_id);
CREATE TABLE quarter_totals (
    quarter TIMESTAMP NOT NULL,
    kind TEXT NOT NULL,
    count BIGINT NOT NULL,
    amount BIGINT NOT NULL,
    PRIMARY KEY (quarter, kind)
);
CREATE TABLE chats_to_follow (
    chat_id BIGINT PRIMARY KEY NOT NULL REFERENCES chats (id) ON DELETE RESTRICT
);
CREATE VIRTUAL TABLE chat_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
CREATE VIRTUAL TABLE user_search USING fts5 (
    terms, content = '', contentless_delete = 1, detail = 'none', tokenize = "ascii tokenchars '='"
);
