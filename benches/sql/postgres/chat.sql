-- One chat for pgbench, its four statements as one: token look-up, guarded debit, chat, ledger
-- entry. The operation id is like the server's, 48 bits of time and 80 random bits, so that both
-- write to the same places of its index.
\set user random(1, 1000)
WITH token AS (
    SELECT auth_tokens.id, auth_tokens.last_used_at, users.id AS user_id, users.username
    FROM auth_tokens
    JOIN users ON users.id = auth_tokens.user_id
    WHERE auth_tokens.digest = sha256(int8send(:user::bigint))
      AND auth_tokens.revoked_at IS NULL
      AND (auth_tokens.expires_at IS NULL OR auth_tokens.expires_at > now() AT TIME ZONE 'UTC')
      AND users.is_active
), debit AS (
    UPDATE users SET tokens = users.tokens - 100
    FROM token
    WHERE users.id = token.user_id AND users.tokens >= 100
    RETURNING users.id, users.tokens
), chat AS (
    INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
    SELECT debit.id, 'Message number 00042', 'Response to Message number 00042', 'dummy', 'complete', 100, 'live',
           now() AT TIME ZONE 'UTC', now() AT TIME ZONE 'UTC'
    FROM debit
    RETURNING id, user_id
)
INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
SELECT debit.id, -100, debit.tokens, 'charge', chat.id,
       substring(int8send((date_part('epoch', clock_timestamp()) * 1000)::bigint) FROM 3)
           || substring(uuid_send(gen_random_uuid()) FROM 7),
       now() AT TIME ZONE 'UTC'
FROM debit JOIN chat ON chat.user_id = debit.id
RETURNING balance_after, chat_id;
