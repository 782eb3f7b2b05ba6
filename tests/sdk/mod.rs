//! OpenAI's SDKs, and programs that use them, against `/v1` with a real model. They run unchanged,
//! with only base URL and key set, and the usage that they see is compared with the books. This
//! tests the protocol, never what the model says.

mod clients;
mod meter;
mod programs;
mod real_model;
mod start_page;

use std::time::Duration;

use serde_json::Value;

use crate::support::ledger::{lines, raw};
use crate::support::server::{Server, assert_verified, tollgate};
use crate::support::{On, TestDatabase, model};
use programs::{Program, Sdks};

/// The usage of an answer: tokens of the prompt, and of the answer.
type Usage = (i64, i64);

/// Returns the recorded usage of each chat, in the order of the questions.
fn usage_on_the_books(database: &TestDatabase) -> Vec<Usage> {
    let query = "SELECT coalesce(prompt_tokens, -1) || ' ' || coalesce(completion_tokens, -1) AS line
                 FROM chats ORDER BY id";
    let rows = lines(&mut raw(On::Sqlite, database.url()), query);
    let parse = |row: &String| {
        let (prompt, completion) = row.split_once(' ')?;
        Some((prompt.parse().ok()?, completion.parse().ok()?))
    };
    rows.iter().map(|row| parse(row).expect("two numbers")).collect()
}

/// Returns kind and amount of each entry of a user's statement, newest first.
fn statement(server: &Server, token: &str) -> Vec<(String, i64)> {
    let answer = server.client().get("/ledger/?limit=200", token).unwrap();
    assert_eq!(answer.status, 200, "{answer:?}");
    let body = answer.json();
    let entries = body["entries"].as_array().expect("a statement has entries");
    let view = |entry: &Value| Some((entry["kind"].as_str()?.to_owned(), entry["amount"].as_i64()?));
    entries.iter().map(|entry| view(entry).expect("a kind and an amount")).collect()
}

/// Runs one of this folder's programs, which prints the usage of each answer. Compares that with
/// the books, and the books with the model's own count.
fn assert_works_unchanged(client: &str, sdks: Sdks, program: &str) {
    let Some(place) = sdks.installed() else { return };
    let Some(model) = model::shared() else { return };
    let database = TestDatabase::create(On::Sqlite).expect("SQLite is built in");
    let mut server = model.server(&database);
    let (key, empty) = (server.user("ada"), server.user("grace"));
    let note = ["--note", "nothing left"];
    let adjust = ["adjust", "--database-url", database.url(), "grace", "-4000", note[0], note[1]];
    assert!(tollgate(&adjust).status.success());

    let before = model.tokens();
    let printed = Program::new(&place, program, None)
        .env("OPENAI_BASE_URL", &format!("http://{}/v1", server.address()))
        .env("OPENAI_API_KEY", &key)
        .env("EMPTY_KEY", &empty)
        .run();
    let seen: Vec<Option<Usage>> = serde_json::from_str(&printed).expect("the program prints what it saw");
    assert!(seen.len() >= 2, "{printed}");

    let books = usage_on_the_books(&database);
    assert_eq!(books.len(), seen.len(), "the program saw {seen:?}, the books have {books:?}");
    for (number, (seen, book)) in seen.iter().zip(&books).enumerate() {
        assert!(seen.is_none_or(|seen| seen == *book), "answer {number}: {seen:?} and {book:?}");
    }
    let after = model.tokens();
    let sum = |pick: fn(&Usage) -> i64| books.iter().map(pick).sum::<i64>();
    let counted = (after.prompt - before.prompt, after.completion - before.completion);
    assert_eq!((sum(|usage| usage.0), sum(|usage| usage.1)), counted, "the model counted differently");

    // One charge per answer, and none for a refusal.
    let mut expected = vec![("charge".to_owned(), -100); seen.len()];
    expected.push(("opening".to_owned(), 4000));
    assert_eq!(statement(&server, &key), expected);
    assert_eq!(server.tokens(&key), 4000 - 100 * seen.len() as i64);
    let untouched = [("adjustment".to_owned(), -4000), ("opening".to_owned(), 4000)];
    assert_eq!(statement(&server, &empty), untouched);
    // Nobody asks again. The log is complete when the server has ended.
    server.terminate();
    assert!(server.wait(Duration::from_secs(20)).success());
    assert_eq!(server.log().matches("POST /v1/chat/completions 402 ").count(), 1, "{}", server.log());
    let count = seen.len();
    clients::report(client, "", &format!("{count} answers, {count} messages; empty balance: 1 request"));
    drop(server);
    assert_verified(&database);
}

#[test]
fn openais_python_sdk_works_unchanged() {
    assert_works_unchanged("OpenAI's SDK for Python", Sdks::Python, "check.py");
}

#[test]
fn openais_javascript_sdk_works_unchanged() {
    assert_works_unchanged("OpenAI's SDK for JavaScript", Sdks::Node, "check.mjs");
}

#[test]
fn langchain_works_unchanged() {
    assert_works_unchanged("LangChain", Sdks::Python, "check_langchain.py");
}

#[test]
fn the_program_llm_works_unchanged() {
    assert_works_unchanged("llm", Sdks::Python, "check_llm.sh");
}
