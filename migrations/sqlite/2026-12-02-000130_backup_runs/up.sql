-- Backups that the server made, or failed to make. A row is written when it has ended, so no backup has its own.
CREATE TABLE backup_runs (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    started_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP NOT NULL,
    -- Who asked for it; NULL: the schedule.
    actor_id BIGINT REFERENCES users (id) ON DELETE RESTRICT,
    -- The name of the file, without its folder.
    file TEXT NOT NULL,
    -- In bytes; 0 if it failed.
    size BIGINT NOT NULL,
    -- Why it failed.
    failure TEXT
);
