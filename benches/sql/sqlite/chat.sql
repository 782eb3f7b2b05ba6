-- The chat, answered by the dummy. ?1 user, ?2 message, ?3 response, ?4 price, ?5 now.
INSERT INTO chats (user_id, message, response, model, state, charge, origin, created_at, finished_at)
VALUES (?1, ?2, ?3, 'dummy', 'complete', ?4, 'live', ?5, ?5)
RETURNING id
