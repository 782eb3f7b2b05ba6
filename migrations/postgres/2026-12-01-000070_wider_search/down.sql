-- The follower begins anew, with terms of the former kind.
SELECT position FROM follower_marks ORDER BY name FOR UPDATE;
TRUNCATE user_balances, quarter_totals, chats_to_follow, chat_search, user_search;
DELETE FROM follower_marks WHERE name = 'audit_log';
UPDATE follower_marks SET position = 0;
DROP TABLE history_search;
DROP TABLE reason_search;
