//! A start that fails names the setting, shows its value without secrets, and says what to do.

use std::net::TcpListener;
use std::os::unix::fs::PermissionsExt;

use super::tollgate_in;
use crate::support::temporary;

/// A start: its arguments, its variables, its exit code, and what its error must have: the setting,
/// the value, and what to do.
type Start<'a> = (&'a [&'a str], &'a [(&'a str, &'a str)], i32, [&'a str; 3]);

const OPENAI: [&str; 4] = ["--responder", "openai", "--upstream-url", "http://127.0.0.1:1/v1"];

/// Starts with a value that is wrong by itself.
const VALUES: &[Start<'static>] = &[
    (&["--workers", "0"], &[], 2, ["--workers", "\"0\"", "give a whole number from 1 to 256"]),
    (&["--max-connections", "1"], &[], 2, ["--max-connections", "\"1\"", "from 2 on"]),
    (&["--bind", "localhost"], &[], 2, ["--bind", "\"localhost\"", "for example 127.0.0.1:8000"]),
    (&[], &[("TOLLGATE_BIND", "8000")], 2, ["TOLLGATE_BIND", "\"8000\"", "give an IP address and a port"]),
    (&[], &[("TOLLGATE_THROTTLE", "no")], 2, ["TOLLGATE_THROTTLE", "\"no\"", "give one of: on, off"]),
    (&[], &[("TOLLGATE_HEAD_TIMEOUT", "5s")], 2, ["TOLLGATE_HEAD_TIMEOUT", "5s", "give a whole number"]),
    (&[], &[("TOLLGATE_LOG", "loud=x=y")], 2, ["TOLLGATE_LOG", "loud=x=y", "give a level"]),
    (&["--trusted-proxies", "proxy"], &[], 2, ["--trusted-proxies", "proxy", "write for example 10.0.0.1"]),
    (&["--public-url", "chat"], &[], 2, ["--public-url", "(not shown)", "give it as https://HOST"]),
    (&["--public-url", "https://a/b"], &[], 2, ["--public-url", "(not shown)", "it must have no path"]),
    (
        &["--cors-origins", "a.example"],
        &[],
        2,
        ["--cors-origins", "(not shown)", "give each as https://HOST"],
    ),
    (&["--upstream-url", "http://a"], &[], 2, ["--upstream-url", "(not shown)", "it must end in /v1"]),
    (&["--database-url", ""], &[], 2, ["--database-url", "(not shown)", "give a file's path"]),
    (&[], &[("DATABASE_URL", "mysql://h/d")], 2, ["DATABASE_URL", "(not shown)", "use a file's path"]),
    (&["--database-url", ":memory:"], &[], 2, ["--database-url", "(not shown)", "give a file's path"]),
    (&["--site-title", ""], &[], 2, ["--site-title", "\"\"", "give one line of 1 to 60 characters"]),
    (&["--hsts", "a year"], &[], 2, ["--hsts", "\"a year\"", "give a number of seconds from 0"]),
    (&["--backup-every", "1 day"], &[], 2, ["--backup-every", "\"1 day\"", "give a number and its unit"]),
    (&["--metrics-bind", "9464"], &[], 2, ["--metrics-bind", "\"9464\"", "give an IP address and a port"]),
    (&["--log-format", "xml"], &[], 2, ["--log-format", "\"xml\"", "give one of: text, json"]),
    (&["--tls-key", ""], &[], 2, ["--tls-key", "(not shown)", "give a value, or leave the setting out"]),
];

#[test]
fn a_failed_start_names_the_setting_its_value_and_what_to_do() {
    let directory = temporary::directory();
    let write = |name: &str, content: &str| {
        let path = directory.path().join(name);
        std::fs::write(&path, content).unwrap();
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600)).unwrap();
    };
    write("ports.toml", "# none\nbind = \"127.0.0.1\"\n");
    write("two.toml", "log = 'info'\nlog = 'warn'\n");
    write("text.toml", "site-title = Chat\n");
    write("text", "this is no database, but a text of some length\n");
    write("empty", "");
    std::fs::create_dir(directory.path().join("folder")).unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let taken = taken.local_addr().unwrap().to_string();
    let key_file = [&OPENAI[..], &["--upstream-models", "m", "--upstream-key-file", "empty"]].concat();
    let starts: &[Start] = &[
        // The settings file.
        (&["--config", "ports.toml"], &[], 2, ["ports.toml:2: bind", "\"127.0.0.1\"", "and a port"]),
        (&["--config", "two.toml"], &[], 2, ["two.toml:2: ", "duplicate", "NAME = VALUE"]),
        (&["--config", "text.toml"], &[], 2, ["text.toml:1: ", "", "texts in quotes"]),
        (&["--config", "folder"], &[], 2, ["--config", "folder", "give the path of a file"]),
        (&[], &[("TOLLGATE_CONFIG", "none.toml")], 2, ["--config", "none.toml", "check its path"]),
        // Files of secrets.
        (
            &["--database-url-file", "none"],
            &[],
            2,
            ["--database-url-file", "cannot be read", "give the path"],
        ),
        (
            &["--database-url-file", "folder"],
            &[],
            2,
            ["--database-url-file", "not a regular", "give the path"],
        ),
        (&key_file, &[], 1, ["--upstream-key-file", "is empty", "write the upstream's API key into it"]),
        // Settings that need others.
        (&["--responder", "openai"], &[], 1, ["--responder openai", "--upstream-url", "for example http://"]),
        (&OPENAI, &[], 1, ["--responder openai", "--upstream-models", "the names of the models"]),
        (&["--tls-certificate", "text"], &[], 1, ["--tls-certificate", "needs --tls-key", "give both"]),
        // What the values lead to.
        (&["--bind", &taken], &[], 1, ["--bind", &taken, "another program listens there"]),
        (&["--bind", "192.0.2.1:0"], &[], 1, ["--bind", "192.0.2.1:0", "this machine has no such address"]),
        (
            &["--bind", "127.0.0.1:0", "--metrics-bind", &taken],
            &[],
            1,
            ["--metrics-bind", &taken, "another program"],
        ),
        (
            &["--database-url", "no/t.db"],
            &[],
            1,
            ["cannot create no/t.db", "No such file or directory", "create its folder"],
        ),
        (&["--database-url", "folder"], &[], 1, ["--database-url", "folder is a folder", "takes the path"]),
        (&["--database-url", "text"], &[], 1, ["text is not an SQLite database", "--database-url", "check"]),
        (
            &["--database-url", "postgres://u:zq7@127.0.0.1:1/d"],
            &[],
            1,
            ["postgres://u:***@127.0.0.1:1/d", "refused", "Is the server running"],
        ),
    ];
    for (words, variables, code, parts) in VALUES.iter().chain(starts) {
        let said = tollgate_in(directory.path(), &[&["serve"], *words].concat(), variables);
        for part in parts {
            said.assert_refused(*code, part);
        }
        assert!(!format!("{said:?}").contains("zq7"), "{said:?}");
    }
}
