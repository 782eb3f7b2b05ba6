-- Which row of another database became which row here, so that a later import adds only what is new.
CREATE TABLE import_map (
    -- The name that the operator gave the other database.
    source TEXT NOT NULL,
    kind TEXT NOT NULL CHECK (kind IN ('user', 'administrator', 'auth_token', 'chat')),
    -- The row's key there. For an auth token, its digest in hexadecimal, never the auth token itself.
    source_id TEXT COLLATE "C" NOT NULL,
    -- The row's id here.
    target_id BIGINT NOT NULL,
    PRIMARY KEY (source, kind, source_id)
);
