DROP TABLE bulk_undos;
DROP TABLE bulk_former_limits;
ALTER TABLE bulk_operations DROP COLUMN requests_per_minute;
ALTER TABLE bulk_operations DROP COLUMN concurrent_chats;
