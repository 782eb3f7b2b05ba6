use super::*;

/// Makes tables from lines such as `shop_chat: id, user_id > shop_user, message`. The column `id`
/// is the key.
fn tables(lines: &[&str]) -> Vec<Table> {
    let column = |text: &str| {
        let (name, refers_to) = text.split_once(" > ").map_or((text, None), |(name, to)| (name, Some(to)));
        Column {
            name: name.to_owned(),
            sql_type: "text".to_owned(),
            is_key: name == "id",
            refers_to: refers_to.map(str::to_owned),
        }
    };
    let table = |line: &&str| {
        let (name, columns) = line.split_once(": ").unwrap();
        Table { name: name.to_owned(), columns: columns.split(", ").map(column).collect() }
    };
    lines.iter().map(table).collect()
}

fn found(lines: &[&str], named: &Named) -> Result<Vec<String>, String> {
    let layout = Layout::find(&tables(lines), named).map_err(|error| error.to_string())?;
    Ok(layout.fits().map(|fit| format!("{}: {}", fit.role, fit.line())).collect())
}

const FIRST: &[&str] = &[
    "auth_group: id, name",
    "auth_user: id, password, last_login, is_superuser, username, is_staff, is_active, date_joined",
    "chat_chat: id, message, response, timestamp, user_id > chat_user",
    "chat_user: id, username, password, tokens, auth_token",
    "django_session: session_key, session_data, expire_date",
];

const SECOND: &[&str] = &[
    "accounts_user: id, password, last_login, is_superuser, username, is_staff, is_active, date_joined, tokens",
    "api_authtoken: id, key, user_id > accounts_user",
    "api_chat: id, message, response, created_at, user_id > accounts_user",
    "authtoken_token: key, created, user_id > accounts_user",
    "shop_setting: id, key, value, user_id > accounts_user",
];

#[test]
fn a_token_in_the_users_own_row_is_found() {
    let found = found(FIRST, &Named::default()).unwrap();
    assert_eq!(
        found,
        [
            "users: chat_user (id, password, token = auth_token, tokens, username)",
            "administrators: auth_user (active = is_active, id, joined = date_joined, last_login, password, \
             superuser = is_superuser, username)",
            "chats: chat_chat (id, message, response, timestamp, user = user_id)",
        ]
    );
}

#[test]
fn auth_tokens_in_tables_of_their_own_are_found() {
    let found = found(SECOND, &Named::default()).unwrap();
    assert_eq!(
        found,
        [
            "users: accounts_user (active = is_active, id, joined = date_joined, last_login, password, staff = \
             is_staff, superuser = is_superuser, tokens, username)",
            "auth-tokens: api_authtoken (key, user = user_id)",
            "auth-tokens: authtoken_token (created, key, user = user_id)",
            "chats: api_chat (id, message, response, timestamp = created_at, user = user_id)",
        ]
    );
}

#[test]
fn a_column_that_refers_to_the_users_is_the_user() {
    let lines = ["u: id, username, password, tokens", "c: id, sender_id > u, message, response, timestamp"];
    let found = found(&lines, &Named::default()).unwrap();
    assert_eq!(found[1], "chats: c (id, message, response, timestamp, user = sender_id)");
}

#[test]
fn what_is_missing_or_ambiguous_is_asked_for() {
    let ask = |lines: &[&str], named: &Named| found(lines, named).unwrap_err();
    let users = "u: id, username, password, tokens";
    let chats = "c: id, user_id, message, response, timestamp";
    assert!(ask(&[], &Named::default()).contains("no table is recognised as the users"));
    let error = ask(&["u: id, username, password, coins", chats], &Named::default());
    assert!(error.contains("--table users=TABLE") && error.contains("\n  u (id, username"), "{error}");
    let error = ask(&[users], &Named::default());
    assert!(error.contains("--table chats=none"), "{error}");
    let error = ask(&[users, chats, "d: id, user_id, message, response, timestamp"], &Named::default());
    assert!(error.contains("several tables may be the chats: c, d"), "{error}");
    let error = ask(&["ledger_entries: id", "compatibility: id", users, chats], &Named::default());
    assert!(error.contains("is a database of Tollgate"), "{error}");
}

#[test]
fn tables_and_columns_can_be_named() {
    let lines = ["u: id, username, password, coins", "c: no, who, message, response, timestamp", "d: id"];
    let mut named = Named {
        tables: vec![(Role::Users, Some("u".to_owned())), (Role::Chats, Some("c".to_owned()))],
        columns: vec![(Role::Users, "tokens", "coins".to_owned())],
    };
    let error = found(&lines, &named).unwrap_err();
    assert!(error.contains("--column chats.id=COLUMN. The table has: no, who"), "{error}");
    named.columns.push((Role::Chats, "id", "no".to_owned()));
    named.columns.push((Role::Chats, "user", "who".to_owned()));
    let lines_found = found(&lines, &named).unwrap();
    assert_eq!(lines_found[0], "users: u (id, password, tokens = coins, username)");
    assert_eq!(lines_found[1], "chats: c (id = no, message, response, timestamp, user = who)");
    named.columns.push((Role::Chats, "timestamp", "when".to_owned()));
    assert!(found(&lines, &named).unwrap_err().contains("--column chats.timestamp"));
    named.columns.pop();
    named.tables[1].1 = None;
    named.columns.truncate(1);
    assert_eq!(found(&lines, &named).unwrap().len(), 1);
    named.tables[0].1 = Some("x".to_owned());
    assert!(found(&lines, &named).unwrap_err().contains("there is no such table"));
}
