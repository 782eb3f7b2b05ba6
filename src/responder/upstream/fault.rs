//! Faults of an upstream that only the operator can fix.

use super::output_limit::OutputLimit;

/// What the operator must change before calls of a model can succeed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OperatorFault {
    /// The upstream rejects our key.
    KeyRejected,
    /// The upstream does not offer the model to us: there is no such model or address.
    ModelUnavailable,
    /// The upstream rejects this field of the request.
    FieldRejected(&'static str),
    /// The upstream rejects `stream_options`, by which we ask for the usage.
    StreamOptionsRejected,
    /// The upstream does not stream answers of this model.
    StreamRejected,
    /// The upstream rejects the field that limits an answer.
    LimitFieldRejected(OutputLimit),
    /// The operator's account at the upstream has no credit left.
    NoCredit,
}

impl OperatorFault {
    /// Returns what is wrong and what to do, as a sentence without its full stop.
    pub fn advice(self) -> String {
        match self {
            OperatorFault::KeyRejected => "the upstream rejects the key: check --upstream-key-file (or \
                                           TOLLGATE_UPSTREAM_KEY), and whether the key may use this model"
                .to_owned(),
            OperatorFault::ModelUnavailable => {
                "the upstream does not offer this model to this server: check its name in --upstream-models, \
                 --upstream-url, and the credit and rights of the account at the upstream"
                    .to_owned()
            }
            OperatorFault::FieldRejected(name) => format!(
                "the upstream rejects the value or the field `{name}`, which this server sets: lower the \
                 model's longest answer, or change --upstream-limit-field"
            ),
            OperatorFault::StreamOptionsRejected => {
                "the upstream rejects the field `stream_options`, by which it is asked for the usage: it is \
                 left out, and the usage is estimated, until the upstream's server is updated"
                    .to_owned()
            }
            OperatorFault::StreamRejected => {
                "the upstream does not stream answers of this model: answers arrive whole until it is \
                 allowed to stream"
                    .to_owned()
            }
            OperatorFault::LimitFieldRejected(rejected) => {
                let other = match rejected {
                    OutputLimit::MaxTokens => OutputLimit::MaxCompletionTokens,
                    OutputLimit::MaxCompletionTokens => OutputLimit::MaxTokens,
                };
                let (rejected, other) = (rejected.name(), other.name());
                format!("the upstream rejects the field `{rejected}`: set --upstream-limit-field {other}")
            }
            OperatorFault::NoCredit => {
                "the account at the upstream has no credit left: pay for more there".to_owned()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_rejected_limit_field_names_the_other_one() {
        assert_eq!(
            OperatorFault::LimitFieldRejected(OutputLimit::MaxTokens).advice(),
            "the upstream rejects the field `max_tokens`: set --upstream-limit-field max_completion_tokens"
        );
        assert!(
            OperatorFault::LimitFieldRejected(OutputLimit::MaxCompletionTokens)
                .advice()
                .ends_with("--upstream-limit-field max_tokens")
        );
    }

    #[test]
    fn each_fault_says_what_to_do() {
        for fault in [
            OperatorFault::KeyRejected,
            OperatorFault::ModelUnavailable,
            OperatorFault::FieldRejected("stop"),
            OperatorFault::StreamOptionsRejected,
            OperatorFault::StreamRejected,
            OperatorFault::LimitFieldRejected(OutputLimit::MaxTokens),
            OperatorFault::NoCredit,
        ] {
            let advice = fault.advice();
            let (wrong, to_do) = advice.split_once(": ").unwrap();
            assert!(wrong.starts_with("the ") && to_do.len() > 10, "{advice}");
        }
    }
}
