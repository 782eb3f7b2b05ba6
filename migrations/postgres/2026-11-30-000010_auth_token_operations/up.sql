-- The operation that made an auth token, so that repeating it makes no second one: from a form of the panel, or from an
-- Idempotency-Key. NULL: made by a log-in, without a key, or by an older version.
ALTER TABLE auth_tokens ADD COLUMN operation_id BYTEA CHECK (length(operation_id) = 16);
-- The digest of the request, which tells a repeat from another request.
ALTER TABLE auth_tokens ADD COLUMN fingerprint BYTEA CHECK (length(fingerprint) = 32);
CREATE UNIQUE INDEX auth_tokens_by_operation ON auth_tokens (operation_id) WHERE operation_id IS NOT NULL;
