-- The guarded debit: no row comes back when the balance is too little. ?1 price, ?2 user.
UPDATE users SET tokens = tokens - ?1 WHERE id = ?2 AND tokens >= ?1 RETURNING tokens
