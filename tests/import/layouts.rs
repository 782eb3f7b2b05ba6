//! What is said about databases whose tables are not recognised.

use rstest::rstest;
use serde_json::json;

use super::source::{HASH, OldService, chat, user};
use super::{import, imported, number, rows};
use crate::support::server::assert_verified;
use crate::support::{On, TestDatabase, temporary};

#[rstest]
fn tables_and_columns_of_other_names_are_named(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(old) = OldService::empty(on) else { return };
    old.sql(&format!(
        "CREATE TABLE \"Shop Member\" (no BIGINT PRIMARY KEY, nick TEXT, secret TEXT, coins BIGINT);
         CREATE TABLE talk (no BIGINT PRIMARY KEY, who BIGINT, said TEXT, heard TEXT, moment {{time}});
         INSERT INTO \"Shop Member\" VALUES (1, 'ada', '{HASH}', 70);
         INSERT INTO talk VALUES (1, 1, 'Hello', 'Hi', '2020-02-02 00:00:00');"
    ));
    let Some(target) = TestDatabase::create(on) else { return };
    import(&target, old.url(), &[]).assert_refused(1, "no table is recognised as the users");
    let table = ["--table", "users=Shop Member"];
    import(&target, old.url(), &table).assert_refused(1, "recognised as username, password, tokens");
    let users = [
        "--column",
        "users.username=nick",
        "--column",
        "users.password=secret",
        "--column",
        "users.tokens=coins",
    ];
    let words = [table.as_slice(), &users].concat();
    import(&target, old.url(), &words).assert_refused(1, "--table chats=none");
    let chats = [
        "--table",
        "chats=talk",
        "--column",
        "chats.user=who",
        "--column",
        "chats.message=said",
        "--column",
        "chats.response=heard",
        "--column",
        "chats.timestamp=moment",
    ];
    let report = imported(&target, old.url(), &[words.as_slice(), &chats].concat());
    assert_eq!(report["tables"][0]["table"], "Shop Member");
    assert_eq!(report["tables"][0]["columns"]["tokens"], "coins");
    assert_eq!((number(&target, "users WHERE tokens = 70"), number(&target, "chats")), (1, 1));
    assert_verified(&target);
}

#[rstest]
fn superusers_come_from_djangos_own_table(#[values(On::Sqlite, On::Postgres)] on: On) {
    let statements = [
        user(1, "ada", "4000"),
        user(2, "admin", "5"),
        format!(
            "CREATE TABLE auth_user (id BIGINT PRIMARY KEY, password VARCHAR(128), last_login {{time}}, is_superuser BOOLEAN,
                                     username VARCHAR(150), is_staff BOOLEAN, is_active BOOLEAN, date_joined {{time}});
             INSERT INTO auth_user VALUES
                 (1, '{HASH}', NULL, TRUE, 'root', TRUE, TRUE, '2019-01-01 00:00:00'),
                 (2, '{HASH}', NULL, TRUE, 'admin', TRUE, TRUE, '2019-01-02 00:00:00'),
                 (3, '{HASH}', NULL, FALSE, 'helper', TRUE, TRUE, '2019-01-03 00:00:00');
             CREATE TABLE authtoken_token (key VARCHAR(40) PRIMARY KEY, user_id BIGINT REFERENCES auth_user (id),
                                           created {{time}});
             INSERT INTO authtoken_token VALUES ('0123456789abcdef0123456789abcdef01234567', 1, '2020-05-05 00:00:00');"
        ),
        chat(1, 1, "Hello", "2020-02-02 00:00:00"),
    ];
    let Some(old) = OldService::create(on, &statements.concat()) else { return };
    let Some(target) = TestDatabase::create(on) else { return };
    // The one who joined first keeps the name.
    let refused = import(&target, old.url(), &[]);
    refused.assert_refused(1, "1 user is refused");
    assert!(refused.out.contains("\"admin\" (user 2): as \"admin\" (administrator 2)"), "{refused:?}");
    let report = imported(&target, old.url(), &["--rename", "administrators:admin=admin.django"]);
    let counts = json!({"found": 3, "new": 2, "imported_before": 0, "not_imported": 1});
    assert_eq!(report["administrators"], counts);
    let query =
        "SELECT username || ' ' || tokens AS line FROM users WHERE is_superuser AND is_staff ORDER BY id";
    assert_eq!(rows(&target, query), ["root 0", "admin.django 0"]);
    assert_eq!(number(&target, "audit_log WHERE action = 'add' AND note = 'imported from Django'"), 2);
    let owner = "SELECT username AS line FROM users JOIN auth_tokens ON auth_tokens.user_id = users.id";
    assert_eq!(rows(&target, owner), ["root"]);
    // A user of the service with the same id is somebody else.
    assert_eq!(
        rows(&target, "SELECT username AS line FROM users JOIN chats ON chats.user_id = users.id"),
        ["ada"]
    );
    assert_verified(&target);
    let alone = imported(
        &target,
        old.url(),
        &["--source", "other", "--into-used", "--skip-refused", "--table", "administrators=none"],
    );
    assert_eq!(alone["administrators"]["found"], 0);
}

#[test]
fn what_is_no_database_of_django_is_refused() {
    let Some(target) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let file = |name: &str| directory.path().join(name).to_str().unwrap().to_owned();
    import(&target, &file("absent"), &[]).assert_refused(1, "there is no such file");
    std::fs::write(file("text"), "not a database, despite the name").unwrap();
    import(&target, &file("text"), &[]).assert_refused(1, "not a database");
    std::fs::write(file("empty"), "").unwrap();
    import(&target, &file("empty"), &[]).assert_refused(1, "The database has no tables");
    import(&target, target.url(), &[]).assert_refused(1, "is a database of Tollgate");
    let secret = import(&target, "mysql://u:s3cret-of-mine@h/d", &[]);
    secret.assert_refused(2, "--from");
    assert!(!secret.err.contains("s3cret-of-mine"), "{secret:?}");
    let unreachable = import(&target, "postgres://u:s3cret-of-mine@127.0.0.1:1/d", &[]);
    unreachable.assert_refused(1, "cannot open --from");
    assert!(!unreachable.err.contains("s3cret-of-mine"), "{unreachable:?}");
    for (option, value, why) in [
        ("--table", "user=x", "the roles are"),
        ("--table", "users=none", "an import needs users"),
        ("--column", "users.coins=x", "the fields of users are"),
        ("--column", "users=x", "ROLE.FIELD=COLUMN"),
        ("--time-zone", "Mars", "--time-zone"),
        ("--source", "a b", "letters, digits"),
    ] {
        import(&target, &file("empty"), &[option, value]).assert_refused(2, why);
    }
}

#[test]
fn the_source_is_only_read() {
    let Some(old) = OldService::create(On::Sqlite, &user(1, "ada", "4000")) else { return };
    let Some(target) = TestDatabase::create(On::Sqlite) else { return };
    let before = old.bytes();
    imported(&target, old.url(), &[]);
    assert!(before == old.bytes(), "the file of the source was changed");
}
