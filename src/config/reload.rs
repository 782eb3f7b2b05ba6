//! Which settings a reload changes while the server runs, and which need a restart.

use super::{Accounts, Answers, BackupArgs, Config, Listen, TlsArgs, UpstreamArgs};

/// The settings that a reload changes. All others are read at the start only.
const RELOADED: [&str; 40] = [
    "hsts",
    "hsts-include-subdomains",
    "site-title",
    "site-notice",
    "security-contact",
    "environment-label",
    "min-free-disk",
    "backup-every",
    "backup-keep",
    "opening-tokens",
    "large-grant",
    "chat-price",
    "top-up",
    "throttle",
    "registration",
    "login-errors",
    "auth-token-days",
    "auth-token-idle-days",
    "session-idle-minutes",
    "session-hours",
    "history-days",
    "concurrent-chats",
    "requests-per-minute",
    "reads-per-minute",
    "store-responses",
    "responses-days",
    "responses-mib",
    "upstream-url",
    "upstream-models",
    "upstream-key",
    "upstream-key-file",
    "upstream-system-prompt",
    "upstream-default-output",
    "upstream-max-output",
    "upstream-limit-field",
    "upstream-context",
    "upstream-connect-timeout",
    "upstream-first-byte-timeout",
    "upstream-idle-timeout",
    "log",
];

/// Returns whether a reload changes the setting of this name.
pub fn is_reloaded(name: &str) -> bool {
    RELOADED.contains(&name)
}

/// Returns the settings to use after a reload: those of `wanted` that a reload changes, and of all
/// others what `running` has.
pub fn after_reload(running: &Config, wanted: &Config) -> Config {
    let Config { listen, tls, backup, accounts, answers, upstream, .. } = running;
    let wanted = wanted.clone();
    Config {
        listen: Listen {
            hsts_include_subdomains: wanted.listen.hsts_include_subdomains,
            site_title: wanted.listen.site_title,
            site_notice: wanted.listen.site_notice,
            security_contact: wanted.listen.security_contact,
            environment_label: wanted.listen.environment_label,
            min_free_disk: wanted.listen.min_free_disk,
            ..listen.clone()
        },
        // The files of the certificate are read again whenever they change.
        tls: TlsArgs { hsts: wanted.tls.hsts, ..tls.clone() },
        database: running.database.clone(),
        backup: BackupArgs { backup_dir: backup.backup_dir.clone(), ..wanted.backup },
        metering: wanted.metering,
        accounts: Accounts { hashing: accounts.hashing.clone(), ..wanted.accounts },
        limits: wanted.limits,
        answers: Answers {
            responder: answers.responder,
            dummy_delay: answers.dummy_delay,
            dummy_failures: answers.dummy_failures,
            ..wanted.answers
        },
        // The time for a whole answer also limits connections, and the last three are those of the
        // queue, in which messages wait now.
        upstream: UpstreamArgs {
            upstream_total_timeout: upstream.upstream_total_timeout,
            upstream_calls: upstream.upstream_calls,
            upstream_waiting: upstream.upstream_waiting,
            upstream_patience: upstream.upstream_patience,
            ..wanted.upstream
        },
        config_file: running.config_file.clone(),
        log: wanted.log,
        log_format: running.log_format,
    }
}

#[cfg(test)]
mod tests {
    use clap::{Args, Command, FromArgMatches};

    use super::*;

    /// Returns another value than the default for a setting.
    fn other_value(name: &str) -> &'static str {
        match name {
            "bind" | "metrics-bind" => "127.0.0.1:1",
            "public-url" => "https://chat.example",
            "tls-certificate" | "tls-key" | "backup-dir" => "other",
            "hsts-include-subdomains" => "on",
            "trusted-proxies" | "unlimited-addresses" => "192.0.2.1",
            "cors-origins" => "https://a.example",
            "database-url" | "database-url-file" | "upstream-key-file" | "config" => "other",
            "throttle" | "store-responses" => "off",
            "registration" => "closed",
            "login-errors" => "unified",
            "responder" => "openai",
            "upstream-url" => "http://127.0.0.1:1/v1",
            "upstream-limit-field" => "max_completion_tokens",
            "site-title" | "site-notice" | "environment-label" | "top-up" => "x",
            "upstream-models" | "upstream-system-prompt" => "x",
            "security-contact" => "security@chat.example",
            "backup-every" => "20m",
            "log" => "warn",
            "log-format" => "json",
            // Numbers; each range has 8 or 20.
            "workers" | "read-connections" | "pg-writers" | "bcrypt-cost" => "8",
            _ => "20",
        }
    }

    fn parsed(flags: &[String]) -> Config {
        let command = Config::augment_args(Command::new("tollgate")).mut_args(|arg| arg.env(None::<&str>));
        let matches = command.no_binary_name(true).try_get_matches_from(flags).unwrap();
        Config::from_arg_matches(&matches).unwrap()
    }

    fn text(config: &Config) -> String {
        format!("{config:?}")
    }

    #[test]
    fn the_list_names_exactly_the_settings_that_a_reload_changes() {
        let running = parsed(&[]);
        let command = Config::augment_args(Command::new("tollgate"));
        let names: Vec<&str> = command.get_arguments().filter_map(|setting| setting.get_long()).collect();
        assert!(names.len() > 50, "only {} settings are checked", names.len());
        for name in &names {
            let wanted = parsed(&[format!("--{name}={}", other_value(name))]);
            assert_ne!(text(&wanted), text(&running), "--{name}: give it another value than its default");
            let after = after_reload(&running, &wanted);
            let expected = if is_reloaded(name) { &wanted } else { &running };
            assert_eq!(text(&after), text(expected), "--{name}");
        }
        // The key has no flag.
        let unknown: Vec<_> = RELOADED.iter().filter(|name| !names.contains(name)).collect();
        assert_eq!(unknown, [&super::super::UPSTREAM_KEY]);
    }
}
