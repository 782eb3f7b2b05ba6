-- More can be searched: the reasons of ledger entries and the history. And the terms of chats and users have another form
-- (src/index/search/terms.rs). So the follower fills what the panel looks things up in anew, in the background.
SELECT position FROM follower_marks ORDER BY name FOR UPDATE;
TRUNCATE user_balances, quarter_totals, chats_to_follow, chat_search, user_search;
UPDATE follower_marks SET position = 0;
INSERT INTO follower_marks (name, position) VALUES ('audit_log', 0);

-- The terms of a ledger entry that has a reason.
CREATE TABLE reason_search (
    id BIGINT PRIMARY KEY,
    terms TSVECTOR NOT NULL
);
CREATE INDEX reason_search_terms ON reason_search USING gin (terms) WITH (fastupdate = off);

-- The terms of an entry of the audit log.
CREATE TABLE history_search (
    id BIGINT PRIMARY KEY,
    terms TSVECTOR NOT NULL
);
CREATE INDEX history_search_terms ON history_search USING gin (terms) WITH (fastupdate = off);
