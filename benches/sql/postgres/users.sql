-- 1,000 users, each with an ample balance and an auth token. chat.sql computes the token's digest
-- from the user's number, so that pgbench looks it up as the server would.
INSERT INTO users (username, username_canonical, password, tokens, date_joined)
SELECT 'bench' || n, 'bench' || n, '!', 1000000000000, now() AT TIME ZONE 'UTC'
FROM generate_series(1, 1000) AS n;

INSERT INTO auth_tokens (user_id, digest, first_characters, created_at)
SELECT id, sha256(int8send(id)), 'bench', now() AT TIME ZONE 'UTC' FROM users;

VACUUM ANALYZE;
CHECKPOINT;
