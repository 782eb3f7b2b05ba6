//! What an upstream says about a request that it rejects. Its words are used to classify the error,
//! and never shown, stored or logged, because they may repeat the prompt.

use reqwest::StatusCode;

use super::fault::OperatorFault;
use crate::responder::Failure;

/// An upstream's error.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Complaint {
    /// The codes and types, in lower case.
    pub(super) codes: Vec<String>,
    /// The field of the protocol that is at fault, if the upstream names one.
    pub(super) field: Option<&'static str>,
    /// The message, in lower case. Never shown.
    pub(super) words: String,
}

/// Codes and types of errors that mean that the conversation is too long.
const TOO_LONG_CODES: [&str; 6] = [
    "context_length_exceeded",
    "exceed_context_size_error",
    "context_window_exceeded",
    "string_above_max_length",
    "prompt_too_long",
    "request_too_large",
];

/// Words that upstreams use for it.
const TOO_LONG_WORDS: [&str; 21] = [
    "context length",
    "context_length",
    "context window",
    "context size",
    "maximum context",
    "exceeds the context",
    "exceed context",
    "context the overflows",
    "context overflow",
    "prompt is too long",
    "prompt too long",
    "input is too long",
    "input too long",
    "longer than the model",
    "maximum prompt length",
    "maximum allowed input length",
    "range of input length",
    "model token limit",
    "maximum model length",
    "exceeds the maximum number of tokens",
    "too many tokens",
];

/// Words that mean that a number of tokens is too large.
const TOO_MUCH: [&str; 8] = [
    "exceed",
    "too long",
    "too large",
    "longer than",
    "greater than",
    "must be <=",
    "must have less",
    "at most",
];

/// Words that mean that a field is unknown or not supported.
const UNKNOWN_FIELD_WORDS: [&str; 7] =
    ["unsupported", "not supported", "unrecognized", "unknown", "extra", "not permitted", "unexpected"];

/// Codes of errors that mean that there is no such model.
const NO_MODEL_CODES: [&str; 5] =
    ["model_not_found", "invalid_model", "model_not_available", "unknown_model", "deploymentnotfound"];

/// Words that mean that there is no such endpoint, or not for this model.
const NO_ENDPOINT_WORDS: [&str; 11] = [
    "v1/completions",
    "v1/embeddings",
    "completions api",
    "embeddings api",
    "completion operation does not work",
    "embeddings operation does not work",
    "generate embeddings",
    "not support embedding",
    "not support completion",
    "not support generate",
    "unknown request url",
];

/// Codes of errors that mean the same.
const NO_ENDPOINT_CODES: [&str; 3] = ["unknown_url", "operationnotsupported", "not_supported_error"];

/// What servers say of a path that they do not have, and nothing else. A longer page may be from a
/// gateway in trouble.
const MISSING_PATH: [&str; 9] = [
    "",
    "not found",
    "404 not found",
    "404 page not found",
    "page not found",
    "file not found",
    "method not allowed",
    "405 method not allowed",
    "not implemented",
];

/// Codes of errors that mean that the operator has no credit left.
const NO_CREDIT_CODES: [&str; 5] = [
    "insufficient_quota",
    "billing_hard_limit_reached",
    "billing_not_active",
    "credit_balance_exhausted",
    "insufficient_balance",
];

/// Other codes and types that upstreams use, for the log.
const KNOWN_CODES: [&str; 39] = [
    "invalid_value",
    "invalid_type",
    "invalid_request",
    "invalid_request_error",
    "invalid_parameter",
    "invalid_json",
    "invalid_image",
    "invalid_image_url",
    "invalid_function_parameters",
    "invalid_argument",
    "invalid_api_key",
    "missing_required_parameter",
    "unknown_parameter",
    "unsupported_parameter",
    "unsupported_value",
    "unsupported_country_region_territory",
    "unsupported_model",
    "integer_above_max_value",
    "integer_below_min_value",
    "extra_forbidden",
    "missing",
    "value_error",
    "json_invalid",
    "badrequesterror",
    "unprocessableentityerror",
    "authentication_error",
    "permission_error",
    "permission_denied",
    "not_found_error",
    "rate_limit_error",
    "rate_limit_exceeded",
    "server_error",
    "internal_server_error",
    "overloaded_error",
    "unavailable_error",
    "api_error",
    "unknown_url",
    "operationnotsupported",
    "not_supported_error",
];

/// Parts of codes that mean that a filter rejected what the user sent.
const FILTER_CODES: [&str; 5] = ["content_policy", "content_filter", "moderation", "safety", "flagged"];

impl Complaint {
    /// Returns the code for the log: one that this server knows, because any other text may be from
    /// the prompt.
    pub(super) fn code(&self) -> &'static str {
        let lists: [&[&str]; 4] = [&KNOWN_CODES, &TOO_LONG_CODES, &NO_MODEL_CODES, &NO_CREDIT_CODES];
        let known = |code: &String| lists.into_iter().flatten().find(|known| *known == code).copied();
        let has_some = !self.codes.is_empty();
        self.codes.iter().find_map(known).unwrap_or(if has_some { "other" } else { "none" })
    }

    /// Returns whether the upstream says that the conversation is too long for the model.
    pub(super) fn is_too_long(&self) -> bool {
        let is_rate = self.has_code(&["rate_limit_exceeded"]);
        !is_rate
            && (self.has_code(&TOO_LONG_CODES)
                || self.mentions_any(&TOO_LONG_WORDS)
                || self.counts_too_much())
    }

    /// Returns whether the message says in any words that the tokens of the prompt are too many.
    fn counts_too_much(&self) -> bool {
        self.mentions("token")
            && self.mentions_any(&["prompt", "input", "conversation"])
            && self.mentions_any(&TOO_MUCH)
            && !self.mentions_any(&["per min", "per day", "rate limit", "quota"])
    }

    fn mentions_any(&self, words: &[&str]) -> bool {
        words.iter().any(|words| self.mentions(words))
    }

    /// Returns whether the message contains this text, which is in lower case.
    pub(super) fn mentions(&self, text: &str) -> bool {
        self.words.contains(text)
    }

    fn has_code(&self, codes: &[&str]) -> bool {
        self.codes.iter().any(|code| codes.contains(&code.as_str()))
    }

    fn has_code_with(&self, parts: &[&str]) -> bool {
        self.codes.iter().any(|code| parts.iter().any(|part| code.contains(part)))
    }

    /// Returns whether the message says that a field is unknown or not supported, and not that its
    /// value is wrong.
    pub(super) fn is_about_an_unknown_field(&self) -> bool {
        self.mentions_any(&UNKNOWN_FIELD_WORDS)
    }

    /// Returns whether the upstream says that it has no such endpoint, or not for this model.
    fn names_endpoint(&self) -> bool {
        self.has_code(&NO_ENDPOINT_CODES) || self.mentions_any(&NO_ENDPOINT_WORDS)
    }

    /// Returns whether an endpoint that was found missing will also be missing for the next
    /// request: the upstream says so, or answers as servers do that lack the path.
    pub(super) fn is_about_the_path(&self) -> bool {
        let words = self.words.trim().trim_end_matches(['.', '!']);
        self.names_endpoint() || (!self.is_about_the_model() && MISSING_PATH.contains(&words))
    }

    /// Returns whether there is no endpoint for completions or embeddings, or not for this model.
    pub(super) fn lacks_endpoint(&self, status: StatusCode) -> bool {
        let says_so = self.names_endpoint();
        match status.as_u16() {
            405 | 501 => true,
            404 => says_so || !self.is_about_the_model(),
            400 | 403 | 422 | 500 => says_so,
            _ => false,
        }
    }

    /// Returns whether the upstream says that it has no such model.
    fn is_about_the_model(&self) -> bool {
        let is_missing = ["not found", "not exist", "no such", "unknown", "not available", "no access"];
        self.field == Some("model")
            || self.has_code(&NO_MODEL_CODES)
            || (self.mentions("model") && self.mentions_any(&is_missing))
    }

    /// Returns the failure that a status and its error mean.
    pub(super) fn failure(&self, status: StatusCode) -> Failure {
        match status.as_u16() {
            413 => Failure::ContextTooLong,
            400 | 404 | 422 | 500 if self.is_too_long() => Failure::ContextTooLong,
            400 | 403 | 451 if self.has_code_with(&FILTER_CODES) => Failure::RequestRejected(self.field),
            401 | 403 => Failure::KeyRejected,
            429 if self.has_code(&NO_CREDIT_CODES) => Failure::ModelUnavailable,
            429 | 498 => Failure::RateLimited,
            // A gateway's trouble, not the request's.
            408 | 409 | 424 | 425 | 499 => Failure::ServerError,
            // No credit, no such model or address: other requests would fail too.
            402 | 404 | 405 | 410 => Failure::ModelUnavailable,
            400 | 422 if self.has_code(&NO_MODEL_CODES) => Failure::ModelUnavailable,
            400..=499 => match self.field.or_else(|| self.limit_in_words()) {
                Some("model") => Failure::ModelUnavailable,
                Some(field) if SET_BY_THE_SERVER.contains(&field) => Failure::SettingRejected(field),
                field => Failure::RequestRejected(field),
            },
            500..=599 => Failure::ServerError,
            _ => Failure::NotAnAnswer,
        }
    }

    /// Returns the limit on output if the message is about it. Only this server sets it.
    fn limit_in_words(&self) -> Option<&'static str> {
        ["max_completion_tokens", "max_tokens"].into_iter().find(|field| self.mentions(field))
    }

    /// Returns what only the operator can fix, if that is why a request failed.
    pub(super) fn operator_fault(&self, status: StatusCode, failure: Failure) -> Option<OperatorFault> {
        match failure {
            Failure::KeyRejected => Some(OperatorFault::KeyRejected),
            Failure::ModelUnavailable
                if status == StatusCode::PAYMENT_REQUIRED || self.has_code(&NO_CREDIT_CODES) =>
            {
                Some(OperatorFault::NoCredit)
            }
            Failure::ModelUnavailable => Some(OperatorFault::ModelUnavailable),
            Failure::SettingRejected("stream") => Some(OperatorFault::StreamRejected),
            Failure::SettingRejected("stream_options") => Some(OperatorFault::StreamOptionsRejected),
            Failure::SettingRejected(field) => Some(OperatorFault::FieldRejected(field)),
            _ => None,
        }
    }

    /// Returns the failure that an error during an answer means.
    pub(super) fn failure_in_answer(&self) -> Failure {
        if self.is_too_long() { Failure::ContextTooLong } else { Failure::ErrorInAnswer }
    }
}

/// Fields that this server sets, whatever the client sends.
const SET_BY_THE_SERVER: [&str; 4] = ["stream", "stream_options", "max_tokens", "max_completion_tokens"];

#[cfg(test)]
mod tests {
    use super::*;

    fn failure(status: u16, complaint: &Complaint) -> Failure {
        complaint.failure(StatusCode::from_u16(status).unwrap())
    }

    #[test]
    fn each_status_has_its_failure() {
        let failure = |status| failure(status, &Complaint::default());
        assert_eq!([401, 403].map(failure), [Failure::KeyRejected; 2]);
        assert_eq!([400, 415, 422].map(failure), [Failure::RequestRejected(None); 3]);
        assert_eq!([402, 404, 405, 410].map(failure), [Failure::ModelUnavailable; 4]);
        assert_eq!([413].map(failure), [Failure::ContextTooLong]);
        assert_eq!([429].map(failure), [Failure::RateLimited]);
        assert_eq!([500, 503, 529].map(failure), [Failure::ServerError; 3]);
        assert_eq!([200, 204, 301, 302, 308].map(failure), [Failure::NotAnAnswer; 5]);
    }

    #[test]
    fn a_code_decides_what_a_status_means() {
        let coded = |code: &str| Complaint { codes: vec![code.to_owned()], ..Complaint::default() };
        assert_eq!(failure(400, &coded("context_length_exceeded")), Failure::ContextTooLong);
        assert_eq!(failure(429, &coded("insufficient_quota")), Failure::ModelUnavailable);
        assert_eq!(failure(400, &coded("model_not_found")), Failure::ModelUnavailable);
        assert_eq!(failure(403, &coded("content_policy_violation")), Failure::RequestRejected(None));
        let about = |field| Complaint { field: Some(field), ..Complaint::default() };
        assert_eq!(failure(400, &about("temperature")), Failure::RequestRejected(Some("temperature")));
        assert_eq!(failure(400, &about("max_tokens")), Failure::SettingRejected("max_tokens"));
    }

    #[test]
    fn a_missing_endpoint_is_told_from_a_missing_model() {
        let lacks = |status: u16, field, code: &str, words: &str| {
            let codes = vec![code.to_owned()];
            let complaint = Complaint { codes, field, words: words.to_owned() };
            complaint.lacks_endpoint(StatusCode::from_u16(status).unwrap())
        };
        let chat_model = "this is a chat model and not supported in the v1/completions endpoint";
        let azure = "the completion operation does not work with the specified model, gpt-4o";
        for (status, field, code, words) in [
            (404, None, "", ""),
            (405, None, "", "method not allowed"),
            (501, None, "not_supported_error", "this server does not support embeddings"),
            (404, Some("model"), "invalid_request_error", chat_model),
            (404, None, "unknown_url", "unknown request url: post /openai/v1/completions"),
            (400, None, "operationnotsupported", azure),
            (400, None, "badrequesterror", "the model does not support embeddings api"),
            (403, None, "", "you are not allowed to generate embeddings from this model"),
        ] {
            assert!(lacks(status, field, code, words), "{status} {words}");
        }
        for (status, field, code, words) in [
            (404, Some("model"), "notfounderror", "the model `m` does not exist"),
            (404, None, "model_not_found", ""),
            (404, None, "not_found_error", "model \"m\" not found, try pulling it first"),
            (400, None, "badrequesterror", "temperature must be positive"),
            (403, None, "", "forbidden"),
            (500, None, "", "cuda error"),
            (429, None, "", "v1/completions: too many requests"),
        ] {
            assert!(!lacks(status, field, code, words), "{status} {words}");
        }
    }

    #[test]
    fn only_a_missing_path_is_missing_for_long() {
        let complaint = |code: &str, words: &str| Complaint {
            codes: vec![code.to_owned()],
            field: None,
            words: words.to_owned(),
        };
        for (code, words) in [
            ("", ""),
            ("", "404 page not found\n"),
            ("not_found_error", "file not found"),
            ("", "method not allowed."),
            ("unknown_url", "unknown request url: post /openai/v1/completions"),
            ("", "cannot post /v1/completions"),
        ] {
            assert!(complaint(code, words).is_about_the_path(), "{code} {words}");
        }
        for (code, words) in [
            ("model_not_found", ""),
            ("", "the model `m` does not exist"),
            ("", "<html><title>404 not found</title>"),
            ("", "no healthy upstream"),
        ] {
            assert!(!complaint(code, words).is_about_the_path(), "{code} {words}");
        }
    }

    #[test]
    fn only_known_codes_are_logged() {
        let codes = |codes: &[&str]| Complaint {
            codes: codes.iter().map(|code| (*code).to_owned()).collect(),
            ..Complaint::default()
        };
        assert_eq!(codes(&["my_secret_prompt", "invalid_value"]).code(), "invalid_value");
        assert_eq!(codes(&["my_secret_prompt"]).code(), "other");
        assert_eq!(codes(&[]).code(), "none");
    }
}
