DROP TABLE saved_views;
DROP TABLE panel_columns;
