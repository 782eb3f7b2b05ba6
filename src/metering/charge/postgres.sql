-- A batch of charges of one kind and price as one statement. Each parameter occurs once, in order; the
-- arrays have an element for each charge. All times are the database's: the nodes' clocks differ.
WITH given AS (
    -- If payers were locked before, only those may pay: the data of the others may be out of date.
    SELECT $1::bigint AS price, $2::bigint[] AS locked, clock_timestamp() AT TIME ZONE 'UTC' AS now
), input AS (
    SELECT * FROM unnest($3::bytea[], $4::text[], $5::text[], $6::text[], $7::bigint[], $8::bytea[], $9::text[], $10::bytea[],
        $11::bigint[], $12::text[])
        WITH ORDINALITY
        AS i (digest, message, model, response, hold_seconds, operation_id, key, fingerprint, conversation_id, endpoint, place)
), bearer AS (
    -- LIMIT makes PostgreSQL look each token up by its index, and never read all of them at once.
    SELECT input.*, t.user_id
    FROM input CROSS JOIN given
    LEFT JOIN LATERAL (
        SELECT user_id FROM auth_tokens
        WHERE digest = input.digest AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > given.now)
        LIMIT 1
    ) t ON true
), payer AS MATERIALIZED (
    -- A row that another transaction has locked is skipped, so that only its user waits. A row that
    -- is locked here is read in its newest version.
    SELECT id, tokens, concurrent_chats FROM users
    WHERE id = ANY (ARRAY(SELECT user_id FROM bearer WHERE user_id IS NOT NULL)) AND is_active
        AND ((SELECT locked FROM given) IS NULL OR id = ANY ((SELECT locked FROM given)::bigint[]))
    ORDER BY id FOR NO KEY UPDATE SKIP LOCKED
), request AS (
    SELECT bearer.*, payer.id AS payer_id, payer.tokens, payer.concurrent_chats, seen.chat_id AS seen_chat_id,
        bearer.key IS NOT NULL AND row_number() OVER (PARTITION BY payer.id, bearer.key ORDER BY place) > 1 AS repeated
    FROM bearer
    LEFT JOIN payer ON payer.id = bearer.user_id
    LEFT JOIN LATERAL (
        SELECT chat_id FROM idempotency_keys WHERE user_id = payer.id AND key = bearer.key LIMIT 1
    ) seen ON true
), queue AS (
    -- All charges here have one price, so the balance covers the first few of a user and no others.
    SELECT request.*,
        request.tokens - given.price * row_number() OVER (PARTITION BY payer_id ORDER BY place) AS balance_after,
        row_number() OVER (PARTITION BY payer_id ORDER BY place) AS turn
    FROM request CROSS JOIN given
    WHERE payer_id IS NOT NULL AND seen_chat_id IS NULL AND NOT repeated
), most AS (
    -- The most simultaneous holds of a user without an individual limit. NULL: the charges are not holds.
    SELECT $13::bigint AS holds
), accepted AS MATERIALIZED (
    -- The time is taken with the id, so that the two ascend together, and after the lock.
    SELECT queue.*, nextval('chats_id_seq') AS chat_id, clock_timestamp() AT TIME ZONE 'UTC' AS charged_at
    FROM queue CROSS JOIN most
    WHERE balance_after >= 0 AND (
        most.holds IS NULL
        OR turn + pending_holds(payer_id) <= coalesce(concurrent_chats, most.holds))
    ORDER BY place
), debit AS (
    -- The new balance is computed from the locked row, not from `users.tokens`: this statement reads
    -- the row as it was before it waited for the lock, and the CHECK would reject a balance that was
    -- too low then.
    UPDATE users SET tokens = left_over.tokens
    FROM (SELECT payer_id, min(balance_after) AS tokens FROM accepted GROUP BY payer_id) left_over
    WHERE users.id = left_over.payer_id
    RETURNING users.id
), chat AS (
    INSERT INTO chats (id, user_id, message, response, model, state, charge, origin, created_at, finished_at, deadline,
        conversation_id, endpoint, is_listed)
    SELECT chat_id, payer_id, message, response, model,
        CASE WHEN response IS NULL THEN 'pending' ELSE 'complete' END,
        given.price, 'live', charged_at,
        CASE WHEN response IS NOT NULL THEN charged_at END,
        CASE WHEN response IS NULL THEN charged_at + make_interval(secs => hold_seconds) END,
        conversation_id, endpoint, endpoint <> 'embeddings'
    FROM accepted CROSS JOIN given ORDER BY place
), entry AS (
    -- The rows are locked before they are changed, so only a defect, or somebody's trigger, can debit another number of
    -- users. The statement may be the whole transaction, so it undoes itself: the operation id must not be NULL.
    INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
    SELECT payer_id, -given.price, balance_after, 'charge', chat_id,
        CASE WHEN (SELECT count(*) FROM debit) = (SELECT count(DISTINCT payer_id) FROM accepted) THEN operation_id END,
        charged_at
    FROM accepted CROSS JOIN given ORDER BY place
), remembered AS (
    INSERT INTO idempotency_keys (user_id, key, fingerprint, chat_id, created_at)
    SELECT payer_id, key, fingerprint, chat_id, charged_at
    FROM accepted WHERE key IS NOT NULL
)
-- Returns for each charge the balance after it, or, if it was rejected, when it was considered.
SELECT request.payer_id,
    request.tokens - given.price * count(accepted.chat_id) OVER (PARTITION BY request.payer_id ORDER BY place) AS balance,
    request.seen_chat_id, accepted.chat_id, accepted.charged_at,
    CASE WHEN request.payer_id IS NULL AND request.user_id IS NOT NULL
        THEN coalesce((SELECT users.is_active FROM users WHERE users.id = request.user_id), false) ELSE false END AS is_locked
FROM request CROSS JOIN given LEFT JOIN accepted USING (place) ORDER BY place
