//! The names of further fields of a request that a model accepts from clients.

use super::Invalid;

/// The most names.
const MOST: usize = 20;

/// The most bytes of a name.
const LENGTH: usize = 64;

/// Fields that the server sets itself, that make an answer or the call cost more than was held for
/// it, or that send the prompt elsewhere. In lower case: some upstreams ignore the case.
const FORBIDDEN: [&str; 58] = [
    // Set by the server, or read by it.
    "model",
    "messages",
    "input",
    "prompt",
    "n",
    "stream",
    "stream_options",
    "max_tokens",
    "max_completion_tokens",
    "max_output_tokens",
    "user",
    // Longer answers, or several.
    "n_predict",
    "num_predict",
    "max_new_tokens",
    "max_length",
    "max_gen_len",
    "max_tokens_to_sample",
    "min_tokens",
    "min_new_tokens",
    "min_length",
    "n_choices",
    "num_return_sequences",
    "num_generations",
    "best_of",
    "use_beam_search",
    "num_beams",
    "beam_width",
    "candidate_count",
    "candidatecount",
    "prompt_logprobs",
    "echo",
    "suffix",
    // Objects that may hold any of these.
    "options",
    "parameters",
    "sampling_params",
    "generation_config",
    "generationconfig",
    "extra_body",
    // Other prices.
    "store",
    "metadata",
    "background",
    "service_tier",
    "web_search_options",
    "prediction",
    "modalities",
    "audio",
    "plugins",
    "search_parameters",
    // Other models, other servers, other keys.
    "models",
    "route",
    "provider",
    "fallbacks",
    "api_base",
    "base_url",
    "api_key",
    "extra_headers",
    "extra_query",
    "mock_response",
];

/// A list of names, each once.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ExtraFields(Vec<String>);

impl ExtraFields {
    /// Parses a list that is separated by commas. `field` is the name that an error gets.
    ///
    /// # Errors
    ///
    /// Returns what is wrong with the list.
    pub fn parse(field: &'static str, text: &str) -> Result<ExtraFields, Invalid> {
        let mut names: Vec<String> = Vec::new();
        for name in text.split(',').map(str::trim).filter(|name| !name.is_empty()) {
            if !is_name(name) {
                let reason = "separate the names with commas; each has up to 64 letters, digits and \
                              underscores, and begins with none of the digits";
                return Err(Invalid::new(field, reason));
            }
            if FORBIDDEN.contains(&name.to_ascii_lowercase().as_str()) {
                let reason = format!(
                    "leave out {name}: the server sets it, or it could raise the cost of an answer or send \
                     the prompt elsewhere"
                );
                return Err(Invalid::new(field, reason));
            }
            if !names.iter().any(|known| known == name) {
                names.push(name.to_owned());
            }
        }
        if names.len() > MOST {
            return Err(Invalid::new(field, "give at most 20 names"));
        }
        Ok(ExtraFields(names))
    }
}

/// Shows the list as it is stored.
impl std::fmt::Display for ExtraFields {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0.join(", "))
    }
}

fn is_name(name: &str) -> bool {
    let is_wordy = name.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    is_wordy && name.len() <= LENGTH && !name.starts_with(|first: char| first.is_ascii_digit())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Result<String, Invalid> {
        ExtraFields::parse("extra_fields", text).map(|fields| fields.to_string())
    }

    #[test]
    fn names_are_trimmed_and_kept_once() {
        assert_eq!(
            parse(" ,chat_template_kwargs,_a1 , chat_template_kwargs,"),
            Ok("chat_template_kwargs, _a1".into())
        );
        assert_eq!(parse(""), Ok(String::new()));
        let most: Vec<_> = (0..MOST).map(|number| format!("a{number}")).collect();
        assert!(parse(&most.join(",")).is_ok());
        assert!(parse(&format!("{},b", most.join(","))).is_err());
        assert!(parse(&"x".repeat(LENGTH)).is_ok());
    }

    #[test]
    fn a_name_that_is_none_is_rejected() {
        for bad in ["1a", "a-b", "a b", "a.b", "ä", "\"a\"", &"x".repeat(LENGTH + 1)] {
            assert!(parse(&format!("a,{bad},c")).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn a_field_that_the_server_sets_is_rejected_in_any_case() {
        for name in FORBIDDEN {
            assert_eq!(name, name.to_ascii_lowercase());
            assert!(parse(name).is_err() && parse(&name.to_ascii_uppercase()).is_err(), "{name}");
        }
    }
}
