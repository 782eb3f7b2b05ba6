ALTER TABLE users DROP COLUMN requests_per_minute;
ALTER TABLE users DROP COLUMN concurrent_chats;
DROP INDEX chats_by_conversation;
ALTER TABLE chats DROP COLUMN first_byte_at;
ALTER TABLE chats DROP COLUMN usage_estimated;
ALTER TABLE chats DROP COLUMN answer_extras;
ALTER TABLE chats DROP COLUMN conversation_id;
DROP TABLE conversations;
DROP TABLE models;
