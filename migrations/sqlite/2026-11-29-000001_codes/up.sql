-- Texts that were stored for people become codes: the texts may change, the codes never do.
-- A text that is not listed stays as it is.
UPDATE chats SET failure = CASE failure
    WHEN 'the dummy was told to fail' THEN 'dummy_failed'
    WHEN 'the model could not be reached' THEN 'unreachable'
    WHEN 'the connection to the model was lost' THEN 'connection_lost'
    WHEN 'the model did not begin to answer in time' THEN 'first_byte_timeout'
    WHEN 'the model fell silent' THEN 'stalled'
    WHEN 'it took too long' THEN 'total_timeout'
    WHEN 'the answer was cut short' THEN 'cut_short'
    WHEN 'the answer could not be read' THEN 'unreadable'
    WHEN 'the model told of an error' THEN 'error_in_answer'
    WHEN 'what came was not an answer' THEN 'not_an_answer'
    WHEN 'the answer had no end' THEN 'too_large'
    WHEN 'the model did not accept this server' THEN 'key_rejected'
    WHEN 'the model is not there for this server' THEN 'model_unavailable'
    WHEN 'the model did not accept the request' THEN 'request_rejected'
    WHEN 'the model has too many requests' THEN 'rate_limited'
    WHEN 'the model had an error' THEN 'server_error'
    WHEN 'the model wrote nothing' THEN 'empty_answer'
    WHEN 'too many calls are in flight' THEN 'busy'
    WHEN 'too many of the user''s calls wait' THEN 'too_many_of_user'
    WHEN 'the model failed too often and is given a rest' THEN 'circuit_open'
    WHEN 'the server was stopped' THEN 'server_stopped'
    WHEN 'no answer before the deadline' THEN 'deadline_passed'
    WHEN 'released by an administrator' THEN 'released'
    WHEN 'the client left' THEN 'client_disconnected'
    ELSE failure END
-- Both conditions are needed for the planner to use the index of unusual states.
WHERE state <> 'complete' AND state IN ('failed', 'cancelled') AND failure IS NOT NULL;

UPDATE audit_log SET
    action = CASE action
        WHEN 'added' THEN 'add'
        WHEN 'changed' THEN 'change'
        WHEN 'set the password' THEN 'set_password'
        WHEN 'deactivated' THEN 'deactivate'
        WHEN 'reactivated' THEN 'reactivate'
        WHEN 'anonymised' THEN 'anonymise'
        WHEN 'adjusted the balance' THEN 'adjust'
        WHEN 'refunded' THEN 'refund'
        WHEN 'released' THEN 'release'
        WHEN 'revoked' THEN 'revoke'
        WHEN 'signed in' THEN 'sign_in'
        WHEN 'signed out' THEN 'sign_out'
        WHEN 'logged out everywhere' THEN 'log_out_everywhere'
        WHEN 'started' THEN 'start'
        ELSE action END,
    object_kind = CASE object_kind
        WHEN 'auth token' THEN 'auth_token'
        WHEN 'bulk operation' THEN 'bulk_operation'
        ELSE object_kind END,
    changes = replace(replace(replace(replace(replace(replace(replace(replace(changes,
        '"field":"auth tokens revoked"', '"field":"auth_tokens_revoked"'),
        '"field":"sessions ended"', '"field":"sessions_ended"'),
        '"field":"first characters"', '"field":"first_characters"'),
        '"field":"chats at once"', '"field":"concurrent_chats"'),
        '"field":"requests a minute"', '"field":"requests_per_minute"'),
        '"field":"base price"', '"field":"base"'),
        '"field":"price of 1,000 prompt tokens"', '"field":"prompt"'),
        '"field":"price of 1,000 answer tokens"', '"field":"answer"');

-- A limit or a price that is not set.
UPDATE audit_log SET changes =
    replace(replace(changes, '"before":"as the settings say"', '"before":"default"'),
        '"after":"as the settings say"', '"after":"default"')
WHERE action = 'change' AND object_kind IN ('user', 'model') AND changes LIKE '%"as the settings say"%';

UPDATE bulk_operations SET kind = CASE kind
    WHEN 'adjust balances' THEN 'adjust_balances'
    WHEN 'revoke auth tokens' THEN 'revoke_auth_tokens'
    WHEN 'anonymise a user' THEN 'anonymise_user'
    ELSE kind END;

UPDATE bulk_failures SET reason = CASE reason
    WHEN 'the balance would leave its range' THEN 'out_of_range'
    WHEN 'there is no such user' THEN 'no_such_user'
    WHEN 'there is no such auth token' THEN 'no_such_auth_token'
    WHEN 'it had ended before' THEN 'already_ended'
    ELSE reason END;
