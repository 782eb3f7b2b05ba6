CREATE TABLE idempotency_keys (
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    key TEXT NOT NULL,
    -- SHA-256 of the path and the parsed fields: the same key with another request is refused.
    fingerprint BINARY NOT NULL CHECK (length(fingerprint) = 32),
    chat_id BIGINT NOT NULL UNIQUE REFERENCES chats (id) ON DELETE RESTRICT,
    created_at TIMESTAMP NOT NULL,
    PRIMARY KEY (user_id, key)
);
CREATE INDEX idempotency_keys_by_age ON idempotency_keys (created_at);
