//! Why a model ended a choice of its answer.

/// Why a choice ended, in the words of the OpenAI protocol.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FinishReason {
    /// The model had no more to say, or met a stop sequence.
    Stop,
    /// The limit on output, or the model's context, was reached.
    Length,
    /// The model calls tools.
    ToolCalls,
    /// The model calls a function, in the protocol's old form.
    FunctionCall,
    /// A filter stopped the model.
    ContentFilter,
    /// A reason that this version does not know. It is passed on.
    Other(String),
}

/// Reasons that upstreams give in other words, in lower case.
const SYNONYMS: [(&str, FinishReason); 14] = [
    ("eos", FinishReason::Stop),
    ("eos_token", FinishReason::Stop),
    ("end_turn", FinishReason::Stop),
    ("stop_sequence", FinishReason::Stop),
    ("complete", FinishReason::Stop),
    ("completed", FinishReason::Stop),
    ("max_tokens", FinishReason::Length),
    ("max_output_tokens", FinishReason::Length),
    ("model_length", FinishReason::Length),
    ("tool_use", FinishReason::ToolCalls),
    ("tool_call", FinishReason::ToolCalls),
    ("safety", FinishReason::ContentFilter),
    ("recitation", FinishReason::ContentFilter),
    ("sensitive", FinishReason::ContentFilter),
];

/// Words for an answer that goes on, in lower case.
const NONE: [&str; 5] = ["", "null", "none", "in_progress", "incomplete"];

/// Words for an answer that failed, in lower case, other than those of errors.
const FAILURES: [&str; 9] = [
    "user_cancel",
    "abort",
    "aborted",
    "cancelled",
    "canceled",
    "failed",
    "failure",
    "timeout",
    "insufficient_system_resource",
];

impl FinishReason {
    /// The reasons of the protocol.
    const KNOWN: [FinishReason; 5] = [
        FinishReason::Stop,
        FinishReason::Length,
        FinishReason::ToolCalls,
        FinishReason::FunctionCall,
        FinishReason::ContentFilter,
    ];

    /// Returns the reason that a text means. Upstreams write some in other words or in capitals.
    pub fn of(text: &str) -> FinishReason {
        let lower = text.trim().to_ascii_lowercase();
        let known = FinishReason::KNOWN.into_iter().find(|reason| reason.as_str() == lower);
        let synonym = || SYNONYMS.into_iter().find(|(word, _)| *word == lower).map(|(_, reason)| reason);
        known.or_else(synonym).unwrap_or_else(|| FinishReason::Other(text.to_owned()))
    }

    /// Returns whether a text means that the answer failed. Such an answer has no end.
    pub fn is_failure(text: &str) -> bool {
        let lower = text.trim().to_ascii_lowercase();
        let is_error =
            lower.starts_with("error") || lower.ends_with("error") || lower.starts_with("malformed");
        is_error || FAILURES.contains(&lower.as_str())
    }

    /// Returns whether a text means that the answer goes on. Most upstreams send `null`.
    pub fn is_none(text: &str) -> bool {
        let lower = text.trim().to_ascii_lowercase();
        lower.ends_with("_unspecified") || NONE.contains(&lower.as_str())
    }

    /// Returns the word of the protocol.
    pub fn as_str(&self) -> &str {
        match self {
            FinishReason::Stop => "stop",
            FinishReason::Length => "length",
            FinishReason::ToolCalls => "tool_calls",
            FinishReason::FunctionCall => "function_call",
            FinishReason::ContentFilter => "content_filter",
            FinishReason::Other(text) => text,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_reason_in_other_words_is_the_same_reason() {
        for (text, reason) in [
            ("stop", FinishReason::Stop),
            ("STOP", FinishReason::Stop),
            ("eos", FinishReason::Stop),
            ("MAX_TOKENS", FinishReason::Length),
            ("model_length", FinishReason::Length),
            ("tool_use", FinishReason::ToolCalls),
            ("RECITATION", FinishReason::ContentFilter),
            ("Sulking", FinishReason::Other("Sulking".to_owned())),
        ] {
            assert_eq!(FinishReason::of(text), reason, "{text}");
        }
        for failure in ["Error", "ERROR_TOXIC", "network_error", "abort", "MALFORMED_FUNCTION_CALL"] {
            assert!(FinishReason::is_failure(failure), "{failure}");
        }
        assert!(!FinishReason::is_failure("stop"));
        for none in ["", "null", " None", "FINISH_REASON_UNSPECIFIED"] {
            assert!(FinishReason::is_none(none), "{none}");
        }
    }
}
