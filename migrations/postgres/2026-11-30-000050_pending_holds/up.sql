-- Counts a user's pending chats. The order, and no sorting, leave PostgreSQL only the index by user.
-- It would otherwise read the pending chats of all users while its statistics know of none.
CREATE FUNCTION pending_holds(payer BIGINT) RETURNS BIGINT LANGUAGE plpgsql STABLE SET enable_sort = off AS $$
BEGIN
    RETURN (SELECT count(*) FROM (
        SELECT FROM chats WHERE user_id BETWEEN payer AND payer AND state = 'pending' ORDER BY user_id OFFSET 0
    ) AS pending);
END;
$$;
