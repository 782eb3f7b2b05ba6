//! xAI.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"a3d1008e-4544-40d4-d075-11527e794e4a","object":"chat.completion.chunk","created":1764152777,"model":"grok-4","system_fingerprint":"fp_3a7881249c""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "xai_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"reasoning_content":"Thinking... ","role":"assistant"}}]
~"choices":[{"index":0,"delta":{"content":"Hello","role":"assistant"}}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":41,"prompt_tokens_details":{"text_tokens":32,"audio_tokens":0,"image_tokens":0,"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0},"num_sources_used":0}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello", "reasoning_content": "Thinking... " }), "stop")
                .usage(32, 9)
                .details(json!({ "prompt_tokens_details": { "cached_tokens": 6 } })),
        ),
        Row::new(
            "xai_reasoning_beside_the_completion",
            events(
                r#"
~"choices":[{"index":0,"delta":{"content":"4","role":"assistant"}}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":32,"completion_tokens":9,"total_tokens":135,"prompt_tokens_details":{"cached_tokens":6},"completion_tokens_details":{"reasoning_tokens":94}}
[DONE]
"#,
            ),
            text("4")
                .usage(32, 103)
                .details(json!({ "completion_tokens_details": { "reasoning_tokens": 94 } })),
        ),
        Row::new(
            "xai_reasoning_without_a_total",
            events(
                r#"
~"choices":[{"index":0,"delta":{"content":"4","role":"assistant"}}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":32,"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":94}}
[DONE]
"#,
            ),
            text("4").usage(32, 103),
        ),
        Row::new(
            "xai_error_is_a_string",
            Recording::json(
                400,
                r#"{"code":"Client specified an invalid argument","error":"Model grok-4 does not support parameter presencePenalty."}"#,
            ),
            failed("request_rejected").param_if_any("presence_penalty"),
        )
        .asked(json!({ "presence_penalty": 1 })),
        Row::new(
            "xai_context_length",
            Recording::json(
                400,
                r#"{"code":"Client specified an invalid argument","error":"This model's maximum prompt length is 131072 but the request contains 140000 tokens."}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "xai_input_too_large",
            Recording::json(
                400,
                r#"{"code":"Client specified an invalid argument","error":"Failed to start sampling: [input_too_large] Current message (1149677 tokens) exceeds budget (975424 tokens)"}"#,
            ),
            failed("context_too_long"),
        ),
    ]
}
