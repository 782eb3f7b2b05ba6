//! The price of a chat, in whole tokens of the balance.

use crate::domain::Usage;
use crate::models::Model;

/// The price of a chat with one model.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Price {
    /// A fixed number of tokens for each message.
    Message(i64),
    /// Tokens for each message, and tokens for the usage.
    Usage {
        /// Tokens for each message.
        base: i64,
        /// Tokens for 1,000 tokens of the prompt.
        prompt: i64,
        /// Tokens for 1,000 tokens of the answer.
        completion: i64,
    },
}

impl Price {
    /// Returns the model's own price, or the default price per message (`--chat-price`).
    pub fn of(model: &Model, message_price: i64) -> Price {
        match (model.base_price, model.prompt_price, model.completion_price) {
            (Some(base), Some(prompt), Some(completion)) => Price::Usage { base, prompt, completion },
            _ => Price::Message(message_price),
        }
    }

    /// Returns the model's own price of embeddings, which have no answer in tokens. Without one,
    /// they cost what a message costs.
    pub fn of_embeddings(model: &Model, message_price: i64) -> Price {
        match model.embedding_price {
            Some(prompt) => Price::Usage { base: 0, prompt, completion: 0 },
            None => Price::of(model, message_price),
        }
    }

    /// Returns the tokens to hold before the call: the most that it can cost. `prompt_bound` and
    /// `max_output` are upper bounds of the prompt and of each choice of the answer, in tokens of
    /// the model. Each of the `choices` costs as much as one alone.
    pub fn hold(self, prompt_bound: i64, max_output: u32, choices: u32) -> i64 {
        self.total(prompt_bound, i64::from(max_output)).saturating_mul(i64::from(choices))
    }

    /// Returns the final price of an answer with this many of the `wanted` choices. Returns `None`
    /// if it is a price per message and all are there: it is what was held.
    pub fn settled(self, usage: Usage, choices: u32, wanted: u32) -> Option<i64> {
        match self {
            Price::Message(_) if choices == wanted => None,
            Price::Message(price) => Some(price.saturating_mul(i64::from(choices))),
            // The usage counts the answers of all choices, and the message was one.
            Price::Usage { .. } => Some(self.total(usage.prompt_tokens, usage.completion_tokens)),
        }
    }

    /// Returns the price of this usage. Its two parts are summed before they are rounded up to a
    /// whole token, so that it is rounded only once.
    fn total(self, prompt_tokens: i64, completion_tokens: i64) -> i64 {
        match self {
            Price::Message(price) => price,
            Price::Usage { base, prompt, completion } => {
                let by_usage = i128::from(prompt_tokens.max(0)) * i128::from(prompt)
                    + i128::from(completion_tokens.max(0)) * i128::from(completion);
                let total = i128::from(base) + by_usage.div_euclid(1000) + i128::from(by_usage % 1000 > 0);
                i64::try_from(total).unwrap_or(i64::MAX)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn usage(prompt_tokens: i64, completion_tokens: i64) -> Usage {
        Usage { prompt_tokens, completion_tokens, ..Usage::default() }
    }

    #[test]
    fn a_message_costs_the_same_whatever_it_takes() {
        assert_eq!(Price::Message(100).hold(1_000_000, u32::MAX, 1), 100);
        assert_eq!(Price::Message(100).settled(usage(1_000_000, 1_000_000), 1, 1), None);
    }

    #[test]
    fn usage_is_summed_and_then_rounded_up_once() {
        let price = Price::Usage { base: 5, prompt: 10, completion: 30 };
        for (prompt, completion, cost) in
            [(0, 0, 5), (1, 0, 6), (50, 16, 6), (50, 17, 7), (1000, 1000, 45), (1001, 1000, 46), (-7, -7, 5)]
        {
            assert_eq!(price.settled(usage(prompt, completion), 1, 1), Some(cost), "{prompt}, {completion}");
        }
    }

    #[test]
    fn the_hold_is_the_price_of_the_upper_bounds() {
        let price = Price::Usage { base: 1, prompt: 1000, completion: 2000 };
        assert_eq!(price.hold(70, 1000, 1), 1 + 70 + 2000);
    }

    #[test]
    fn each_choice_costs_a_message() {
        assert_eq!(Price::Message(100).hold(1, 1, 3), 300);
        assert_eq!(Price::Message(100).settled(usage(1, 1), 3, 3), None);
        assert_eq!(Price::Message(100).settled(usage(1, 1), 2, 3), Some(200));
        let price = Price::Usage { base: 5, prompt: 1000, completion: 1000 };
        assert_eq!(price.hold(10, 20, 3), 3 * 35);
        assert_eq!(price.settled(usage(10, 40), 2, 3), Some(55));
    }

    #[test]
    fn embeddings_have_a_price_of_their_own() {
        let priced = Model {
            base_price: Some(5),
            prompt_price: Some(10),
            completion_price: Some(30),
            embedding_price: Some(2),
            ..Model::default()
        };
        assert_eq!(Price::of_embeddings(&priced, 100), Price::Usage { base: 0, prompt: 2, completion: 0 });
        assert_eq!(Price::of_embeddings(&priced, 100).settled(usage(1001, 0), 1, 1), Some(3));
        let as_a_message = Model { embedding_price: None, ..priced };
        assert_eq!(Price::of_embeddings(&as_a_message, 100), Price::of(&as_a_message, 100));
        assert_eq!(Price::of_embeddings(&Model::default(), 100), Price::Message(100));
    }

    #[test]
    fn no_number_is_too_large() {
        let price = Price::Usage { base: i64::MAX, prompt: i64::MAX, completion: i64::MAX };
        assert_eq!(price.settled(usage(i64::MAX, i64::MAX), 1, 1), Some(i64::MAX));
    }
}
