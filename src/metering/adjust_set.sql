-- An adjustment of many users as one statement. The rows are locked in the order of the ids, and
-- the new balance is computed from the locked row.
WITH input AS (
    SELECT * FROM unnest($1::bigint[], $2::bytea[]) AS i (user_id, operation_id)
), payer AS MATERIALIZED (
    SELECT id, tokens FROM users WHERE id = ANY ($1) ORDER BY id FOR NO KEY UPDATE
), done AS MATERIALIZED (
    SELECT payer.id, payer.tokens + $3 AS balance, input.operation_id, clock_timestamp() AT TIME ZONE 'UTC' AS now
    FROM payer JOIN input ON input.user_id = payer.id
    WHERE payer.tokens BETWEEN -$3 AND $4 - greatest($3, 0)
), moved AS (
    UPDATE users SET tokens = done.balance FROM done WHERE users.id = done.id RETURNING users.id
), entry AS (
    INSERT INTO ledger_entries (user_id, amount, balance_after, kind, actor_id, note, operation_id, created_at)
    SELECT id, $3, balance, 'adjustment', $5, $6, operation_id, now FROM done
    ORDER BY id
)
SELECT input.user_id, payer.tokens AS before, done.balance,
    (SELECT count(*) FROM moved) AS moved, (SELECT count(*) FROM done) AS done
FROM input LEFT JOIN payer ON payer.id = input.user_id LEFT JOIN done ON done.id = input.user_id
ORDER BY input.user_id
