DROP INDEX auth_tokens_by_operation;
ALTER TABLE auth_tokens DROP COLUMN fingerprint;
ALTER TABLE auth_tokens DROP COLUMN operation_id;
