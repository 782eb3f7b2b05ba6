DROP INDEX conversations_started;
ALTER TABLE conversations DROP COLUMN is_automatic;
