-- Whether one key alone is a shortcut in the panel (WCAG 2.1.4).
ALTER TABLE panel_settings ADD COLUMN shortcuts BOOLEAN NOT NULL DEFAULT TRUE;
-- Tells this database from others, so that two servers on one host name do not share a cookie. SQLite has this table
-- already.
CREATE TABLE database_identity (
    id BYTEA NOT NULL CHECK (length(id) = 16)
);
INSERT INTO database_identity (id)
VALUES (decode(md5(random()::text || clock_timestamp()::text || pg_backend_pid()::text || txid_current()::text), 'hex'));
