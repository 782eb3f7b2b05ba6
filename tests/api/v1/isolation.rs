//! One user's failures and one model's failures concern nobody else.

use rstest::rstest;
use serde_json::{Value, json};

use super::super::upstream::spawn;
use super::complete;
use crate::support::On;
use crate::support::upstream::{Step, event, finish, head, status, text};

const CONTEXT: &str = r#"{"error":{"message":"maximum context length","code":"context_length_exceeded"}}"#;

/// Returns the ways in which a user can make an upstream fail.
fn failures() -> Vec<Vec<Step>> {
    let mut scripts: Vec<Vec<Step>> =
        [400, 401, 402, 403, 404, 413, 422, 500, 502, 504].map(|code| status(code, &[], "")).into();
    // A long wait, so that they are not retried.
    scripts.extend([429, 503, 529].map(|code| status(code, &[("retry-after", "60")], "")));
    scripts.push(status(400, &[], CONTEXT));
    scripts.extend([vec![Step::Reset], vec![head(), Step::Reset], vec![head(), text("a"), Step::End]]);
    scripts.push(status(200, &[("content-type", "text/html")], ""));
    scripts.extend([vec![head(), event("{")], vec![head(), event(r#"{"error":"x"}"#)]]);
    scripts.push(vec![head(), finish("stop"), Step::End]);
    scripts.push(vec![head(), text("a"), finish("error"), Step::End]);
    scripts
}

fn ask(model: &str, message: &str) -> Value {
    json!({ "model": model, "messages": [{ "role": "user", "content": message }] })
}

/// `eve` makes the calls of all models fail, and the model `vendor/other` fails for everybody.
#[rstest]
#[actix_web::test]
async fn all_chats_of_another_user_with_the_other_models_are_answered(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let flags = ["--upstream-models", "third", "--requests-per-minute", "0"];
    let Some((app, upstream, ada)) = spawn(on, &flags).await else { return };
    let eve = app.user("eve").await;
    // So that the balances last for all chats.
    app.sql("UPDATE models SET base_price = 0, prompt_price = 0, completion_price = 1");
    upstream.when("vendor/other", status(500, &[], ""));
    for (number, script) in failures().into_iter().enumerate() {
        // Words of one length, so that none is a part of another.
        let word = format!("evil{number:03}");
        upstream.when(&word, script);
        for model in ["m", "third", "vendor/other"] {
            for _ in 0..2 {
                let failed = complete(&app, &eve, ask(model, &word)).await;
                assert_ne!(failed.status, 200, "{word} {model}");
                let broken = complete(&app, &ada, ask("vendor/other", "hi")).await;
                assert_ne!(broken.status, 200);
            }
            for model in ["m", "third"] {
                complete(&app, &ada, ask(model, "hi")).await.assert_status(200);
            }
        }
    }
    assert_eq!(app.balance(&eve).await, 4000);
}
