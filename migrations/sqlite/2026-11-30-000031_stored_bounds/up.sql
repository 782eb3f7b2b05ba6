-- What is stored of a user is bounded, and the oldest goes first. Each row has the bytes that were stored for its user
-- before it, so that nobody has to add them up: the rows to delete are those below a number.
ALTER TABLE responses ADD COLUMN bytes_before BIGINT NOT NULL DEFAULT 0;
CREATE INDEX responses_by_bytes ON responses (user_id, bytes_before);
-- NULL: stored by a version that had no bound.
ALTER TABLE embedding_answers ADD COLUMN user_id BIGINT;
ALTER TABLE embedding_answers ADD COLUMN bytes_before BIGINT NOT NULL DEFAULT 0;
CREATE INDEX embedding_answers_by_bytes ON embedding_answers (user_id, bytes_before);
