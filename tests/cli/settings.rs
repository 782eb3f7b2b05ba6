//! Settings: where they come from, which values they refuse, and which database they choose.

use std::os::unix::fs::PermissionsExt;
use std::path::Path;

use super::{run, tollgate_in};
use crate::support::server::Server;
use crate::support::{On, TestDatabase, temporary};

/// Every setting: flag, variable, what `--help` says about its default, and an invalid value.
const SETTINGS: [(&str, &str, &str, &str); 72] = [
    ("--bind", "TOLLGATE_BIND", "127.0.0.1:8000", "nowhere"),
    ("--public-url", "TOLLGATE_PUBLIC_URL", "", "ftp://chat.example"),
    ("--tls-certificate", "TOLLGATE_TLS_CERTIFICATE", "none", ""),
    ("--tls-key", "TOLLGATE_TLS_KEY", "none", ""),
    ("--hsts", "TOLLGATE_HSTS", "a year if --public-url is https://, otherwise off", "soon"),
    ("--hsts-include-subdomains", "TOLLGATE_HSTS_INCLUDE_SUBDOMAINS", "off", "preload"),
    ("--trusted-proxies", "TOLLGATE_TRUSTED_PROXIES", "none", "10.0.0.0/99"),
    ("--cors-origins", "TOLLGATE_CORS_ORIGINS", "none", ""),
    ("--workers", "TOLLGATE_WORKERS", "one per core", "0"),
    ("--max-connections", "TOLLGATE_MAX_CONNECTIONS", "8192", "1"),
    ("--max-connections-per-address", "TOLLGATE_MAX_CONNECTIONS_PER_ADDRESS", "256", "0"),
    ("--unlimited-addresses", "TOLLGATE_UNLIMITED_ADDRESSES", "127.0.0.0/8,::1", "everybody"),
    ("--memory-budget", "TOLLGATE_MEMORY_BUDGET", "96", "15"),
    ("--head-timeout", "TOLLGATE_HEAD_TIMEOUT", "5", "0"),
    ("--body-timeout", "TOLLGATE_BODY_TIMEOUT", "15", "soon"),
    ("--keep-alive-timeout", "TOLLGATE_KEEP_ALIVE_TIMEOUT", "75", "0"),
    ("--write-timeout", "TOLLGATE_WRITE_TIMEOUT", "30", "0"),
    ("--drain-delay", "TOLLGATE_DRAIN_DELAY", "0", "3601"),
    ("--metrics-bind", "TOLLGATE_METRICS_BIND", "none", "9464"),
    (
        "--site-title",
        "TOLLGATE_SITE_TITLE",
        "Tollgate",
        "A title that is far too long for the top of a page of the panel",
    ),
    ("--site-notice", "TOLLGATE_SITE_NOTICE", "none", " "),
    ("--security-contact", "TOLLGATE_SECURITY_CONTACT", "none", ""),
    ("--environment-label", "TOLLGATE_ENVIRONMENT_LABEL", "none", "a label longer than thirty letters"),
    ("--min-free-disk", "TOLLGATE_MIN_FREE_DISK", "512", "-1"),
    ("--database-url", "DATABASE_URL", "tollgate.db", "mysql://root@db/tollgate"),
    ("--database-url-file", "DATABASE_URL_FILE", "none", ""),
    ("--read-connections", "TOLLGATE_READ_CONNECTIONS", "SQLite: one per core; PostgreSQL: 8", "0"),
    ("--pg-writers", "TOLLGATE_PG_WRITERS", "by the time of a commit", "65"),
    ("--backup-dir", "TOLLGATE_BACKUP_DIR", "none", ""),
    ("--backup-every", "TOLLGATE_BACKUP_EVERY", "24h", "soon"),
    ("--backup-keep", "TOLLGATE_BACKUP_KEEP", "7", "-1"),
    ("--opening-tokens", "TOLLGATE_OPENING_TOKENS", "4000", "-1"),
    ("--large-grant", "TOLLGATE_LARGE_GRANT", "100 times --opening-tokens", "-1"),
    ("--chat-price", "TOLLGATE_CHAT_PRICE", "100", "1.5"),
    ("--top-up", "TOLLGATE_TOP_UP", "none", " "),
    ("--bcrypt-cost", "TOLLGATE_BCRYPT_COST", "12", "3"),
    ("--throttle", "TOLLGATE_THROTTLE", "on", "maybe"),
    ("--registration", "TOLLGATE_REGISTRATION", "open", "ajar"),
    ("--login-errors", "TOLLGATE_LOGIN_ERRORS", "distinct", "vague"),
    ("--auth-token-days", "TOLLGATE_AUTH_TOKEN_DAYS", "0", "-1"),
    ("--auth-token-idle-days", "TOLLGATE_AUTH_TOKEN_IDLE_DAYS", "0", "-1"),
    ("--session-idle-minutes", "TOLLGATE_SESSION_IDLE_MINUTES", "60", "0"),
    ("--session-hours", "TOLLGATE_SESSION_HOURS", "12", "0"),
    ("--history-days", "TOLLGATE_HISTORY_DAYS", "0", "-1"),
    ("--responder", "TOLLGATE_RESPONDER", "dummy", "oracle"),
    ("--dummy-delay", "TOLLGATE_DUMMY_DELAY", "0", "600001"),
    ("--dummy-failures", "TOLLGATE_DUMMY_FAILURES", "0", "101"),
    ("--store-responses", "TOLLGATE_STORE_RESPONSES", "on", "sometimes"),
    ("--responses-days", "TOLLGATE_RESPONSES_DAYS", "30", "-1"),
    ("--responses-mib", "TOLLGATE_RESPONSES_MIB", "256", "7"),
    ("--concurrent-chats", "TOLLGATE_CONCURRENT_CHATS", "32", "-1"),
    ("--requests-per-minute", "TOLLGATE_REQUESTS_PER_MINUTE", "600", "many"),
    ("--reads-per-minute", "TOLLGATE_READS_PER_MINUTE", "6000", "0"),
    ("--upstream-url", "TOLLGATE_UPSTREAM_URL", "", "http://llm.example"),
    ("--upstream-models", "TOLLGATE_UPSTREAM_MODELS", "", "a b"),
    ("--upstream-key-file", "TOLLGATE_UPSTREAM_KEY_FILE", "none", ""),
    ("--upstream-system-prompt", "TOLLGATE_UPSTREAM_SYSTEM_PROMPT", "nothing", ""),
    ("--upstream-default-output", "TOLLGATE_UPSTREAM_DEFAULT_OUTPUT", "4096", "0"),
    ("--upstream-max-output", "TOLLGATE_UPSTREAM_MAX_OUTPUT", "16384", "0"),
    ("--upstream-limit-field", "TOLLGATE_UPSTREAM_LIMIT_FIELD", "max_tokens", "tokens"),
    ("--upstream-context", "TOLLGATE_UPSTREAM_CONTEXT", "4096", "-1"),
    ("--upstream-connect-timeout", "TOLLGATE_UPSTREAM_CONNECT_TIMEOUT", "5", "0"),
    ("--upstream-first-byte-timeout", "TOLLGATE_UPSTREAM_FIRST_BYTE_TIMEOUT", "60", "0"),
    ("--upstream-idle-timeout", "TOLLGATE_UPSTREAM_IDLE_TIMEOUT", "30", "0"),
    ("--upstream-total-timeout", "TOLLGATE_UPSTREAM_TOTAL_TIMEOUT", "300", "0"),
    ("--upstream-calls", "TOLLGATE_UPSTREAM_CALLS", "64", "0"),
    ("--upstream-waiting", "TOLLGATE_UPSTREAM_WAITING", "512", "-1"),
    ("--upstream-patience", "TOLLGATE_UPSTREAM_PATIENCE", "5", "0"),
    ("--config", "TOLLGATE_CONFIG", "none", ""),
    ("--log", "TOLLGATE_LOG", "info", "tollgate=loud"),
    ("--log-format", "TOLLGATE_LOG_FORMAT", "text", "xml"),
    ("--bcrypt-cost", "TOLLGATE_BCRYPT_COST", "12", "17"),
];

fn is_empty(directory: &Path) -> bool {
    std::fs::read_dir(directory).unwrap().next().is_none()
}

#[test]
fn an_invalid_value_prevents_the_start_and_is_named_whatever_its_source() {
    let directory = temporary::directory();
    for (flag, variable, _, bad) in SETTINGS.into_iter().filter(|(_, _, _, bad)| !bad.is_empty()) {
        let by_flag = tollgate_in(directory.path(), &["serve", &format!("{flag}={bad}")], &[]);
        let by_variable = tollgate_in(directory.path(), &["serve"], &[(variable, bad)]);
        for said in [by_flag, by_variable] {
            said.assert_refused(2, flag);
            // `secrets.rs` covers settings that may hold a password.
            let shown = if flag.ends_with("-url") { "(not shown)" } else { bad };
            assert!(said.err.contains(shown), "{shown:?} is not in {said:?}");
        }
    }
    tollgate_in(directory.path(), &["serve", "--no-such-setting", "1"], &[])
        .assert_refused(2, "--no-such-setting");
    tollgate_in(directory.path(), &["no-such-command"], &[]).assert_refused(2, "no-such-command");
    assert!(is_empty(directory.path()), "a start that was refused left a file");
}

#[test]
fn the_help_lists_every_setting_and_command() {
    let directory = temporary::directory();
    for words in [["--help"].as_slice(), &["serve", "--help"]] {
        let help = tollgate_in(directory.path(), words, &[]);
        help.assert_good();
        for (flag, variable, default, _) in SETTINGS {
            let (_, about) = help.out.split_once(&format!("{flag} <")).unwrap_or_else(|| panic!("no {flag}"));
            let about: Vec<&str> = about.split("\n      --").next().unwrap().split_whitespace().collect();
            let about = about.join(" ");
            assert!(about.contains(variable), "{variable} is not in {about}");
            assert!(
                default.is_empty() || about.contains(&format!("default: {default}]")),
                "{default:?}: {about}"
            );
        }
    }
    let help = tollgate_in(directory.path(), &["--help"], &[]).out;
    for command in ["serve", "createsuperuser", "changepassword", "adjust", "verify", "migrate"] {
        assert!(help.contains(&format!("\n  {command} ")), "{command} is not in {help}");
    }
    assert!(help.contains("Exit codes: 0 success, 1 failure, 2 bad usage"), "{help}");
    let secret = [("DATABASE_URL", "postgres://u:a-secret@h/d")];
    let help = tollgate_in(directory.path(), &["--help"], &secret);
    assert!(!help.out.contains("a-secret"), "{help:?}");
}

#[test]
fn the_scheme_chooses_the_database_and_a_flag_overrides_its_variable() {
    let directory = temporary::directory();
    let file = |name: &str| directory.path().join(name);
    let path = |name: &str| file(name).to_str().unwrap().to_owned();
    for (url, name) in [
        (path("plain.db"), "plain.db"),
        ("relative.db".to_owned(), "relative.db"),
        (format!("sqlite://{}", path("scheme.db")), "scheme.db"),
        ("sqlite:short.db".to_owned(), "short.db"),
        (path("odd %41?#ü.db"), "odd %41?#ü.db"),
    ] {
        tollgate_in(directory.path(), &["migrate"], &[("DATABASE_URL", &url)]).assert_good();
        assert!(file(name).metadata().is_ok_and(|file| file.len() > 0), "{url} made no {name}");
    }
    let words = ["migrate", "--database-url", "flag.db"];
    tollgate_in(directory.path(), &words, &[("DATABASE_URL", "variable.db")]).assert_good();
    assert!(file("flag.db").exists() && !file("variable.db").exists());
    for bad in ["", "mysql://root@db/d", "http://localhost", ":memory:", "sqlite://"] {
        tollgate_in(directory.path(), &["migrate"], &[("DATABASE_URL", bad)])
            .assert_refused(2, "--database-url");
    }
    let Some(postgres) = TestDatabase::create(On::Postgres) else { return };
    let other_scheme = postgres.url().replacen("postgres://", "postgresql://", 1);
    tollgate_in(directory.path(), &["migrate"], &[("DATABASE_URL", &other_scheme)]).assert_good();
    assert_eq!(run(&postgres, &["migrate"]).out, "the database is up to date\n");
}

#[test]
fn an_unreachable_postgres_is_reported_without_its_password() {
    let directory = temporary::directory();
    // Nothing listens on port 1.
    let variables = [("DATABASE_URL", "postgres://u:a-secret@127.0.0.1:1/d?password=a-secret")];
    for words in [["serve"].as_slice(), &["verify"], &["migrate"]] {
        let said = tollgate_in(directory.path(), words, &variables);
        said.assert_refused(1, "127.0.0.1");
        assert!(!format!("{said:?}").contains("a-secret"), "{said:?}");
    }
}

#[test]
fn a_mistyped_path_creates_no_database() {
    let directory = temporary::directory();
    for words in [
        ["verify"].as_slice(),
        &["adjust", "ada", "1", "--note", "a reason"],
        &["changepassword", "--username", "ada", "--password-stdin"],
        &["migrate", "--status"],
        &["migrate", "--down"],
    ] {
        let said = tollgate_in(directory.path(), words, &[("DATABASE_URL", "tolgate.db")]);
        said.assert_refused(1, "there is no database tolgate.db");
        assert!(is_empty(directory.path()), "{words:?} made a file");
    }
}

#[test]
fn only_its_owner_can_read_an_sqlite_database() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &[]);
    server.user("ada");
    for suffix in ["", "-wal", "-shm", "-lock"] {
        let file = format!("{}{suffix}", database.url());
        let mode =
            std::fs::metadata(&file).unwrap_or_else(|error| panic!("{file}: {error}")).permissions().mode();
        assert_eq!(mode & 0o777, 0o600, "{file} has mode {mode:o}");
    }
}
