DROP INDEX embedding_answers_by_bytes;
ALTER TABLE embedding_answers DROP COLUMN bytes_before;
ALTER TABLE embedding_answers DROP COLUMN user_id;
DROP INDEX responses_by_bytes;
ALTER TABLE responses DROP COLUMN bytes_before;
