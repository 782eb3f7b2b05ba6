//! The settings of an upstream LLM, and the limits of a user.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;
use url::Url;

use super::secret::{SecretText, read_secret};
use super::values::{model_name, upstream_url};
use crate::chat::SlotBounds;
use crate::models::AnswerLimits;
use crate::responder::{Catalogue, OutputLimit, Upstream, UpstreamKey, UpstreamSettings};
use crate::throttle::MemoryBudget;

/// The limits of a user, unless the user has limits of their own.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Limits of a user")]
pub struct Limits {
    /// Chats of one user that may be answered at once, on all nodes together
    #[arg(global = true, long, env = "TOLLGATE_CONCURRENT_CHATS", value_name = "COUNT", default_value_t = 32,
          value_parser = clap::value_parser!(i64).range(0..=1_000_000))]
    pub concurrent_chats: i64,
    /// Messages that one user may send in a minute, to each node
    #[arg(global = true, long, env = "TOLLGATE_REQUESTS_PER_MINUTE", value_name = "COUNT", default_value_t = 600,
          value_parser = clap::value_parser!(u32).range(0..=1_000_000))]
    pub requests_per_minute: u32,
    /// Reads of one user per minute, on each node; each 8 KiB of a response counts as one more
    #[arg(global = true, long, env = "TOLLGATE_READS_PER_MINUTE", value_name = "COUNT", default_value_t = 6000,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub reads_per_minute: u32,
}

/// The settings of an upstream, for `--responder openai`.
#[derive(Args, Clone, Debug)]
#[command(next_help_heading = "Upstream (with --responder openai)")]
pub struct UpstreamArgs {
    /// Base URL of an OpenAI-compatible LLM server, ending in /v1
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_URL", hide_env_values = true, value_name = "URL",
          value_parser = upstream_url)]
    pub upstream_url: Option<Url>,
    /// Models on offer, comma-separated, as the upstream calls them; the first answers /chat/
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_MODELS", value_name = "LIST", value_delimiter = ',',
          value_parser = model_name)]
    pub upstream_models: Vec<String>,
    /// File with the upstream's API key; or set the variable TOLLGATE_UPSTREAM_KEY to the key
    /// itself, but not both [default: none]
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_UPSTREAM_KEY_FILE",
        hide_env_values = true,
        value_name = "FILE"
    )]
    pub upstream_key_file: Option<PathBuf>,
    /// The key itself, from its variable or from the settings file. There is no such flag, because
    /// everybody who lists the processes could see it.
    #[arg(skip)]
    pub upstream_key: Option<SecretText>,
    /// What the model is told before each message to /chat/ [default: nothing]
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_SYSTEM_PROMPT", value_name = "TEXT")]
    pub upstream_system_prompt: Option<String>,
    /// Tokens that an answer may have if the client sets no limit
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_DEFAULT_OUTPUT", value_name = "TOKENS",
          default_value_t = 4096, value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub upstream_default_output: u32,
    /// Tokens that an answer may have, whatever limit the client sets
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_MAX_OUTPUT", value_name = "TOKENS", default_value_t = 16_384,
          value_parser = clap::value_parser!(u32).range(1..=10_000_000))]
    pub upstream_max_output: u32,
    /// The field of the protocol that limits an answer's tokens
    #[arg(
        global = true,
        long,
        env = "TOLLGATE_UPSTREAM_LIMIT_FIELD",
        value_name = "NAME",
        default_value = "max_tokens"
    )]
    pub upstream_limit_field: OutputLimit,
    /// Tokens of earlier conversation that are sent with each message, estimated as a quarter of
    /// the bytes
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_CONTEXT", value_name = "TOKENS", default_value_t = 4096,
          value_parser = clap::value_parser!(u32).range(0..=100_000_000))]
    pub upstream_context: u32,
    /// Seconds that connecting may take
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_CONNECT_TIMEOUT", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub upstream_connect_timeout: u64,
    /// Seconds until the answer must begin
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_FIRST_BYTE_TIMEOUT", value_name = "SECONDS",
          default_value_t = 60, value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub upstream_first_byte_timeout: u64,
    /// Seconds that the upstream may be silent during an answer
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_IDLE_TIMEOUT", value_name = "SECONDS", default_value_t = 30,
          value_parser = clap::value_parser!(u64).range(1..=3600))]
    pub upstream_idle_timeout: u64,
    /// Seconds that an answer may take in all
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_TOTAL_TIMEOUT", value_name = "SECONDS", default_value_t = 300,
          value_parser = clap::value_parser!(u64).range(1..=86_400))]
    pub upstream_total_timeout: u64,
    /// Calls that may be in flight at once, from this node; one user gets at most half of them
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_CALLS", value_name = "COUNT", default_value_t = 64,
          value_parser = clap::value_parser!(u32).range(1..=100_000))]
    pub upstream_calls: u32,
    /// Messages that may wait for a call or for one of their user's chats to end, at most a quarter
    /// of them from one user; further ones get 503 or 429
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_WAITING", value_name = "COUNT", default_value_t = 512,
          value_parser = clap::value_parser!(u32).range(0..=100_000))]
    pub upstream_waiting: u32,
    /// Seconds that a message may wait for a call or for one of its user's chats to end
    #[arg(global = true, long, env = "TOLLGATE_UPSTREAM_PATIENCE", value_name = "SECONDS", default_value_t = 5,
          value_parser = clap::value_parser!(u64).range(1..=600))]
    pub upstream_patience: u64,
}

impl UpstreamArgs {
    /// Makes the upstream and the list of its models on offer. `memory` is for large answers.
    ///
    /// # Errors
    /// A text that says which setting is missing or wrong.
    pub fn catalogue(&self, memory: MemoryBudget) -> Result<Catalogue, String> {
        let settings = self.settings(memory)?;
        let models = self.models()?;
        Ok(self.offer(Upstream::new(settings)?, models))
    }

    /// Makes the catalogue like [`UpstreamArgs::catalogue`], after a reload. If calls are made as
    /// before, what is known of the upstream stays.
    ///
    /// # Errors
    /// As for [`UpstreamArgs::catalogue`].
    pub fn catalogue_after(&self, before: &Catalogue, memory: MemoryBudget) -> Result<Catalogue, String> {
        let settings = self.settings(memory)?;
        let models = self.models()?;
        Ok(self.offer(before.upstream.changed_to(settings)?, models))
    }

    fn offer(&self, upstream: Upstream, models: Vec<String>) -> Catalogue {
        Catalogue {
            upstream,
            models,
            system_prompt: self.upstream_system_prompt.clone().filter(|prompt| !prompt.trim().is_empty()),
            default_output: self.upstream_default_output,
            max_output: self.upstream_max_output,
            context_tokens: i64::from(self.upstream_context),
        }
    }

    fn settings(&self, memory: MemoryBudget) -> Result<UpstreamSettings, String> {
        let base_url = self
            .upstream_url
            .clone()
            .ok_or("--responder openai needs --upstream-url, for example http://127.0.0.1:8081/v1")?;
        Ok(UpstreamSettings {
            base_url,
            key: self.key()?,
            output_limit: self.upstream_limit_field,
            connect_timeout: Duration::from_secs(self.upstream_connect_timeout),
            first_byte_timeout: Duration::from_secs(self.upstream_first_byte_timeout),
            idle_timeout: Duration::from_secs(self.upstream_idle_timeout),
            total_timeout: Duration::from_secs(self.upstream_total_timeout),
            calls: usize::try_from(self.upstream_calls).unwrap_or(usize::MAX),
            waiting: usize::try_from(self.upstream_waiting).unwrap_or(usize::MAX),
            patience: Duration::from_secs(self.upstream_patience),
            memory,
        })
    }

    fn models(&self) -> Result<Vec<String>, String> {
        let mut models: Vec<String> = Vec::new();
        for name in self.upstream_models.iter().filter(|name| !name.is_empty()) {
            if !models.contains(name) {
                models.push(name.clone());
            }
        }
        if models.is_empty() {
            return Err(
                "--responder openai needs --upstream-models, the names of the models on offer".to_owned()
            );
        }
        Ok(models)
    }

    /// Returns the limits on waiting for one of a user's own chats to end.
    pub fn slot_bounds(&self) -> SlotBounds {
        SlotBounds {
            waiting: usize::try_from(self.upstream_waiting).unwrap_or(usize::MAX),
            patience: Duration::from_secs(self.upstream_patience),
        }
    }

    /// Returns the limits of answers. If the default is above the bound, the bound holds.
    pub fn answer_limits(&self) -> AnswerLimits {
        let most = self.upstream_max_output;
        AnswerLimits { default: self.upstream_default_output.min(most), most }
    }

    /// Returns the key from its file, or otherwise the one that was given itself.
    fn key(&self) -> Result<Option<UpstreamKey>, String> {
        let text = match &self.upstream_key_file {
            Some(file) => Some(read_secret("--upstream-key-file", "the upstream's API key", file)?),
            None => self.upstream_key.clone(),
        };
        let text = text.filter(|text| !text.expose().trim().is_empty());
        text.map(|text| UpstreamKey::parse(text.expose())).transpose()
    }
}
