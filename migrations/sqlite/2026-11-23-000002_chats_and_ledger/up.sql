CREATE TABLE chats (
    id INTEGER PRIMARY KEY NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    message TEXT NOT NULL,
    response TEXT,
    model TEXT NOT NULL,
    state TEXT NOT NULL CHECK (state IN ('pending', 'complete', 'failed', 'cancelled')),
    -- What was taken for it, in tokens; what went back stands in the ledger.
    charge BIGINT NOT NULL CHECK (typeof(charge) = 'integer' AND charge >= 0),
    prompt_tokens BIGINT CHECK (prompt_tokens >= 0),
    completion_tokens BIGINT CHECK (completion_tokens >= 0),
    -- Why it failed or was cancelled, in a word of ours, never an upstream's text.
    failure TEXT,
    origin TEXT NOT NULL CHECK (origin IN ('live', 'imported')),
    created_at TIMESTAMP NOT NULL,
    finished_at TIMESTAMP,
    -- When the sweeper may refund it. Only a hold has one.
    deadline TIMESTAMP,
    CHECK ((state = 'pending') = (deadline IS NOT NULL))
);
CREATE INDEX chats_by_user ON chats (user_id, id);
CREATE INDEX chats_pending_by_deadline ON chats (deadline) WHERE state = 'pending';
CREATE INDEX chats_pending_by_user ON chats (user_id) WHERE state = 'pending';

CREATE TABLE ledger_entries (
    id INTEGER PRIMARY KEY NOT NULL,
    user_id BIGINT NOT NULL REFERENCES users (id) ON DELETE RESTRICT,
    amount BIGINT NOT NULL CHECK (typeof(amount) = 'integer'),
    balance_after BIGINT NOT NULL CHECK (typeof(balance_after) = 'integer' AND balance_after >= 0),
    kind TEXT NOT NULL CHECK (kind IN ('opening', 'charge', 'settlement', 'refund', 'adjustment')),
    chat_id BIGINT REFERENCES chats (id) ON DELETE RESTRICT,
    -- The administrator who did it; NULL: the server itself or the command line.
    actor_id BIGINT REFERENCES users (id) ON DELETE RESTRICT,
    note TEXT NOT NULL DEFAULT '',
    operation_id BINARY NOT NULL UNIQUE CHECK (length(operation_id) = 16),
    created_at TIMESTAMP NOT NULL,
    CHECK (CASE kind WHEN 'charge' THEN amount <= 0 WHEN 'adjustment' THEN amount <> 0 ELSE amount >= 0 END),
    CHECK ((kind IN ('charge', 'settlement', 'refund')) = (chat_id IS NOT NULL))
);
CREATE INDEX ledger_entries_by_user ON ledger_entries (user_id, id);
-- A chat has one charge, at most one settlement and at most one refund.
CREATE UNIQUE INDEX ledger_entries_once_per_chat ON ledger_entries (chat_id, kind) WHERE chat_id IS NOT NULL;
CREATE UNIQUE INDEX ledger_entries_one_opening ON ledger_entries (user_id) WHERE kind = 'opening';

-- The ledger is append-only. (INSERT OR REPLACE deletes too: `recursive_triggers=ON` makes it fire the trigger.)
CREATE TRIGGER ledger_entries_refuse_update BEFORE UPDATE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'ledger_entries is append-only: write a new entry instead');
END;
CREATE TRIGGER ledger_entries_refuse_delete BEFORE DELETE ON ledger_entries
BEGIN
    SELECT RAISE(ABORT, 'ledger_entries is append-only: write a new entry instead');
END;
-- What goes back for a chat never exceeds what was taken.
CREATE TRIGGER ledger_entries_within_charge BEFORE INSERT ON ledger_entries
WHEN NEW.kind IN ('settlement', 'refund')
BEGIN
    SELECT RAISE(ABORT, 'more would go back than was charged for this chat')
    WHERE (SELECT coalesce(sum(amount), 1) FROM ledger_entries WHERE chat_id = NEW.chat_id) + NEW.amount > 0;
END;
