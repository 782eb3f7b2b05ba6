DROP TABLE embedding_answers;
DROP TABLE responses;
ALTER TABLE models DROP COLUMN embedding_price;
ALTER TABLE models DROP COLUMN aliases;
DROP INDEX chats_unlisted;
DROP INDEX IF EXISTS chats_by_user;
ALTER TABLE chats DROP COLUMN is_listed;
ALTER TABLE chats DROP COLUMN endpoint;
CREATE INDEX chats_by_user ON chats (user_id, id);
