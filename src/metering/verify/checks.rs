//! The claims that `verify` proves, each with a query for what contradicts it. A query returns the
//! columns `subject` and `fault`.

#[derive(Clone, Copy)]
pub(super) struct Check {
    pub claim: &'static str,
    pub sql: &'static str,
}

/// A claim that holds only while a server runs.
pub(super) const NO_LATE_HOLD: &str = "no hold is past its deadline";

/// Checks with the same SQL on both databases.
pub(super) const COMMON: &[Check] = &[
    Check {
        claim: "every balance equals the sum of its ledger",
        sql: "SELECT 'user ' || id || ' (' || username || ')' AS subject,
                     'has ' || tokens || ' tokens, but the ledger sums to ' || total AS fault
              FROM (SELECT users.id, username, tokens, coalesce(total, 0) AS total
                    FROM users LEFT JOIN (SELECT user_id, sum(amount) AS total FROM ledger_entries GROUP BY user_id) AS sums
                        ON sums.user_id = users.id) AS balances
              WHERE tokens <> total",
    },
    Check {
        claim: "no balance is below 0",
        sql: "SELECT 'user ' || id AS subject, 'has ' || tokens || ' tokens' AS fault FROM users WHERE tokens < 0",
    },
    Check {
        claim: "balance_after runs unbroken",
        sql: "SELECT 'ledger entry ' || id AS subject,
                     'of user ' || user_id || ' says ' || balance_after || ' after ' || amount || ', but before it were '
                     || before AS fault
              FROM (SELECT id, user_id, amount, balance_after,
                           coalesce(lag(balance_after) OVER (PARTITION BY user_id ORDER BY id), 0) AS before
                    FROM ledger_entries) AS chain
              WHERE balance_after <> before + amount",
    },
    Check {
        claim: "every user has one opening entry",
        sql: "SELECT 'user ' || id AS subject, 'has ' || openings || ' opening entries' AS fault
              FROM (SELECT id, (SELECT count(*) FROM ledger_entries e
                                WHERE e.user_id = users.id AND e.kind = 'opening') AS openings
                    FROM users) AS counted
              WHERE openings <> 1",
    },
    Check {
        claim: "every live chat has its charge",
        sql: "SELECT 'chat ' || c.id AS subject,
                     CASE WHEN e.id IS NULL THEN 'has no charge'
                          ELSE 'costs ' || c.charge || ' of user ' || c.user_id || ', but ledger entry ' || e.id
                               || ' takes ' || -e.amount || ' of user ' || e.user_id END AS fault
              FROM chats c LEFT JOIN ledger_entries e ON e.chat_id = c.id AND e.kind = 'charge'
              WHERE c.origin = 'live' AND (e.id IS NULL OR e.amount <> -c.charge OR e.user_id <> c.user_id)",
    },
    Check {
        claim: "a chat has at most one charge, one settlement and one refund",
        sql: "SELECT 'chat ' || chat_id AS subject, 'has ' || count(*) || ' entries of kind ' || kind AS fault
              FROM ledger_entries WHERE chat_id IS NOT NULL GROUP BY chat_id, kind HAVING count(*) > 1",
    },
    Check {
        claim: "no more goes back for a chat than was charged",
        sql: "SELECT 'chat ' || chat_id AS subject, 'gave back ' || sum(amount) || ' more than it took' AS fault
              FROM ledger_entries WHERE chat_id IS NOT NULL GROUP BY chat_id HAVING sum(amount) > 0",
    },
    Check {
        claim: "a failed chat costs nothing, unless its upstream worked, and a pending one has nothing given back",
        sql: "SELECT 'chat ' || id AS subject, 'is ' || state || ', but ' || -total || ' of its charge of ' || charge
                     || ' stay taken' AS fault
              FROM (SELECT id, state, charge,
                           coalesce((SELECT sum(amount) FROM ledger_entries e WHERE e.chat_id = chats.id), 0) AS total,
                           failure IN ('total_timeout', 'empty_answer',
                                   'it took too long', 'the model wrote nothing') AND prompt_tokens IS NOT NULL
                               AS worked
                    FROM chats WHERE origin = 'live' AND state IN ('failed', 'pending')) AS ended
              WHERE (state = 'failed' AND total <> 0 AND NOT coalesce(worked, FALSE))
                 OR (state = 'pending' AND total <> -charge)",
    },
    Check {
        claim: "a complete chat was not refunded",
        sql: "SELECT 'chat ' || c.id AS subject,
                     'is complete, but ledger entry ' || e.id || ' gave back ' || e.amount AS fault
              FROM chats c JOIN ledger_entries e ON e.chat_id = c.id AND e.kind = 'refund'
              WHERE c.state = 'complete' AND e.actor_id IS NULL",
    },
    Check {
        claim: "only a chat is settled that was answered, or that its upstream worked for",
        sql: "SELECT 'chat ' || c.id AS subject,
                     'is ' || c.state || ', but ledger entry ' || e.id || ' settles it' AS fault
              FROM ledger_entries e JOIN chats c ON c.id = e.chat_id
              WHERE e.kind = 'settlement' AND c.state NOT IN ('complete', 'cancelled')
                AND NOT (c.state = 'failed' AND c.prompt_tokens IS NOT NULL
                         AND coalesce(c.failure, '') IN ('total_timeout', 'empty_answer',
                                   'it took too long', 'the model wrote nothing'))",
    },
    Check {
        claim: "ledger entries belong to users and chats that exist, and to the chat's own user",
        sql: "SELECT 'ledger entry ' || e.id AS subject,
                     'of user ' || e.user_id || ' names chat ' || coalesce(CAST(e.chat_id AS TEXT), '-') || ' of user '
                     || coalesce(CAST(c.user_id AS TEXT), '-') AS fault
              FROM ledger_entries e
              LEFT JOIN users u ON u.id = e.user_id LEFT JOIN chats c ON c.id = e.chat_id
              WHERE u.id IS NULL OR (e.chat_id IS NOT NULL AND (c.id IS NULL OR c.user_id <> e.user_id))
                 OR (e.chat_id IS NULL) <> (e.kind IN ('opening', 'adjustment'))",
    },
    Check {
        claim: "idempotency keys name chats of their own user",
        sql: "SELECT 'chat ' || k.chat_id AS subject, 'has an idempotency key of user ' || k.user_id AS fault
              FROM idempotency_keys k LEFT JOIN chats c ON c.id = k.chat_id
              WHERE c.id IS NULL OR c.user_id <> k.user_id",
    },
];

/// The checks of SQLite. The sweeper runs every 5 s, so a hold that is 15 s late was overlooked.
pub(super) const SQLITE: &[Check] = &[
    Check {
        claim: NO_LATE_HOLD,
        sql: "SELECT 'chat ' || id AS subject, 'is pending, and its deadline was ' || deadline AS fault FROM chats
              WHERE state = 'pending' AND deadline < strftime('%Y-%m-%d %H:%M:%f', 'now', '-15 seconds')",
    },
    Check {
        claim: "amounts are integers",
        sql: "SELECT 'user ' || id AS subject, 'has tokens of type ' || typeof(tokens) AS fault
              FROM users WHERE typeof(tokens) <> 'integer'
              UNION ALL
              SELECT 'ledger entry ' || id, 'has an amount of type ' || typeof(amount) || ' and a balance of type '
                     || typeof(balance_after)
              FROM ledger_entries WHERE typeof(amount) <> 'integer' OR typeof(balance_after) <> 'integer'",
    },
    Check {
        claim: "the triggers and unique indexes that guard the ledger are there",
        sql: "SELECT guard.column1 AS subject, 'is missing' AS fault
              FROM (VALUES ('ledger_entries_refuse_update'), ('ledger_entries_refuse_delete'),
                           ('ledger_entries_within_charge'), ('ledger_entries_once_per_chat'),
                           ('ledger_entries_one_opening')) AS guard
              WHERE guard.column1 NOT IN (SELECT name FROM sqlite_master)",
    },
    Check {
        claim: "references name rows that exist",
        sql: "SELECT 'row ' || coalesce(\"rowid\", '?') || ' of ' || \"table\" AS subject,
                     'refers to a row of ' || \"parent\" || ' that does not exist' AS fault
              FROM pragma_foreign_key_check",
    },
    Check {
        claim: "the database file is sound",
        sql: "SELECT 'the file' AS subject, integrity_check AS fault FROM pragma_integrity_check
              WHERE integrity_check <> 'ok'",
    },
];

pub(super) const POSTGRES: &[Check] = &[
    Check {
        claim: NO_LATE_HOLD,
        sql: "SELECT 'chat ' || id AS subject, 'is pending, and its deadline was ' || deadline AS fault FROM chats
              WHERE state = 'pending' AND deadline < (clock_timestamp() AT TIME ZONE 'UTC') - interval '15 seconds'",
    },
    Check {
        claim: "the triggers and unique indexes that guard the ledger are there",
        sql: "SELECT guard.name AS subject, 'is missing or switched off' AS fault
              FROM (VALUES ('ledger_entries_refuse_update'), ('ledger_entries_refuse_delete'),
                           ('ledger_entries_refuse_truncate'), ('ledger_entries_within_charge'),
                           ('ledger_entries_once_per_chat'), ('ledger_entries_one_opening')) AS guard (name)
              WHERE NOT EXISTS (SELECT FROM pg_trigger t
                                WHERE t.tgrelid = 'ledger_entries'::regclass AND t.tgname = guard.name
                                  AND t.tgenabled IN ('O', 'A'))
                AND to_regclass(guard.name) IS NULL",
    },
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::FailureReason;

    #[test]
    fn the_failures_that_are_settled_are_named_as_they_are_stored() {
        for reason in [FailureReason::TotalTimeout, FailureReason::EmptyAnswer] {
            let named = COMMON.iter().filter(|check| check.sql.contains(&format!("'{}'", reason.code())));
            assert_eq!(named.count(), 2, "{reason:?}");
        }
    }
}
