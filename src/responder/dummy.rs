//! The built-in dummy model: `Response to <message>`. It can be made slow, or made to fail, so that
//! people can test their own error handling. Then its chats go through a hold, as those of an
//! upstream do.

use std::time::Duration;

use rand::RngExt;
use serde_json::Value;
use sha2::{Digest, Sha256};

use super::answer::{FinishReason, Piece};
use super::embeddings::{Embeddings, MOST_VECTOR_VALUES};
use super::failure::Failure;
use super::inputs::Inputs;
use super::question::{Question, QuestionKind};

/// How much longer than its own delay an answer may take.
const MARGIN: Duration = Duration::from_secs(10);

/// The length of a vector to a client that asks for none.
const DIMENSIONS: usize = 16;

/// The settings of the dummy.
#[derive(Clone, Copy, Debug, Default)]
pub struct Dummy {
    /// How long it takes to answer.
    pub delay: Duration,
    /// The percentage of messages that it fails to answer, at random.
    pub failures_percent: u8,
}

impl Dummy {
    /// Returns whether it answers without waiting.
    pub(super) fn is_instant(&self) -> bool {
        self.delay.is_zero() && self.failures_percent == 0
    }

    /// Returns the answer if there is no delay and no failure.
    pub(super) fn answer_at_once(&self, message: &str) -> Option<String> {
        self.is_instant().then(|| text(message))
    }

    /// Answers after the delay, or fails. Each choice of the answer is a part.
    pub(super) async fn answer(&self, message: &str, question: &Question) -> Result<Vec<Piece>, Failure> {
        tokio::time::sleep(self.delay).await;
        if rand::rng().random_range(0..100) < self.failures_percent {
            return Err(Failure::DummyFailed);
        }
        if let QuestionKind::Embeddings(inputs) = &question.kind {
            let dimensions = question.options.get("dimensions").and_then(Value::as_u64);
            let dimensions = dimensions.and_then(|wanted| usize::try_from(wanted).ok()).unwrap_or(DIMENSIONS);
            let embeddings = vectors(inputs, dimensions).ok_or(Failure::TooLarge)?;
            return Ok(vec![Piece::of_embeddings(embeddings)]);
        }
        let choices = 0..usize::try_from(question.choices).unwrap_or(1);
        let piece = |choice| {
            let text = match &question.kind {
                QuestionKind::Completion(completion) => {
                    let of_each = question.choices_of_each_prompt(&completion.prompts);
                    let prompt = choice / usize::try_from(of_each).unwrap_or(1);
                    text(completion.prompts.text(prompt).unwrap_or(message))
                }
                _ => text(message),
            };
            Piece { choice, finish_reason: Some(FinishReason::Stop), ..Piece::of_text(&text) }
        };
        Ok(choices.map(piece).collect())
    }

    /// Returns the time limit for an answer.
    pub(super) fn time_limit(&self) -> Duration {
        self.delay + MARGIN
    }
}

fn text(message: &str) -> String {
    format!("Response to {message}")
}

/// Returns vectors of length 1, the same for the same input each time.
fn vectors(inputs: &Inputs, dimensions: usize) -> Option<Embeddings> {
    let count = inputs.count();
    if count.saturating_mul(dimensions) > MOST_VECTOR_VALUES {
        return None;
    }
    let mut values = Vec::with_capacity(count * dimensions);
    for index in 0..count {
        let seed = match inputs {
            Inputs::Text(_) | Inputs::Texts(_) => inputs.text(index).unwrap_or_default().to_owned(),
            Inputs::Tokens(tokens) => format!("{tokens:?}"),
            Inputs::TokenLists(lists) => format!("{:?}", lists.get(index)?),
        };
        let start = values.len();
        for block in 0_u64.. {
            let digest = Sha256::new().chain_update(block.to_le_bytes()).chain_update(&seed).finalize();
            let missing = start + dimensions - values.len();
            // Never 0, so that the length is not 0 either.
            values.extend(digest.iter().take(missing).map(|byte| (f32::from(*byte) - 127.5) / 128.0));
            if values.len() == start + dimensions {
                break;
            }
        }
        let length = values[start..].iter().map(|value| value * value).sum::<f32>().sqrt();
        values[start..].iter_mut().for_each(|value| *value /= length);
    }
    Embeddings::new(dimensions, values, None)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_text_has_the_same_vector_of_length_1() {
        let texts = |texts: &[&str]| Inputs::Texts(texts.iter().map(|text| (*text).to_owned()).collect());
        let some = vectors(&texts(&["a", "b", "a"]), 100).unwrap();
        assert_eq!((some.count(), some.dimensions()), (3, 100));
        assert_eq!(some.vector(0), some.vector(2));
        assert_ne!(some.vector(0), some.vector(1));
        for index in 0..3 {
            let length: f32 = some.vector(index).unwrap().iter().map(|value| value * value).sum();
            assert!((length - 1.0).abs() < 1e-4, "{length}");
        }
        assert!(vectors(&texts(&["a"]), 0).is_none());
        assert!(vectors(&texts(&["a", "b"]), MOST_VECTOR_VALUES).is_none());
        assert!(vectors(&Inputs::TokenLists(vec![vec![1], vec![2]]), 1).is_some());
    }

    #[test]
    fn only_a_quick_and_reliable_dummy_answers_at_once() {
        let quick = Dummy::default();
        assert_eq!(quick.answer_at_once("hi").as_deref(), Some("Response to hi"));
        assert_eq!(Dummy { delay: Duration::from_millis(1), ..quick }.answer_at_once("hi"), None);
        assert_eq!(Dummy { failures_percent: 1, ..quick }.answer_at_once("hi"), None);
    }
}
