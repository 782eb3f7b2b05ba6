-- On SQLite, what the panel looks things up in moves to a file of its own. Here it stays as it is.
SELECT 1;
