-- Entries of the audit log are in the index, too (src/db/index/), which is of a new version. It is built anew, and has all
-- changes so far.
DROP TABLE index_changes;

-- Changes of rows that the index has already: names, texts of chats, and entries of the audit log. Everything else that it
-- has is never changed.
CREATE TABLE index_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'chat', 'entry')),
    object_id BIGINT NOT NULL,
    -- Tells this row from another database's row with the same id.
    stamp BINARY NOT NULL DEFAULT (randomblob(8))
);
