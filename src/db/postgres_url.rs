//! Checks the URL of a PostgreSQL database before libpq parses it. libpq's errors quote parts of
//! the URL. If a password is not encoded, a part of it looks like a host, a port or a database.

/// The parts that libpq reads from a URL, by libpq's own rules.
struct Parts<'a> {
    /// The name and, if present, the password.
    user: Option<(&'a str, Option<&'a str>)>,
    hosts: &'a str,
    /// The name of the database, with the slash before it.
    database: &'a str,
    /// The query, without the question mark before it.
    query: &'a str,
}

fn parts(text: &str) -> Parts<'_> {
    let rest = text.split_once("://").map_or(text, |(_, rest)| rest);
    let end = rest.find(['@', '/']).filter(|end| rest[*end..].starts_with('@'));
    let (user, rest) = match end {
        Some(end) => {
            let user = &rest[..end];
            let user = user.split_once(':').map_or((user, None), |(name, password)| (name, Some(password)));
            (Some(user), &rest[end + 1..])
        }
        None => (None, rest),
    };
    let (hosts, rest) = rest.split_at(rest.find(['/', '?']).unwrap_or(rest.len()));
    let (database, query) = rest.split_once('?').unwrap_or((rest, ""));
    Parts { user, hosts, database, query }
}

const ENCODE: &str = "write special characters of user, password and database as % and two hexadecimal digits \
                      (@ is %40, : is %3A, / is %2F, ? is %3F)";

/// Checks a URL.
///
/// # Errors
/// Fails with what is wrong, without any part of the URL.
pub(super) fn check(text: &str) -> Result<(), &'static str> {
    if text.chars().any(|c| c.is_control() || c.is_whitespace() || c == '#') || !is_encoded(text) {
        return Err(ENCODE);
    }
    let Parts { user, hosts, database, query } = parts(text);
    // Without a slash in front, a query that contains an @ is read as a login.
    let login = user.map(|(name, password)| (name, password.unwrap_or_default()));
    if login.is_some_and(|(name, password)| format!("{name}{password}").contains('?'))
        || database.contains('@')
    {
        return Err(ENCODE);
    }
    if database.trim_start_matches('/').contains('/') || !hosts.split(',').all(is_host) {
        return Err(ENCODE);
    }
    let parameters = query.split('&').filter(|parameter| !parameter.is_empty());
    for parameter in parameters {
        let name = parameter.split_once('=').map(|(name, _)| name);
        if !name.is_some_and(|name| PARAMETERS.contains(&name)) {
            return Err("a parameter after the ? is not a connection parameter of libpq");
        }
    }
    Ok(())
}

/// Returns whether two hexadecimal digits follow each %, and no character is U+0000.
fn is_encoded(text: &str) -> bool {
    text.split('%').skip(1).all(|after| {
        let digits = after.as_bytes().get(..2);
        digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit) && digits != b"00")
    })
}

/// Returns whether the text is a host name or an address, with or without a port.
fn is_host(text: &str) -> bool {
    let (host, port) = match text.strip_prefix('[') {
        Some(rest) => {
            let Some((address, port)) = rest.split_once(']') else { return false };
            if address.parse::<std::net::Ipv6Addr>().is_err() || !(port.is_empty() || port.starts_with(':')) {
                return false;
            }
            ("", port.trim_start_matches(':'))
        }
        None => text.split_once(':').unwrap_or((text, "")),
    };
    let is_name = host.chars().all(|c| c.is_alphanumeric() || ".-_%~".contains(c));
    is_name && (port.is_empty() || port.parse::<u16>().is_ok_and(|port| port > 0))
}

/// Returns whether all hosts of a URL are this machine: Unix sockets or the loopback.
pub(super) fn is_on_this_machine(text: &str) -> bool {
    let Parts { hosts, query, .. } = parts(text);
    let parameter = |wanted: &str| {
        let mut parameters = query.split('&').filter_map(|parameter| parameter.split_once('='));
        parameters
            .find(|(name, value)| *name == wanted && !value.is_empty())
            .map(|(_, value)| value.to_owned())
    };
    let named = parameter("hostaddr").or_else(|| parameter("host"));
    let named = named.or_else(|| (!hosts.is_empty()).then(|| hosts.to_owned()));
    // Without a host, libpq takes it from the environment, or else a Unix socket.
    let named = named.or_else(|| std::env::var("PGHOST").ok()).unwrap_or_default();
    named.split(',').all(is_local)
}

/// Returns whether a host, with or without a port, is this machine.
fn is_local(host: &str) -> bool {
    let host = host.replace("%2F", "/").replace("%2f", "/");
    let is_socket = host.is_empty() || host.starts_with(['/', '@']);
    let name = host.split_once(':').map_or(host.as_str(), |(name, _)| name);
    let is_loopback = name == "localhost" || name.starts_with("127.");
    is_socket || is_loopback || host == "::1" || host.starts_with("[::1]")
}

/// Returns whether a URL holds a password or another secret.
pub(super) fn has_secret(text: &str) -> bool {
    let Parts { user, query, .. } = parts(text);
    let has_password = user.is_some_and(|(_, password)| password.is_some_and(|it| !it.is_empty()));
    let mut names = query.split('&').filter_map(|parameter| parameter.split_once('='));
    has_password || names.any(|(name, value)| SECRETS.contains(&name) && !value.is_empty())
}

/// The parameters whose values are secret.
const SECRETS: [&str; 5] =
    ["password", "sslpassword", "oauth_client_secret", "scram_client_key", "scram_server_key"];

/// Returns the URL for display, without the password and without the query, which may contain one.
pub(super) fn shown(text: &str) -> String {
    let Parts { user, hosts, database, .. } = parts(text);
    let user = match user {
        Some((name, Some(_))) => format!("{name}:***@"),
        Some((name, None)) => format!("{name}@"),
        None => String::new(),
    };
    format!("postgres://{user}{hosts}{database}")
}

/// The parameters that name a database and the way to it, and never hold a secret.
const PLAIN: [&str; 8] =
    ["dbname", "host", "hostaddr", "port", "sslmode", "sslrootcert", "target_session_attrs", "user"];

/// Returns the URL for PostgreSQL's own tools, without the password and without parameters that
/// they do not need.
pub(super) fn for_tools(text: &str) -> String {
    let Parts { user, hosts, database, query } = parts(text);
    let user = user.map(|(name, _)| format!("{name}@")).unwrap_or_default();
    let is_plain = |parameter: &&str| PLAIN.iter().any(|name| parameter.split('=').next() == Some(name));
    let query: Vec<&str> = query.split('&').filter(is_plain).collect();
    let mark = if query.is_empty() { "" } else { "?" };
    format!("postgres://{user}{hosts}{database}{mark}{}", query.join("&"))
}

/// All parameters that libpq knows in a URL (PostgreSQL 18).
const PARAMETERS: [&str; 53] = [
    "application_name",
    "channel_binding",
    "client_encoding",
    "connect_timeout",
    "dbname",
    "fallback_application_name",
    "gssdelegation",
    "gssencmode",
    "gsslib",
    "host",
    "hostaddr",
    "keepalives",
    "keepalives_count",
    "keepalives_idle",
    "keepalives_interval",
    "krbsrvname",
    "load_balance_hosts",
    "max_protocol_version",
    "min_protocol_version",
    "oauth_client_id",
    "oauth_client_secret",
    "oauth_issuer",
    "oauth_scope",
    "options",
    "passfile",
    "password",
    "port",
    "replication",
    "require_auth",
    "requirepeer",
    "requiressl",
    "scram_client_key",
    "scram_server_key",
    "service",
    "servicefile",
    "ssl",
    "ssl_max_protocol_version",
    "ssl_min_protocol_version",
    "sslcert",
    "sslcertmode",
    "sslcompression",
    "sslcrl",
    "sslcrldir",
    "sslkey",
    "sslkeylogfile",
    "sslmode",
    "sslnegotiation",
    "sslpassword",
    "sslrootcert",
    "sslsni",
    "target_session_attrs",
    "tcp_user_timeout",
    "user",
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_libpq_reads_as_a_whole_is_taken() {
        for good in [
            "postgres://",
            "postgres://h",
            "postgres://u@h/d",
            "postgresql://u:p@h:5432/d?sslmode=require&application_name=t",
            "postgres://u:p%40%2F%3A%25@h/d",
            "postgres://u@h1:5432,h2:5433/d?target_session_attrs=read-write",
            "postgres://u@[::1]:5432/d",
            "postgres:///d?host=/run/postgresql&password=a@b",
            "postgres://%2Frun%2Fpostgresql/d",
        ] {
            assert_eq!(check(good), Ok(()), "{good}");
        }
    }

    #[test]
    fn what_libpq_would_quote_is_refused_and_never_shown() {
        for bad in [
            "postgres://u:pa/secret@h/d",
            "postgres://u:12/secret@h/d",
            "postgres://u:pa@secret@h/d",
            "postgres://u:pa%secret@h/d",
            "postgres://u:pa%0@h/secret%zz",
            "postgres://u:pa%00secret@h/d",
            "postgres://u:pa#secret@h/d",
            "postgres://u:pa?secret@h/d",
            "postgres://h:1?password=a@secret",
            "postgres://u:pa secret@h/d",
            "postgres://u:pa\nsecret@h/d",
            "postgres://h:secret/d",
            "postgres://h:99999/d",
            "postgres://h?password=a@secret",
            "postgres://h/d?secret",
            "postgres://h/d?secret=1",
            "postgres://[secret]/d",
            "postgres://h/d/secret",
        ] {
            assert!(check(bad).is_err(), "{bad}");
        }
        assert_eq!(shown("postgres://u:a-secret@h1:1,h2/d?password=b-secret"), "postgres://u:***@h1:1,h2/d");
    }

    #[test]
    fn tools_get_no_password() {
        for (url, shown) in [
            ("postgres://u:a-secret@h:5432/d", "postgres://u@h:5432/d"),
            (
                "postgresql://u@h1,h2/d?target_session_attrs=read-write",
                "postgres://u@h1,h2/d?target_session_attrs=read-write",
            ),
            (
                "postgres:///d?host=/run/postgresql&password=a-secret&options=-c%20x",
                "postgres:///d?host=/run/postgresql",
            ),
            ("postgres://h?passfile=/a&user=u&sslpassword=a-secret", "postgres://h?user=u"),
            ("postgres://", "postgres://"),
        ] {
            assert_eq!(for_tools(url), shown);
        }
    }

    #[test]
    fn a_password_anywhere_is_a_secret() {
        for secret in
            ["postgres://u:p@h/d", "postgres://h/d?password=p", "postgres://h?sslmode=require&sslpassword=p"]
        {
            assert!(has_secret(secret), "{secret}");
        }
        for open in ["postgres://u@h/d", "postgres://u:@h/d", "postgres://h/d?sslmode=require&password="] {
            assert!(!has_secret(open), "{open}");
        }
    }

    #[test]
    fn sockets_and_the_loopback_are_this_machine() {
        for here in [
            "postgres:///d?host=/run/postgresql",
            "postgres://u@localhost/d?host=%2Frun",
            "postgres://%2Frun%2Fpostgresql/d",
            "postgres://u:p@localhost:5432/d",
            "postgres://127.0.0.1,localhost:5433/d",
            "postgres://[::1]:5432/d",
        ] {
            assert!(is_on_this_machine(here), "{here}");
        }
        for elsewhere in [
            "postgres://db/d",
            "postgres://localhost,db/d",
            "postgres://localhost/d?host=db",
            "postgres://localhost.example/d",
            "postgres://localhost/d?hostaddr=10.0.0.1",
            "postgres://[2001:db8::1]/d",
        ] {
            assert!(!is_on_this_machine(elsewhere), "{elsewhere}");
        }
    }
}
