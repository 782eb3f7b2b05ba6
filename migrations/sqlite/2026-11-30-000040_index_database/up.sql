-- What the panel looks things up in, and what finds a user's own rows, moves to a file of its own: `tollgate-index.db`
-- (src/db/index/). The server fills it in the background.

-- The database that an index belongs to. A copy of the database has the same.
CREATE TABLE database_identity (
    id BINARY NOT NULL CHECK (length(id) = 16)
);
INSERT INTO database_identity (id) VALUES (randomblob(16));

-- Changes of rows that the index has already: names and texts of chats. Everything else that it has is never changed.
CREATE TABLE index_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'chat')),
    object_id BIGINT NOT NULL,
    -- Tells this row from another database's row with the same id.
    stamp BINARY NOT NULL DEFAULT (randomblob(8))
);

DROP TABLE follower_marks;
DROP TABLE chats_to_follow;
DROP TABLE quarter_totals;
-- These may be large, and contain words: the server empties them in parts (src/index/retired.rs). A text index drops its
-- own tables, which must not be the large ones, and reads two rows of them first.
ALTER TABLE user_balances RENAME TO retired_user_balances;
ALTER TABLE chat_search_data RENAME TO retired_chat_search_data;
ALTER TABLE chat_search_idx RENAME TO retired_chat_search_idx;
ALTER TABLE chat_search_docsize RENAME TO retired_chat_search_docsize;
CREATE TABLE chat_search_data (id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO chat_search_data SELECT id, block FROM retired_chat_search_data WHERE id IN (1, 10);
DROP TABLE chat_search;
ALTER TABLE user_search_data RENAME TO retired_user_search_data;
ALTER TABLE user_search_idx RENAME TO retired_user_search_idx;
ALTER TABLE user_search_docsize RENAME TO retired_user_search_docsize;
CREATE TABLE user_search_data (id INTEGER PRIMARY KEY, block BLOB);
INSERT INTO user_search_data SELECT id, block FROM retired_user_search_data WHERE id IN (1, 10);
DROP TABLE user_search;

-- These have only ids. Overwriting their pages would take seconds.
PRAGMA secure_delete = OFF;
DROP INDEX chats_by_user;
DROP INDEX ledger_entries_by_user;
PRAGMA secure_delete = ON;
