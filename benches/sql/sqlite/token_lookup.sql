-- Finds the auth token by its digest, with its active user. ?1 digest, ?2 now.
SELECT auth_tokens.id, auth_tokens.last_used_at, users.id, users.username, users.tokens
FROM auth_tokens
JOIN users ON users.id = auth_tokens.user_id
WHERE auth_tokens.digest = ?1
  AND auth_tokens.revoked_at IS NULL
  AND (auth_tokens.expires_at IS NULL OR auth_tokens.expires_at > ?2)
  AND users.is_active
