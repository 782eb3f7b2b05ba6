//! The client programs of `docs/clients.md`, each with the settings of that page and the scripted
//! upstream: what a message costs there, and what the program does when the balance is empty.

mod applications;
mod libraries;

use std::path::PathBuf;
use std::time::Duration;

use diesel::RunQueryDsl;
use serde_json::json;

use super::programs::{Program, Sdks};
use crate::house::source::root;
use crate::readme::ADDRESS;
use crate::support::ledger::raw;
use crate::support::server::{Server, assert_verified, tollgate};
use crate::support::upstream::{ScriptedUpstream, Step, chunk, done, finish, head, usage};
use crate::support::{On, TestDatabase, figures, wait};

/// What stands in the document for an auth token.
const TOKEN: &str = "tg_…";

/// The price of a message to the model `small`, as `docs/clients.md` sets it.
const SMALL_PRICE: i64 = 10;

/// A server with the models `big` and `small`, and a user of one client program.
struct Bench {
    /// The title of the program's section in the document.
    client: &'static str,
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
pub(super) fn report(client: &str, results: &str) {
    let document = document();
    let row = document.lines().find_map(|line| line.strip_prefix(&format!("| [{client}](")));
    let packages = row.and_then(|row| row.split(" | ").nth(1)).expect("the document has a row with packages");
    figures::report(&format!("{client}: {packages}"), results);
}

impl Bench {
    /// Prepares a client. `None` if it does not run here, which is reported if it should.
    fn of(client: &'static str, sdks: Sdks) -> Option<Bench> {
        let place = sdks.installed()?;
        let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
        let upstream = ScriptedUpstream::start();
        let url = upstream.url();
        let flags = ["--responder", "openai", "--upstream-url", &url, "--upstream-models", "big,small"];
        let server = Server::start(&database, &flags);
        let price = format!("base_price = {SMALL_PRICE}, prompt_price = 0, completion_price = 0");
        let price = diesel::sql_query(format!("UPDATE models SET {price} WHERE name = 'small'"));
        // The server adds the rows of its models some time after its start.
        let mut connection = raw(On::Sqlite, database.url());
        wait::until("the model's row", Duration::from_secs(30), || {
            (price.clone().execute(&mut connection).unwrap() == 1).then_some(())
        });
        let key = server.user("ada");
        Some(Bench { client, place, database, server, upstream, key, refusals: 0, results: Vec::new() })
    }

    /// Returns the settings of this client from the document: the first block of this language in
    /// its section, for this server and user.
    fn settings(&self, language: &str) -> String {
        let document = document();
        let (_, section) =
            document.split_once(&format!("\n### {}\n", self.client)).expect("it has a section");
        let section = section.split("\n### ").next().unwrap_or_default();
        let (_, block) = section.split_once(&format!("```{language}\n")).expect("the section has a block");
        let block = block.split_once("```").expect("the block ends").0;
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

    /// Returns how many requests were refused so far, by the lines of the log that have arrived.
    fn refusals(&self) -> usize {
        self.server.log().matches("POST /v1/chat/completions 402 ").count()
    }

    /// Runs a step, which must cost one message to each of these models (in the order of their
    /// names), and returns what was printed.
    #[track_caller]
    fn costs(&mut self, step: &str, models: &[&str], run: impl FnOnce() -> String) -> String {
        let before = self.server.tokens(&self.key);
        let done = self.observe(run);
        assert_eq!(done.models, models, "{step}: {}", done.printed);
        let big = models.iter().filter(|model| **model == "big").count() as i64;
        let price = 100 * big + SMALL_PRICE * (models.len() as i64 - big);
        assert_eq!(before - self.server.tokens(&self.key), price, "{step}");
        let background = models.len() as i64 - big;
        let background = if background > 0 { format!(" and {background} to `small`") } else { String::new() };
        self.results.push(format!("{step}: {big} to `big`{background}"));
        done.printed
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
        report(self.client, &self.results.join("; "));
        drop(self.server);
        assert_verified(&self.database);
    }
}

/// Returns an answer that calls a tool.
fn tool_call(name: &str, arguments: &serde_json::Value) -> Vec<Step> {
    let function = json!({ "name": name, "arguments": arguments.to_string() });
    let call = json!({ "index": 0, "id": "call_1", "type": "function", "function": function });
    let delta = json!({ "role": "assistant", "content": null, "tool_calls": [call] });
    vec![head(), chunk(delta, None), finish("tool_calls"), usage(3, 2), done(), Step::End]
}
