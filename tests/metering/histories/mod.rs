//! Random histories against a model: after any sequence of actions, the database agrees with a few
//! lines of plain arithmetic.

mod model;
mod step;
mod world;

use proptest::collection::vec;
use proptest::test_runner::{Config, RngAlgorithm, TestCaseError, TestError, TestRng, TestRunner};
use rstest::rstest;
use tokio::runtime::Runtime;

use crate::support::dice::seed;
use crate::support::ledger::Ledger;
use crate::support::{On, require};
use world::World;

const MOST_STEPS: usize = 60;

/// Each history has its own users in a shared database, which is checked as a whole at the end.
#[rstest]
fn any_history_gives_the_balances_ledger_and_chats_of_the_model(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(ledger) = Ledger::create(on) else { return };
    let runtime = Runtime::new().unwrap();
    let config = Config {
        cases: if require::long() { 200 } else { 25 },
        max_shrink_iters: 4000,
        max_shrink_time: 60_000,
        failure_persistence: None,
        ..Config::default()
    };
    let mut random = [0; 32];
    random[..8].copy_from_slice(&seed().to_le_bytes());
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &random));
    let outcome = runner.run(&vec(step::any(), 1..MOST_STEPS), |steps| {
        runtime.block_on(async {
            let mut world = World::new(&ledger).await;
            for step in &steps {
                world.take(step).await.map_err(TestCaseError::fail)?;
            }
            world.compare().map_err(TestCaseError::fail)
        })
    });
    if let Err(TestError::Fail(why, steps)) = outcome {
        panic!("{why}\nafter the steps {steps:#?}");
    }
    outcome.unwrap();
    ledger.assert_sound();
    ledger.assert_counted();
}
