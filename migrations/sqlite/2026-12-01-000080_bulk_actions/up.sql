-- The limits that an operation sets. NULL: they stay; -1: those of the settings apply.
ALTER TABLE bulk_operations ADD COLUMN concurrent_chats BIGINT;
ALTER TABLE bulk_operations ADD COLUMN requests_per_minute BIGINT;

-- The limits of users before an operation set them, for undoing it. NULL: those of the settings.
CREATE TABLE bulk_former_limits (
    bulk_operation_id BIGINT NOT NULL REFERENCES bulk_operations (id) ON DELETE RESTRICT,
    user_id BIGINT NOT NULL,
    concurrent_chats BIGINT,
    requests_per_minute BIGINT,
    PRIMARY KEY (bulk_operation_id, user_id)
);

-- Which operation has undone which. The keys let each be undone once.
CREATE TABLE bulk_undos (
    undone_id BIGINT PRIMARY KEY NOT NULL REFERENCES bulk_operations (id) ON DELETE RESTRICT,
    undoing_id BIGINT NOT NULL UNIQUE REFERENCES bulk_operations (id) ON DELETE RESTRICT
);
