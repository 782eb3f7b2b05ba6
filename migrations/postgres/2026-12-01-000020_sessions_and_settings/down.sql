DROP TABLE database_identity;
ALTER TABLE panel_settings DROP COLUMN shortcuts;
