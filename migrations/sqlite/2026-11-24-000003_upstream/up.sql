-- What is offered for the upstream's models, and what each costs. A model is on offer when the settings name it and it
-- is not withdrawn here.
CREATE TABLE models (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    name TEXT NOT NULL UNIQUE,
    is_withdrawn BOOLEAN NOT NULL DEFAULT FALSE,
    -- A price by usage, in tokens of the balance: so much a message, and so much for 1,000 tokens of the prompt and of the
    -- answer. All NULL: the settings' price of a message.
    base_price BIGINT CHECK (base_price >= 0),
    prompt_price BIGINT CHECK (prompt_price >= 0),
    completion_price BIGINT CHECK (completion_price >= 0),
    -- For edit conflicts.
    version BIGINT NOT NULL DEFAULT 0,
    CHECK ((base_price IS NULL) = (prompt_price IS NULL) AND (base_price IS NULL) = (completion_price IS NULL))
);

-- Messages that belong together. One that was deleted keeps its row, without its title, as chats refer to it.
CREATE TABLE conversations (
    id INTEGER PRIMARY KEY AUTOINCREMENT NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    title TEXT NOT NULL,
    created_at TIMESTAMP NOT NULL,
    deleted_at TIMESTAMP
);
CREATE INDEX conversations_by_user ON conversations (user_id, id) WHERE deleted_at IS NULL;

ALTER TABLE chats ADD COLUMN conversation_id BIGINT REFERENCES conversations (id) ON DELETE RESTRICT;
-- What an answer has besides its text, as JSON: tool calls, why it ended.
ALTER TABLE chats ADD COLUMN answer_extras TEXT;
-- Whether we counted the usage, as the upstream did not say; NULL: there is none.
ALTER TABLE chats ADD COLUMN usage_estimated BOOLEAN;
-- When the first part of the answer came.
ALTER TABLE chats ADD COLUMN first_byte_at TIMESTAMP;
CREATE INDEX chats_by_conversation ON chats (conversation_id, id) WHERE conversation_id IS NOT NULL;

-- A user's own limits; NULL: those of the settings.
ALTER TABLE users ADD COLUMN concurrent_chats BIGINT CHECK (concurrent_chats >= 0);
ALTER TABLE users ADD COLUMN requests_per_minute BIGINT CHECK (requests_per_minute >= 0);
