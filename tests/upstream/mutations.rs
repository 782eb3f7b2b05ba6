//! The recordings of all providers with damaged bytes, cut, and split anywhere. Whatever arrives,
//! the charge is one of `docs/charges.md`, and only an answer with a finish reason is complete.

mod damage;
mod reader;

use std::sync::atomic::{AtomicU64, Ordering};
use std::thread;
use std::time::Instant;

use futures_util::StreamExt;
use futures_util::stream;
use rand::SeedableRng;
use rand::rngs::StdRng;
use serde_json::json;

use super::client::{Got, read};
use super::providers::{Price, Stored, World};
use crate::support::upstream::providers::{Recording, rows};
use crate::support::{On, dice, figures, require};

/// Damaged recordings in a run of the suite, and in the proofs.
const IN_THE_SUITE: u64 = 2_000;
const IN_THE_PROOFS: u64 = 100_000;

/// Cases of one server and its database.
const OF_A_SERVER: u64 = 500;

/// Calls that a server makes at once.
const AT_ONCE: usize = 16;

/// A damaged recording, what a client got, and what the reader of this test finds in it.
struct Case {
    name: String,
    damaged: Recording,
    got: Result<Got, String>,
    has_reason: bool,
}

#[test]
fn a_damaged_answer_is_complete_only_with_a_finish_reason_and_charged_by_the_rules() {
    let number = if require::proofs() { IN_THE_PROOFS } else { IN_THE_SUITE };
    let seed = dice::seed();
    let recordings: Vec<Recording> = rows().into_iter().flat_map(|row| row.recordings).collect();
    let (next, began) = (AtomicU64::new(0), Instant::now());
    let work = || {
        let (mut complete, mut faults) = (0, Vec::new());
        loop {
            let first = next.fetch_add(OF_A_SERVER, Ordering::Relaxed);
            if first >= number || !faults.is_empty() {
                return (complete, faults);
            }
            let cases = check_some(&recordings, seed, first);
            let checked = actix_web::rt::System::new().block_on(cases);
            complete += checked.0;
            faults.extend(checked.1);
        }
    };
    let workers = thread::available_parallelism().map_or(2, usize::from);
    let results: Vec<(usize, Vec<String>)> = thread::scope(|scope| {
        let workers: Vec<_> = (0..workers).map(|_| scope.spawn(work)).collect();
        workers.into_iter().map(|worker| worker.join().unwrap()).collect()
    });
    let complete: usize = results.iter().map(|(complete, _)| complete).sum();
    let faults: Vec<_> = results.into_iter().flat_map(|(_, faults)| faults).collect();
    assert!(faults.is_empty(), "{} faults:\n{}", faults.len(), faults.join("\n"));
    // Otherwise the damage is too heavy, or too light, to show anything.
    let share = complete as f64 / number as f64;
    assert!((0.05..0.9).contains(&share), "{complete} of {number} were complete");
    let seconds = began.elapsed().as_secs();
    figures::report(
        &format!("{number} damaged recordings of what providers send"),
        &format!("{complete} complete answers, each with a finish reason; all charges sound; {seconds} s"),
    );
}

/// Checks the cases of one server, of which this is the first. Returns how many were complete, and
/// the faults.
async fn check_some(recordings: &[Recording], seed: u64, first: u64) -> (usize, Vec<String>) {
    let world = World::start(On::Sqlite, "m", &[]).await.expect("SQLite is always there");
    let price = if (first / OF_A_SERVER).is_multiple_of(2) { Price::Message } else { Price::Usage };
    price.set(&world.app);
    let cases = (first..first + OF_A_SERVER).map(|number| check(&world, recordings, seed, number));
    let cases: Vec<Case> = stream::iter(cases).buffer_unordered(AT_ONCE).collect().await;
    let stored = Stored::after(&world.app, 0);
    let (mut complete, mut faults) = (0, Vec::new());
    for case in cases {
        let chats = stored.iter().filter(|(_, message, _)| *message == case.name);
        let chats: Vec<_> = chats.map(|(_, _, stored)| stored).collect();
        let [stored] = chats[..] else {
            faults.push(format!("{} was stored {} times: {:?}", case.name, chats.len(), case.got));
            continue;
        };
        complete += usize::from(stored.state == "complete");
        if let Err(fault) = judge(&case, stored, price) {
            let body = String::from_utf8_lossy(&case.damaged.body);
            faults.push(format!("{}: {fault}: {:?} {stored:?} from:\n{body:?}", case.name, case.got));
        }
    }
    (complete, faults)
}

/// Makes a call to an upstream that sends a damaged recording. The number determines the damage.
async fn check(world: &World, recordings: &[Recording], seed: u64, number: u64) -> Case {
    let mut random = StdRng::seed_from_u64(seed.wrapping_add(number));
    let (damaged, parts) = damage::damaged(recordings, &mut random);
    let name = format!("case-{number}-");
    world.upstream.when(&name, damaged.steps_of(parts));
    let answer = world.ask("m", &name, number.is_multiple_of(2), &json!({})).await;
    world.upstream.forget(&name);
    let has_reason = reader::has_finish_reason(&damaged);
    if answer.status == 500 {
        return Case { name, damaged, got: Err(format!("500: {}", answer.text())), has_reason };
    }
    Case { name, damaged, got: read(&answer), has_reason }
}

/// Checks the properties.
fn judge(case: &Case, stored: &Stored, price: Price) -> Result<(), String> {
    let got = case.got.as_ref()?;
    let is_told = got.error.is_some();
    if got.is_whole == is_told {
        return Err("the client cannot know whether the answer is complete".to_owned());
    }
    match stored.state.as_str() {
        "complete" if !case.has_reason => Err("complete, but it has no finish reason".to_owned()),
        "complete" if is_told => Err("complete, but the client got an error".to_owned()),
        "complete" => {
            let (prompt, completion, _) = stored.usage.ok_or("no usage")?;
            let is_sound = stored.ledger == stored.settled(price.cost(stored.held, prompt, completion));
            is_sound.then_some(()).ok_or_else(|| "charged wrongly".to_owned())
        }
        "failed" if !is_told => Err("failed, but the client got no error".to_owned()),
        "failed" => {
            let prompt = stored.usage.map_or(0, |(prompt, _, _)| prompt);
            let is_settled = price == Price::Usage
                && stored.failure == "empty_answer"
                && stored.ledger == stored.settled(price.cost(stored.held, prompt, 0));
            let is_sound = is_settled || stored.ledger == stored.refunded();
            is_sound.then_some(()).ok_or_else(|| "a failure was charged".to_owned())
        }
        _ => Err("it did not end".to_owned()),
    }
}
