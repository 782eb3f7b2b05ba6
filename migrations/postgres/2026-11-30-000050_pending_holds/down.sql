DROP FUNCTION pending_holds(BIGINT);
