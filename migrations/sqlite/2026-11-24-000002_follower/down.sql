DROP TABLE user_search;
DROP TABLE chat_search;
DROP TABLE chats_to_follow;
DROP TABLE quarter_totals;
DROP TABLE user_balances;
DROP TABLE follower_marks;
