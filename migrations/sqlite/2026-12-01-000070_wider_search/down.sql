-- As in 2026-11-30-000040_index_database.
DROP TABLE index_changes;
CREATE TABLE index_changes (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'chat')),
    object_id BIGINT NOT NULL,
    -- Tells this row from another database's row with the same id.
    stamp BINARY NOT NULL DEFAULT (randomblob(8))
);
