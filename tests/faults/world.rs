//! The real server with a scripted upstream, and what is stored.

use std::time::Duration;

use diesel::connection::SimpleConnection;

use super::ask::{GOSSIP, Way};
use crate::support::ledger::{lines, raw};
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::upstream::ScriptedUpstream;
use crate::support::{On, TestDatabase, wait};

pub const PATIENCE: Duration = Duration::from_secs(25);

/// The price of the model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// 100 per message.
    Message,
    /// 7 per message, 1 per token of the prompt, and 2 per token of the answer, which has at most
    /// 50.
    Usage,
}

impl Price {
    /// What is charged before the call.
    pub fn hold(self, way: Way) -> i64 {
        match self {
            Price::Message => 100,
            Price::Usage => 7 + way.prompt_bound() + 2 * 50,
        }
    }

    /// The final cost of a chat with this usage.
    pub fn cost(self, way: Way, prompt_tokens: i64, completion_tokens: i64) -> i64 {
        match self {
            Price::Message => 100,
            Price::Usage => (7 + prompt_tokens + 2 * completion_tokens).min(self.hold(way)),
        }
    }

    /// The ledger of a user whose only chat was settled.
    pub fn settled(self, way: Way, prompt_tokens: i64, completion_tokens: i64) -> Vec<String> {
        let rest = self.hold(way) - self.cost(way, prompt_tokens, completion_tokens);
        let mut entries = vec!["opening 4000".to_owned(), format!("charge -{}", self.hold(way))];
        entries.extend((rest > 0).then(|| format!("settlement {rest}")));
        entries
    }

    /// The ledger of a user whose only chat was refunded.
    pub fn refunded(self, way: Way) -> Vec<String> {
        let hold = self.hold(way);
        vec!["opening 4000".to_owned(), format!("charge -{hold}"), format!("refund {hold}")]
    }
}

/// A chat as it is stored.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stored {
    pub state: String,
    pub failure: String,
    /// Prompt, completion, and whether Tollgate counted.
    pub usage: String,
    pub response: String,
}

pub struct World {
    pub server: Server,
    pub upstream: ScriptedUpstream,
    pub database: TestDatabase,
}

impl World {
    /// Starts the server. Returns `None` if this machine does not have the database.
    pub fn start(on: On, flags: &[&str]) -> Option<World> {
        Some(World::start_on(TestDatabase::create(on)?, flags))
    }

    pub fn start_on(database: TestDatabase, flags: &[&str]) -> World {
        let upstream = ScriptedUpstream::start();
        let url = upstream.url();
        // A flag of the test replaces the default: clap accepts a flag only once.
        let defaults = upstream_flags(&url);
        let defaults = defaults.chunks(2).filter(|pair| !flags.contains(&pair[0])).flatten().copied();
        let all: Vec<&str> = defaults.chain(flags.iter().copied()).collect();
        let server = Server::start(&database, &all);
        let world = World { server, upstream, database };
        wait::until("the model's row", PATIENCE, || {
            (world.lines("SELECT name AS line FROM models") == ["m"]).then_some(())
        });
        world
    }

    /// Starts another node with the same upstream, or the same node again.
    pub fn node(&self) -> Server {
        Server::start(&self.database, &upstream_flags(&self.upstream.url()))
    }

    pub fn price(&self, price: Price) {
        let [base, prompt, completion] = match price {
            Price::Message => ["NULL"; 3],
            Price::Usage => ["7", "1000", "2000"],
        };
        self.sql(&format!(
            "UPDATE models SET base_price = {base}, prompt_price = {prompt}, completion_price = {completion}"
        ));
    }

    pub fn sql(&self, statement: &str) {
        raw(self.database.on(), self.database.url()).batch_execute(statement).unwrap();
    }

    /// Returns the server's resident memory, in MiB.
    pub fn memory(&self) -> u64 {
        let status = std::fs::read_to_string(format!("/proc/{}/status", self.server.pid())).unwrap();
        let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).unwrap();
        line.trim().trim_end_matches(" kB").parse::<u64>().unwrap() / 1024
    }

    fn lines(&self, query: &str) -> Vec<String> {
        lines(&mut raw(self.database.on(), self.database.url()), query)
    }

    /// Returns kind and amount of each of a user's entries, oldest first.
    pub fn ledger(&self, user: &str) -> Vec<String> {
        self.lines(&format!(
            "SELECT kind || ' ' || CAST(amount AS text) AS line FROM ledger_entries JOIN users ON users.id = user_id
             WHERE username = '{user}' ORDER BY ledger_entries.id"
        ))
    }

    /// Returns all chats of a user, oldest first.
    pub fn chats(&self, user: &str) -> Vec<Stored> {
        let rows = self.lines(&format!(
            "SELECT state || '|' || coalesce(failure, '') || '|' ||
                    coalesce(CAST(prompt_tokens AS text) || ' ' || CAST(completion_tokens AS text), '') ||
                    CASE WHEN usage_estimated THEN ' counted' ELSE '' END || '|' || coalesce(response, '-') AS line
             FROM chats JOIN users ON users.id = user_id WHERE username = '{user}' ORDER BY chats.id"
        ));
        let stored = |row: &String| {
            let mut fields = row.splitn(4, '|').map(str::to_owned);
            let mut next = || fields.next().unwrap();
            Stored { state: next(), failure: next(), usage: next(), response: next() }
        };
        rows.iter().map(stored).collect()
    }

    /// Waits until the user's only chat has ended, and returns it.
    pub fn ended(&self, user: &str) -> Stored {
        wait::until("the end of the hold", PATIENCE, || {
            let chats = self.chats(user);
            assert!(chats.len() <= 1, "{chats:?}");
            chats.into_iter().next().filter(|chat| chat.state != "pending")
        })
    }

    /// Moves the deadline of all holds into the past.
    pub fn expire_holds(&self) {
        self.sql("UPDATE chats SET deadline = '2020-01-01 00:00:00' WHERE state = 'pending'");
    }

    /// Returns the upstream's status in an administrator's readiness request.
    pub fn upstream_health(&self) -> serde_json::Value {
        let mut client = self.server.client();
        let body = serde_json::json!({"username": "watcher", "password": PASSWORD});
        client.post("/register/", None, &body).unwrap();
        self.sql("UPDATE users SET is_staff = TRUE WHERE username = 'watcher'");
        let token = self.server.login("watcher");
        let answer = client.get("/readyz", &token).unwrap();
        assert_eq!(answer.status, 200, "an upstream in trouble does not make the node unready");
        answer.json()["upstream"].clone()
    }

    pub fn wait_until_gone(&self, request: usize) {
        wait::until("the call to end", PATIENCE, || self.upstream.client_is_gone(request).then_some(()));
    }

    /// Stops the server. Checks that the books are sound, and that the log has none of the
    /// upstream's texts.
    pub fn close(self) {
        let World { mut server, upstream, database } = self;
        server.kill9();
        assert!(!server.log().contains(GOSSIP), "{}", server.log());
        drop(upstream);
        assert_verified(&database);
    }
}

fn upstream_flags(url: &str) -> [&str; 8] {
    ["--responder", "openai", "--upstream-url", url, "--upstream-models", "m", "--upstream-max-output", "50"]
}
