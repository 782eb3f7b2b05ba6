-- The charge. ?1 user, ?2 amount (below zero), ?3 balance after, ?4 chat, ?5 operation id, ?6 now.
INSERT INTO ledger_entries (user_id, amount, balance_after, kind, chat_id, operation_id, created_at)
VALUES (?1, ?2, ?3, 'charge', ?4, ?5, ?6)
