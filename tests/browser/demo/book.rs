//! Writes the demo as SQL statements. Ids are assigned here, so that rows can refer to each other.

use std::collections::HashMap;

use chrono::NaiveDateTime;

const CHARGE: i64 = 100;
const OPENING: i64 = 4_000;
/// Reasons why chats fail, as SQL.
const REASONS: [&str; 2] = ["'first_byte_timeout'", "'server_error'"];
/// Extras of answers, as SQL: none, or a tool call.
const EXTRAS: [&str; 2] = [
    "NULL",
    r#"'{"finish_reason":"tool_calls","message":{"tool_calls":[{"id":"call_1","type":"function","function":{"name":"look_up_recipe","arguments":"{\"dish\":\"risotto\"}"}}]}}'"#,
];
/// The endpoints of chats, as SQL.
const ENDPOINTS: [&str; 5] = ["'chat'", "'responses'", "'messages'", "'chat_completions'", "NULL"];
/// The administrator who does everything, from [`ADDRESS`].
const ACTOR: i64 = 1;
const ADDRESS: &str = "198.51.100.23";

struct Account {
    id: i64,
    tokens: i64,
}

pub struct Book {
    pub now: NaiveDateTime,
    password: String,
    statements: Vec<String>,
    accounts: HashMap<String, Account>,
    /// The user of each chat.
    chats: Vec<String>,
    tokens: i64,
    bulks: i64,
    models: i64,
}

fn quoted(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// Estimates the tokens that a model counts: prompt and completion.
fn usage((message, response): (&str, &str)) -> (i64, i64) {
    (message.len() as i64 / 4 + 8, response.len() as i64 / 4)
}

fn change(field: &str, before: impl ToString, after: impl ToString) -> serde_json::Value {
    serde_json::json!({"field": field, "before": before.to_string(), "after": after.to_string()})
}

impl Book {
    pub fn new(now: NaiveDateTime, password: &str) -> Book {
        Book {
            now,
            password: quoted(password),
            statements: Vec::new(),
            accounts: HashMap::new(),
            chats: Vec::new(),
            tokens: 0,
            bulks: 0,
            models: 0,
        }
    }

    pub fn script(&mut self) -> String {
        for account in self.accounts.values() {
            let Account { id, tokens } = account;
            self.statements.push(format!("UPDATE users SET tokens = {tokens} WHERE id = {id}"));
        }
        format!("BEGIN;\n{};\nCOMMIT;", self.statements.join(";\n"))
    }

    pub fn id(&self, name: &str) -> i64 {
        self.accounts[name].id
    }

    pub fn balance(&self, name: &str) -> i64 {
        self.accounts[name].tokens
    }

    fn write(&mut self, statement: String) {
        self.statements.push(statement);
    }

    /// Moves tokens. `about` is the entry's chat, actor and note, as SQL. Returns the new balance.
    fn enter(&mut self, name: &str, minutes_ago: i64, kind: &str, amount: i64, about: &str) -> i64 {
        let at = self.at(minutes_ago);
        let account = self.accounts.get_mut(name).unwrap();
        account.tokens += amount;
        let Account { id, tokens } = *account;
        self.write(format!(
            "INSERT INTO ledger_entries (user_id, amount, balance_after, kind, created_at, operation_id, chat_id, actor_id, note)
             VALUES ({id}, {amount}, {tokens}, '{kind}', {at}, randomblob(16), {about})"
        ));
        tokens
    }

    /// Adds an entry to the history.
    fn record(
        &mut self,
        minutes_ago: i64,
        action: &str,
        object: (&str, i64),
        user: &str,
        changes: &[serde_json::Value],
        note: &str,
    ) {
        let (kind, id) = object;
        let changes = quoted(&serde_json::to_string(changes).unwrap());
        let (at, note) = (self.at(minutes_ago), quoted(note));
        self.write(format!(
            "INSERT INTO audit_log (created_at, actor_id, action, object_kind, object_id, user_id, changes, note, address)
             VALUES ({at}, {ACTOR}, '{action}', '{kind}', {id}, {user}, {changes}, {note}, '{ADDRESS}')"
        ));
    }

    pub fn join(&mut self, name: &str, minutes_ago: i64) {
        let id = self.accounts.len() as i64 + 1;
        let (at, password) = (self.at(minutes_ago), self.password.clone());
        self.accounts.insert(name.to_owned(), Account { id, tokens: 0 });
        self.write(format!(
            "INSERT INTO users (id, username, username_canonical, password, tokens, date_joined)
             VALUES ({id}, '{name}', '{name}', {password}, {OPENING}, {at})"
        ));
        self.enter(name, minutes_ago, "opening", OPENING, "NULL, NULL, ''");
    }

    pub fn promote(&mut self, name: &str, rights: &str) {
        self.write(format!("UPDATE users SET {rights} WHERE username = '{name}'"));
    }

    /// Adds a model. A price by usage is base, prompt and answer. Returns the id.
    pub fn model(&mut self, name: &str, price: Option<[i64; 3]>, is_withdrawn: bool) -> i64 {
        self.models += 1;
        let id = self.models;
        let price = price.map_or("NULL, NULL, NULL".to_owned(), |[base, prompt, answer]| {
            format!("{base}, {prompt}, {answer}")
        });
        self.write(format!(
            "INSERT INTO models (id, name, is_withdrawn, base_price, prompt_price, completion_price)
             VALUES ({id}, '{name}', {is_withdrawn}, {price})"
        ));
        id
    }

    /// Records the change of a model from the default price to a price by usage.
    pub fn edit_model(&mut self, id: i64, minutes_ago: i64) {
        let unset = "default";
        let changes = [
            change("base price", unset, 5),
            change("price of 1,000 prompt tokens", unset, 10),
            change("price of 1,000 answer tokens", unset, 30),
        ];
        self.record(minutes_ago, "changed", ("model", id), "NULL", &changes, "");
        self.write(format!("UPDATE models SET version = version + 1 WHERE id = {id}"));
    }

    /// Adds a chat, and sets its user's last login. Returns the id.
    pub fn chat(&mut self, name: &str, minutes_ago: i64, talk: (&str, &str), state: &str) -> i64 {
        self.charged(name, minutes_ago, talk, state, ("llama-3.1-8b", CHARGE))
    }

    /// Adds a chat that is priced by usage: the rest of its hold was returned. Returns the id.
    pub fn chat_by_usage(&mut self, name: &str, minutes_ago: i64, talk: (&str, &str)) -> i64 {
        const HELD: i64 = 38;
        let id = self.charged(name, minutes_ago, talk, "complete", ("qwen2.5-32b", HELD));
        let (prompt, completion) = usage(talk);
        let back = HELD - 5 - (prompt * 10 + completion * 30 + 999) / 1000;
        self.enter(name, minutes_ago, "settlement", back, &format!("{id}, NULL, ''"));
        id
    }

    fn charged(
        &mut self,
        name: &str,
        minutes_ago: i64,
        talk: (&str, &str),
        state: &str,
        (model, charge): (&str, i64),
    ) -> i64 {
        self.chats.push(name.to_owned());
        let (id, user, at) = (self.chats.len() as i64, self.id(name), self.at(minutes_ago));
        let (message, mut response) = (quoted(talk.0), quoted(talk.1));
        let (prompt, completion) = usage(talk);
        let (first, last) = (120 + id * 37 % 400, 600 + id * 37 % 400 + completion * 18);
        let (mut first, mut finished) = (self.at_and(minutes_ago, first), self.at_and(minutes_ago, last));
        let (mut used, mut deadline) =
            (format!("{prompt}, {completion}, {}", id % 5 == 0), "NULL".to_owned());
        let mut failure = "NULL";
        match state {
            "pending" => {
                (first, finished, response) = ("NULL".to_owned(), "NULL".to_owned(), "NULL".to_owned());
                deadline = self.at(minutes_ago - 24 * 60);
            }
            "failed" => {
                (first, response) = ("NULL".to_owned(), "NULL".to_owned());
                failure = REASONS[usize::from(id % 3 == 0)];
            }
            "cancelled" => failure = "'client_disconnected'",
            _ => {}
        }
        if response == "NULL" {
            used = "NULL, NULL, NULL".to_owned();
        }
        let extras = if state == "cancelled" { "NULL" } else { EXTRAS[usize::from(id % 7 == 0)] };
        let extras = if response == "NULL" { "NULL" } else { extras };
        let endpoint = ENDPOINTS[usize::try_from(id).unwrap() % ENDPOINTS.len()];
        self.write(format!(
            "INSERT INTO chats (id, user_id, message, response, model, state, charge, prompt_tokens, completion_tokens,
                                usage_estimated, failure, origin, created_at, first_byte_at, finished_at, deadline, answer_extras,
                                endpoint)
             VALUES ({id}, {user}, {message}, {response}, '{model}', '{state}', {charge}, {used},
                     {failure}, 'live', {at}, {first}, {finished}, {deadline}, {extras}, {endpoint})"
        ));
        self.enter(name, minutes_ago, "charge", -charge, &format!("{id}, NULL, ''"));
        if state == "failed" {
            self.enter(name, minutes_ago, "refund", charge, &format!("{id}, NULL, ''"));
        }
        self.write(format!("UPDATE users SET last_login = {at} WHERE id = {user}"));
        id
    }

    pub fn adjust(&mut self, name: &str, minutes_ago: i64, amount: i64, reason: &str) {
        let about = format!("NULL, {ACTOR}, {}", quoted(reason));
        let after = self.enter(name, minutes_ago, "adjustment", amount, &about);
        let id = self.id(name);
        let changes = [change("tokens", after - amount, after)];
        self.record(minutes_ago, "adjust", ("user", id), &id.to_string(), &changes, reason);
    }

    pub fn refund(&mut self, chat: i64, minutes_ago: i64, reason: &str) {
        let name = self.chats[chat as usize - 1].clone();
        let about = format!("{chat}, {ACTOR}, {}", quoted(reason));
        let after = self.enter(&name, minutes_ago, "refund", CHARGE, &about);
        let user = self.id(&name).to_string();
        let changes = [change("tokens", after - CHARGE, after)];
        self.record(minutes_ago, "refund", ("chat", chat), &user, &changes, reason);
    }

    /// Adds an auth token. One without a label was made by a login. Returns the id.
    pub fn token(&mut self, name: &str, minutes_ago: i64, label: Option<&str>, is_revoked: bool) -> i64 {
        self.tokens += 1;
        let (id, user, at) = (self.tokens, self.id(name), self.at(minutes_ago));
        let (shown, used) = (label.map_or("NULL".to_owned(), quoted), self.at(minutes_ago / 2));
        let revoked = if is_revoked { self.at(minutes_ago - 1) } else { "NULL".to_owned() };
        let expires = if label.is_some() { self.at(minutes_ago - 90 * 24 * 60) } else { "NULL".to_owned() };
        let first = format!("tg_{:07}", (id * 7_919_351) % 10_000_000);
        self.write(format!(
            "INSERT INTO auth_tokens (id, user_id, digest, first_characters, name, created_at, last_used_at, expires_at, revoked_at)
             VALUES ({id}, {user}, randomblob(32), '{first}', {shown}, {at}, {used}, {expires}, {revoked})"
        ));
        if is_revoked {
            let recorded = format!("{}Z", revoked.trim_matches('\'').replacen(' ', "T", 1));
            let changes = [change("revoked", "", recorded)];
            self.record(minutes_ago - 1, "revoke", ("auth_token", id), &user.to_string(), &changes, "");
        }
        id
    }

    pub fn deactivate(&mut self, name: &str, minutes_ago: i64) {
        let id = self.id(name);
        self.write(format!("UPDATE users SET is_active = FALSE WHERE id = {id}"));
        let changes = [change("active", "yes", "no")];
        self.record(minutes_ago, "deactivate", ("user", id), &id.to_string(), &changes, "");
    }

    /// Adds a bulk adjustment that failed for the last of the users. Returns the id.
    pub fn bulk(&mut self, names: &[&str], minutes_ago: i64, amount: i64, reason: &str) -> i64 {
        self.bulks += 1;
        let (id, total) = (self.bulks, names.len());
        let (done, last) = names.split_at(total - 1);
        for name in done {
            self.adjust(name, minutes_ago, amount, reason);
        }
        let ids: String = names.iter().map(|name| format!("{:016x}", self.id(name))).collect();
        let (started, finished) = (self.at(minutes_ago), self.at(minutes_ago - 1));
        let (note, failed) = (quoted(reason), self.id(last[0]));
        self.write(format!(
            "INSERT INTO bulk_operations (id, seed, actor_id, kind, amount, note, selection, address, ids, total, position, failed, created_at, finished_at)
             VALUES ({id}, randomblob(16), {ACTOR}, 'adjust_balances', {amount}, {note}, '{total} users, ticked one by one', '{ADDRESS}',
                     X'{ids}', {total}, {total}, 1, {started}, {finished})"
        ));
        self.write(format!(
            "INSERT INTO bulk_failures (bulk_operation_id, object_id, reason)
             VALUES ({id}, {failed}, 'out_of_range')"
        ));
        self.record(minutes_ago, "start", ("bulk_operation", id), "NULL", &[], reason);
        id
    }
}
