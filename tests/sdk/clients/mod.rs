//! The client programs of `docs/clients.md`, each with the settings of that page and the scripted
//! upstream: what a message costs there, and what the program does when the balance is empty.

mod applications;
mod compliance;
mod libraries;

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use diesel::RunQueryDsl;
use serde_json::{Value, json};

use super::programs::{Program, Sdks};
use crate::house::source::root;
use crate::readme::ADDRESS;
use crate::support::ledger::raw;
use crate::support::server::{Server, assert_verified, tollgate};
use crate::support::upstream::{ScriptedUpstream, Step, chunk, done, finish, head, role, text, usage};
use crate::support::{On, TestDatabase, figures, wait};

/// What stands in the document for an auth token.
const TOKEN: &str = "tg_…";

/// The settings of models: `small` costs what `docs/clients.md` says, and embeddings by `vectors`
/// cost a token for each token of the prompt. Claude Code asks for models by names of its own.
const MODELS: [&str; 3] = [
    "base_price = 10, prompt_price = 0, completion_price = 0, aliases = 'claude-haiku-*' WHERE name = 'small'",
    "embedding_price = 1000 WHERE name = 'vectors'",
    "aliases = 'claude-opus-*, claude-sonnet-*' WHERE name = 'big'",
];

/// The protocol that a client speaks.
#[derive(Clone, Copy)]
struct Api {
    /// Its name in the table of the document. Empty for the one that a client uses without further
    /// words.
    name: &'static str,
    path: &'static str,
}

const CHAT_COMPLETIONS: Api = Api { name: "", path: "/v1/chat/completions" };
const RESPONSES: Api = Api { name: "Responses", path: "/v1/responses" };
const MESSAGES: Api = Api { name: "Messages", path: "/v1/messages" };

/// A server with the models `big`, `small` and `vectors`, and a user of one client program.
struct Bench {
    /// The title of the program's section in the document.
    client: &'static str,
    api: Api,
    place: PathBuf,
    database: TestDatabase,
    server: Server,
    upstream: ScriptedUpstream,
    key: String,
    /// How many requests a step without balance must have sent.
    refusals: usize,
    /// What each step cost, for the proofs.
    results: Vec<String>,
}

/// What one step of a program did.
struct Done {
    printed: String,
    /// The models of the calls that reached the upstream, in the order of their names.
    models: Vec<String>,
}

/// Returns the document.
fn document() -> String {
    std::fs::read_to_string(root().join("docs/clients.md")).unwrap()
}

/// Reports what a client did, with the versions that the document names.
pub(super) fn report(client: &str, api: &str, results: &str) {
    let document = document();
    let api = if api.is_empty() { String::new() } else { format!(", {api}") };
    let is_its_row = |line: &&str| {
        let cell = line.strip_prefix("| [").and_then(|line| line.split(" | ").next());
        cell.is_some_and(|cell| {
            cell.starts_with(&format!("{client}](")) && cell.ends_with(&format!("){api}"))
        })
    };
    let row = document.lines().find(is_its_row);
    let packages = row.and_then(|row| row.split(" | ").nth(1)).expect("the document has a row with packages");
    figures::report(&format!("{client}{api}: {packages}"), results);
}

/// Returns the price of a call of each of these models.
fn price(models: &[&str]) -> i64 {
    let price = |model: &&str| match *model {
        "big" => 100,
        "small" => 10,
        // The upstream counts so many tokens of the prompt.
        "vectors" => 3,
        other => panic!("there is no model {other}"),
    };
    models.iter().map(price).sum()
}

/// Describes calls of these models, such as 2 to `big` and 1 to `small`.
fn calls_of(models: &[&str]) -> String {
    if models.is_empty() {
        return "no call".to_owned();
    }
    let mut counts = BTreeMap::new();
    for model in models {
        *counts.entry(*model).or_insert(0) += 1;
    }
    let counts: Vec<_> = counts.iter().map(|(model, count)| format!("{count} to `{model}`")).collect();
    counts.join(" and ")
}

impl Bench {
    /// Prepares a client. `None` if it does not run here, which is reported if it should.
    fn of(client: &'static str, api: Api, sdks: Sdks) -> Option<Bench> {
        let place = sdks.installed()?;
        let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
        let upstream = ScriptedUpstream::start();
        let url = upstream.url();
        let flags =
            ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "big,small,vectors"];
        let server = Server::start(&database, &flags);
        // The server adds the rows of its models some time after its start.
        let mut connection = raw(On::Sqlite, database.url());
        for settings in MODELS {
            let update = diesel::sql_query(format!("UPDATE models SET {settings}"));
            wait::until("the model's row", Duration::from_secs(30), || {
                (update.clone().execute(&mut connection).unwrap() == 1).then_some(())
            });
        }
        let key = server.user("ada");
        Some(Bench { client, api, place, database, server, upstream, key, refusals: 0, results: Vec::new() })
    }

    /// Returns the settings of this client from the document: the first block of this language in
    /// its section, for this server and user.
    fn settings(&self, language: &str) -> String {
        self.settings_with(language, "")
    }

    /// Returns the first block of settings that contains this word.
    fn settings_with(&self, language: &str, word: &str) -> String {
        let document = document();
        let (_, section) =
            document.split_once(&format!("\n### {}\n", self.client)).expect("it has a section");
        let section = section.split("\n### ").next().unwrap_or_default();
        let fence = format!("```{language}\n");
        let blocks = section.split(&fence).skip(1);
        let mut blocks = blocks.map(|block| block.split_once("```").expect("the block ends").0);
        let block = blocks.find(|block| block.contains(word)).expect("the section has a block");
        for placeholder in [ADDRESS, TOKEN] {
            assert!(block.contains(placeholder), "{placeholder} is missing: {block}");
        }
        block.replace(ADDRESS, &self.server.address().to_string()).replace(TOKEN, &self.key)
    }

    /// Prepares one of the programs of `tests/sdk/`, after these lines.
    fn program(&self, name: &str, settings: &str) -> Program {
        let text = std::fs::read_to_string(super::programs::here(name)).unwrap();
        Program::new(&self.place, name, Some(&format!("{settings}\n{text}")))
    }

    /// Gives a program the variables that the section of its client exports.
    fn with_variables(&self, program: Program) -> Program {
        let settings = self.settings("sh");
        let exports = settings.lines().filter_map(|line| line.strip_prefix("export ")?.split_once('='));
        exports.fold(program, |program, (name, value)| program.env(name, value))
    }

    /// Runs one step, and returns what it did.
    fn observe(&self, run: impl FnOnce() -> String) -> Done {
        let calls = self.upstream.requests().len();
        let printed = run();
        let calls = &self.upstream.requests()[calls..];
        let mut models: Vec<_> =
            calls.iter().map(|call| call.body["model"].as_str().expect("a name").to_owned()).collect();
        models.sort();
        Done { printed, models }
    }

    /// Returns the body of the last request that reached the upstream.
    fn last_request(&self) -> Value {
        self.upstream.requests().last().expect("a request").body.clone()
    }

    /// Returns how many requests were refused so far, by the lines of the log that have arrived.
    fn refusals(&self) -> usize {
        let log = self.server.log();
        log.lines().filter(|line| line.contains("POST /v1/") && line.contains(" 402 ")).count()
    }

    /// Runs a step, which must cost one message to each of these models (in the order of their
    /// names), and returns what was printed.
    #[track_caller]
    fn costs(&mut self, step: &str, models: &[&str], run: impl FnOnce() -> String) -> String {
        let before = self.server.tokens(&self.key);
        let done = self.observe(run);
        assert_eq!(done.models, models, "{step}: {}", done.printed);
        assert_eq!(before - self.server.tokens(&self.key), price(models), "{step}");
        self.results.push(format!("{step}: {}", calls_of(models)));
        done.printed
    }

    /// Runs a step that asks for an answer which breaks off, this number of times. All of them are
    /// refunded. Returns what was printed.
    #[track_caller]
    fn breaks_off(&mut self, calls: usize, run: impl FnOnce() -> String) -> String {
        self.upstream.when("Cut it short.", broken_off());
        let done = self.refunds(calls, 0, run);
        let calls = if calls == 1 { "1 call".to_owned() } else { format!("{calls} calls") };
        self.results.push(format!("an answer that breaks off: {calls}, refunded"));
        done.printed
    }

    /// Runs a step whose first answer breaks off. It must ask again, once, and that is what it
    /// costs. Returns what was printed.
    #[track_caller]
    fn recovers(&mut self, run: impl FnOnce() -> String) -> String {
        self.upstream.next(broken_off());
        let done = self.refunds(2, price(&["big"]), run);
        self.results.push("an answer that breaks off: 2 calls, the first refunded".to_owned());
        done.printed
    }

    /// Runs a step that makes this number of calls, and costs this much when all that failed is
    /// refunded.
    #[track_caller]
    fn refunds(&self, calls: usize, cost: i64, run: impl FnOnce() -> String) -> Done {
        let before = self.server.tokens(&self.key);
        let done = self.observe(run);
        assert_eq!(done.models.len(), calls, "{}", done.printed);
        wait::until("the refund", Duration::from_secs(30), || {
            (self.server.tokens(&self.key) == before - cost).then_some(())
        });
        done
    }

    /// Takes the balance away.
    fn drain(&self) {
        let amount = format!("-{}", self.server.tokens(&self.key));
        let words =
            ["adjust", "--database-url", self.database.url(), "--note", "nothing left", "--", "ada", &amount];
        let adjusted = tollgate(&words);
        assert!(adjusted.status.success(), "{adjusted:?}");
    }

    /// Takes the balance away and runs a step. It must show why it is refused, after this many
    /// requests.
    #[track_caller]
    fn is_refused(&mut self, requests: usize, run: impl FnOnce() -> String) {
        self.drain();
        let done = self.observe(run);
        // Programs break lines.
        let words: Vec<_> = done.printed.split_whitespace().collect();
        assert!(words.join(" ").contains("Insufficient tokens. This costs 1"), "{}", done.printed);
        // The log may arrive later than the answer. `end` looks whether there were more.
        self.refusals = requests;
        wait::until("the refusals", Duration::from_secs(30), || (self.refusals() >= requests).then_some(()));
        assert!(done.models.is_empty(), "{:?}", done.models);
        let requests = if requests == 1 { "1 request".to_owned() } else { format!("{requests} requests") };
        self.results.push(format!("empty balance: {requests}, shows the reason"));
    }

    /// Stops the server, checks the number of refusals and the books, and reports the results.
    #[track_caller]
    fn end(mut self) {
        self.server.terminate();
        assert!(self.server.wait(Duration::from_secs(20)).success());
        assert_eq!(self.refusals(), self.refusals, "{}", self.server.log());
        // It used this protocol and no other.
        let posts: Vec<_> = self
            .server
            .log()
            .lines()
            .filter_map(|line| line.split_once("POST ")?.1.split([' ', '?']).next().map(str::to_owned))
            .collect();
        assert!(posts.iter().any(|path| path == self.api.path), "{posts:?}");
        report(self.client, self.api.name, &self.results.join("; "));
        drop(self.server);
        assert_verified(&self.database);
    }
}

/// Returns an answer that breaks off after its first word.
fn broken_off() -> [Step; 4] {
    [head(), role(), text("Hel"), Step::Close]
}

/// Returns an answer that calls a tool.
fn tool_call(name: &str, arguments: &serde_json::Value) -> Vec<Step> {
    let function = json!({ "name": name, "arguments": arguments.to_string() });
    let call = json!({ "index": 0, "id": "call_1", "type": "function", "function": function });
    let delta = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
    vec![head(), chunk(delta, None), finish("tool_calls"), usage(3, 2), done(), Step::End]
}
