-- Whether one key alone is a shortcut in the panel (WCAG 2.1.4).
ALTER TABLE panel_settings ADD COLUMN shortcuts BOOLEAN NOT NULL DEFAULT TRUE;
