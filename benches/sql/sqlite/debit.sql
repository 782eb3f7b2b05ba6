-- The guarded debit. It returns no row if the balance is too low. ?1 price, ?2 user.
UPDATE users SET tokens = tokens - ?1 WHERE id = ?2 AND tokens >= ?1 RETURNING tokens
