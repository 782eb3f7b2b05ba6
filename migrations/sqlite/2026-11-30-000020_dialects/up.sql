-- The endpoint that a chat came through: `chat`, `chat_completions`, `responses`, … NULL: a version that did not record it.
ALTER TABLE chats ADD COLUMN endpoint TEXT;
-- Whether lists of chats show it. Calls for embeddings are on the ledger only.
ALTER TABLE chats ADD COLUMN is_listed BOOLEAN NOT NULL DEFAULT TRUE CHECK (is_listed IN (0, 1));
-- chats_by_user stays as it is: 2026-11-30-000040_index_database drops it, and making it anew would take a third of an
-- upgrade's time.
CREATE INDEX chats_unlisted ON chats (id) WHERE is_listed = FALSE;

-- Further names that clients may use for a model, separated by commas. A name that ends in * stands for all that begin so.
ALTER TABLE models ADD COLUMN aliases TEXT NOT NULL DEFAULT '';
-- The price of embeddings, in tokens of the balance for 1,000 tokens of the prompt. NULL: as for any message.
ALTER TABLE models ADD COLUMN embedding_price BIGINT CHECK (embedding_price >= 0);

-- The responses of POST /v1/responses that are stored: what it takes to return them again and to continue them.
CREATE TABLE responses (
    chat_id INTEGER PRIMARY KEY NOT NULL REFERENCES chats (id) ON DELETE RESTRICT,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    -- The response that it continues. That one may have been deleted.
    previous_chat_id BIGINT,
    -- The fields of the request that the response repeats, and the items of its input, as JSON.
    request TEXT NOT NULL
);
CREATE INDEX responses_by_user ON responses (user_id, chat_id);

-- Embeddings, kept as long as the Idempotency-Key under which a retry gets them.
CREATE TABLE embedding_answers (
    chat_id INTEGER PRIMARY KEY NOT NULL REFERENCES chats (id) ON DELETE RESTRICT,
    -- The vectors as 32-bit floats, little-endian, one after the other. NULL: too large to be stored.
    vectors BINARY,
    dimensions BIGINT NOT NULL,
    created_at TIMESTAMP NOT NULL
);
CREATE INDEX embedding_answers_by_age ON embedding_answers (created_at);
