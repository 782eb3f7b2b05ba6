//! The name of the limit on output, which upstreams call differently.

/// The field of the protocol that limits the tokens of an answer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, clap::ValueEnum)]
#[value(rename_all = "snake_case")]
pub enum OutputLimit {
    /// The name that nearly all servers use
    #[default]
    MaxTokens,
    /// The name that OpenAI's reasoning models need
    MaxCompletionTokens,
}

impl OutputLimit {
    /// Returns the name of the field.
    pub(super) const fn name(self) -> &'static str {
        match self {
            OutputLimit::MaxTokens => "max_tokens",
            OutputLimit::MaxCompletionTokens => "max_completion_tokens",
        }
    }
}
