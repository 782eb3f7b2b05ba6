//! The commands that back up a database on PostgreSQL. A password is never a part of them.

/// A command to copy, and what it does.
pub(super) struct Command {
    pub(super) label: &'static str,
    pub(super) text: String,
    pub(super) note: &'static str,
}

/// Returns the commands for the database with this URL, which has no password.
pub(super) fn commands(url: &str) -> Vec<Command> {
    let url = quoted(url);
    vec![
        Command {
            label: "Back up this database",
            text: format!(
                "(umask 077; pg_dump --format=custom --file=\"tollgate-$(date -u +%Y%m%dT%H%M%SZ).dump\" {url})"
            ),
            note: "Reads one snapshot while all nodes run. Run it from cron or a systemd timer, and copy the file \
                   elsewhere.",
        },
        Command {
            label: "Restore it",
            text: format!(
                "pg_restore --clean --if-exists --exit-on-error --dbname={url} tollgate-20260131T031500Z.dump"
            ),
            note: "Stop all nodes first, and name the file that you want. Afterwards run tollgate verify.",
        },
        Command {
            label: "Back up the whole cluster",
            text: format!(
                "(umask 077; pg_basebackup --pgdata=\"cluster-$(date -u +%Y%m%dT%H%M%SZ)\" --wal-method=stream \
                 --checkpoint=fast --dbname={url})"
            ),
            note: "For a role with REPLICATION. With an archive of the write-ahead log, it can be restored to any \
                   later moment (PostgreSQL's manual: Continuous Archiving and Point-in-Time Recovery).",
        },
    ]
}

/// Quotes a text for a shell.
fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "'\\''"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_url_stays_one_word_of_the_command() {
        assert_eq!(quoted("postgres://u@h/d?a=b&c=d"), "'postgres://u@h/d?a=b&c=d'");
        assert_eq!(quoted("it's $(x)"), r"'it'\''s $(x)'");
        assert!(
            commands("postgres://u@h/d").iter().all(|command| command.text.contains("'postgres://u@h/d'"))
        );
    }
}
