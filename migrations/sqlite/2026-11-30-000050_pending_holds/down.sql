-- Only PostgreSQL needs the function of this name.
SELECT 1;
