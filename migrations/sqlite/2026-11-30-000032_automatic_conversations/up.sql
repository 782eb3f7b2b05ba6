-- Whether continuing a response made it. The limit on conversations counts only those that the user started.
ALTER TABLE conversations ADD COLUMN is_automatic BOOLEAN NOT NULL DEFAULT FALSE CHECK (is_automatic IN (0, 1));
CREATE INDEX conversations_started ON conversations (user_id) WHERE deleted_at IS NULL AND is_automatic = FALSE;
