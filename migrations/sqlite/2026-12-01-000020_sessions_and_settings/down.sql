ALTER TABLE panel_settings DROP COLUMN shortcuts;
