//! Paths that this server does not have but clients of language models ask for: with a base URL
//! without its `/v1` or with two of them, or for something that is not on offer. The log names
//! them, and errors tell such a client what to change.

/// The paths of the OpenAI protocol and of servers that extend it, without the prefix of the base
/// URL.
const OPENAI: [&str; 34] = [
    "assistants",
    "audio/speech",
    "audio/transcriptions",
    "audio/translations",
    "batches",
    "chat/completions",
    "completions",
    "containers",
    "deployments",
    "detokenize",
    "edits",
    "embeddings",
    "engines",
    "evals",
    "files",
    "fine_tuning/jobs",
    "images/edits",
    "images/generations",
    "images/variations",
    "messages",
    "messages/count_tokens",
    "model/info",
    "models",
    "moderations",
    "organization",
    "realtime",
    "rerank",
    "responses",
    "score",
    "threads",
    "tokenize",
    "uploads",
    "vector_stores",
    "videos",
];

/// The paths of Ollama, LM Studio and llama.cpp, which have protocols of their own.
const OTHERS: [&str; 17] = [
    "api/chat",
    "api/embed",
    "api/embeddings",
    "api/generate",
    "api/ps",
    "api/pull",
    "api/show",
    "api/tags",
    "api/v0/chat/completions",
    "api/v0/embeddings",
    "api/v0/models",
    "api/version",
    "completion",
    "embedding",
    "infill",
    "props",
    "slots",
];

/// Paths of the OpenAI protocol that this server does not have, although a pattern of its routes
/// fits them.
pub const NOT_THERE: [&str; 1] = ["/v1/responses/compact"];

/// The segments that a base URL may end in.
const PREFIXES: [&str; 4] = ["v1", "api", "openai", "v1beta"];
/// The most such segments.
const MOST_PREFIXES: usize = 3;

/// A path that this server does not have, but whose name is known.
#[derive(Debug, PartialEq, Eq)]
pub struct KnownPath {
    /// Its name, made of fixed texts only. What follows a known part is left out.
    pub name: String,
    /// Whether it belongs to the OpenAI protocol.
    pub is_openai: bool,
}

impl KnownPath {
    /// Recognises a path. `None` if its name is not in the lists.
    pub fn of(path: &str) -> Option<KnownPath> {
        // A base URL with a slash at its end often leads to two of them.
        let segments: Vec<&str> = path.split('/').filter(|segment| !segment.is_empty()).take(8).collect();
        if let Some(name) = find(&OTHERS, &segments) {
            return Some(KnownPath { name, is_openai: false });
        }
        let fixed = segments.iter().map_while(|segment| PREFIXES.iter().find(|prefix| *prefix == segment));
        let prefixes: Vec<&str> = fixed.take(MOST_PREFIXES).copied().collect();
        let name = find(&OPENAI, &segments[prefixes.len()..])?;
        let prefix: String = prefixes.iter().flat_map(|prefix| ["/", *prefix]).collect();
        Some(KnownPath { name: prefix + &name, is_openai: true })
    }
}

/// Returns the longest of these paths with which the segments begin.
fn find(paths: &[&str], segments: &[&str]) -> Option<String> {
    let begins = |path: &&&str| {
        let mut own = segments.iter();
        path.split('/').all(|segment| own.next() == Some(&segment))
    };
    let path = paths.iter().filter(begins).max_by_key(|path| path.len())?;
    let more = if path.split('/').count() < segments.len() { "/…" } else { "" };
    Some(format!("/{path}{more}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_known_path_is_named_by_fixed_texts_only() {
        for (path, name, is_openai) in [
            ("/v1/audio/speech", "/v1/audio/speech", true),
            ("/v1/embeddings/", "/v1/embeddings", true),
            ("/chat/completions", "/chat/completions", true),
            ("/v1/v1/chat/completions", "/v1/v1/chat/completions", true),
            ("//v1//chat/completions", "/v1/chat/completions", true),
            ("/api/v1/models", "/api/v1/models", true),
            ("/models/my-secret", "/models/…", true),
            ("/v1/messages/count_tokens", "/v1/messages/count_tokens", true),
            ("/v1/files/a/b/c/d/e/f/g/h/i/j", "/v1/files/…", true),
            ("/openai/deployments/my-secret/chat/completions", "/openai/deployments/…", true),
            ("/api/chat", "/api/chat", false),
            ("/api/embeddings", "/api/embeddings", false),
        ] {
            let known = KnownPath { name: name.to_owned(), is_openai };
            assert_eq!(KnownPath::of(path), Some(known), "{path}");
        }
    }

    #[test]
    fn other_paths_are_not_known() {
        for path in [
            "",
            "/",
            "/v1",
            "/v1/nothing",
            "/v1/v1/v1/v1/models",
            "/Models",
            "/chat/1",
            "/audio",
            "/modelsx",
            "/tg_0123456789abcdefghij",
            "/my-secret/models",
            "/api/my-secret",
        ] {
            assert_eq!(KnownPath::of(path), None, "{path}");
        }
    }
}
