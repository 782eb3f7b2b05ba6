-- The texts that 0.1.0 stored.
UPDATE chats SET failure = CASE failure
    WHEN 'dummy_failed' THEN 'the dummy was told to fail'
    WHEN 'unreachable' THEN 'the model could not be reached'
    WHEN 'connection_lost' THEN 'the connection to the model was lost'
    WHEN 'first_byte_timeout' THEN 'the model did not begin to answer in time'
    WHEN 'stalled' THEN 'the model fell silent'
    WHEN 'total_timeout' THEN 'it took too long'
    WHEN 'cut_short' THEN 'the answer was cut short'
    WHEN 'unreadable' THEN 'the answer could not be read'
    WHEN 'error_in_answer' THEN 'the model told of an error'
    WHEN 'not_an_answer' THEN 'what came was not an answer'
    WHEN 'too_large' THEN 'the answer had no end'
    WHEN 'key_rejected' THEN 'the model did not accept this server'
    WHEN 'model_unavailable' THEN 'the model is not there for this server'
    WHEN 'request_rejected' THEN 'the model did not accept the request'
    WHEN 'rate_limited' THEN 'the model has too many requests'
    WHEN 'server_error' THEN 'the model had an error'
    WHEN 'empty_answer' THEN 'the model wrote nothing'
    WHEN 'busy' THEN 'too many calls are in flight'
    WHEN 'too_many_of_user' THEN 'too many of the user''s calls wait'
    WHEN 'circuit_open' THEN 'the model failed too often and is given a rest'
    WHEN 'server_stopped' THEN 'the server was stopped'
    WHEN 'deadline_passed' THEN 'no answer before the deadline'
    WHEN 'released' THEN 'released by an administrator'
    WHEN 'client_disconnected' THEN 'the client left'
    ELSE failure END
-- Both conditions are needed for the planner to use the index of unusual states.
WHERE state <> 'complete' AND state IN ('failed', 'cancelled') AND failure IS NOT NULL;

-- A limit or a price that is not set. A user's name may also be `default`.
UPDATE audit_log SET changes =
    replace(replace(changes, '"before":"default"', '"before":"as the settings say"'),
        '"after":"default"', '"after":"as the settings say"')
WHERE action = 'change' AND changes LIKE '%"default"%' AND (object_kind = 'model'
    OR (object_kind = 'user' AND changes NOT LIKE '%"field":"username"%'));

UPDATE audit_log SET
    action = CASE action
        WHEN 'add' THEN 'added'
        WHEN 'change' THEN 'changed'
        WHEN 'set_password' THEN 'set the password'
        WHEN 'deactivate' THEN 'deactivated'
        WHEN 'reactivate' THEN 'reactivated'
        WHEN 'anonymise' THEN 'anonymised'
        WHEN 'adjust' THEN 'adjusted the balance'
        WHEN 'refund' THEN 'refunded'
        WHEN 'release' THEN 'released'
        WHEN 'revoke' THEN 'revoked'
        WHEN 'sign_in' THEN 'signed in'
        WHEN 'sign_out' THEN 'signed out'
        WHEN 'log_out_everywhere' THEN 'logged out everywhere'
        WHEN 'start' THEN 'started'
        ELSE action END,
    object_kind = CASE object_kind
        WHEN 'auth_token' THEN 'auth token'
        WHEN 'bulk_operation' THEN 'bulk operation'
        ELSE object_kind END,
    changes = replace(replace(replace(replace(replace(replace(replace(replace(changes,
        '"field":"auth_tokens_revoked"', '"field":"auth tokens revoked"'),
        '"field":"sessions_ended"', '"field":"sessions ended"'),
        '"field":"first_characters"', '"field":"first characters"'),
        '"field":"concurrent_chats"', '"field":"chats at once"'),
        '"field":"requests_per_minute"', '"field":"requests a minute"'),
        '"field":"base"', '"field":"base price"'),
        '"field":"prompt"', '"field":"price of 1,000 prompt tokens"'),
        '"field":"answer"', '"field":"price of 1,000 answer tokens"');

UPDATE bulk_operations SET kind = CASE kind
    WHEN 'adjust_balances' THEN 'adjust balances'
    WHEN 'revoke_auth_tokens' THEN 'revoke auth tokens'
    WHEN 'anonymise_user' THEN 'anonymise a user'
    ELSE kind END;

UPDATE bulk_failures SET reason = CASE reason
    WHEN 'out_of_range' THEN 'the balance would leave its range'
    WHEN 'no_such_user' THEN 'there is no such user'
    WHEN 'no_such_auth_token' THEN 'there is no such auth token'
    WHEN 'already_ended' THEN 'it had ended before'
    ELSE reason END;
