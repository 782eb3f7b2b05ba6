//! llama.cpp.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""created":1762355135,"id":"chatcmpl-Q7tAzvNlMSXy0dhL","model":"smollm2-135m","system_fingerprint":"b6900-c22473b58","object":"chat.completion.chunk""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "llama_cpp_stream",
            events(
                r#"
~"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]
~"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hello"}}]
:
~"choices":[{"finish_reason":null,"index":0,"delta":{"content":"!"}}]
~"choices":[{"finish_reason":"stop","index":0,"delta":{}}]
~"choices":[],"usage":{"completion_tokens":60,"prompt_tokens":37,"total_tokens":97,"prompt_tokens_details":{"cached_tokens":31}},"timings":{"cache_n":31,"prompt_n":6,"prompt_ms":20.5,"predicted_n":60,"predicted_ms":510.1}
[DONE]
"#,
            ),
            text("Hello!").usage(37, 60).details(json!({ "prompt_tokens_details": { "cached_tokens": 31 } })),
        ),
        Row::new(
            "llama_cpp_timings_without_usage",
            events(
                r#"
~"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]
~"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hello"}}]
~"choices":[{"finish_reason":"stop","index":0,"delta":{}}],"timings":{"cache_n":31,"prompt_n":6,"prompt_ms":20.5,"predicted_n":60,"predicted_ms":510.1}
[DONE]
"#,
            ),
            text("Hello").usage(37, 60),
        ),
        Row::new(
            "llama_cpp_reasoning",
            events(
                r#"
~"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]
~"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":"They"}}]
~"choices":[{"finish_reason":null,"index":0,"delta":{"reasoning_content":" greet"}}]
~"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Hello"}}]
~"choices":[{"finish_reason":"stop","index":0,"delta":{}}]
~"choices":[],"usage":{"completion_tokens":60,"prompt_tokens":37,"total_tokens":97}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello", "reasoning_content": "They greet" }), "stop").usage(37, 60),
        ),
        Row::new(
            "llama_cpp_error_in_the_stream",
            events(
                r#"
~"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":null}}]
~"choices":[{"finish_reason":null,"index":0,"delta":{"content":"Half of"}}]
{"error":{"code":500,"message":"Context size has been exceeded.","type":"server_error"}}
"#,
            ),
            failed("context_too_long").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "llama_cpp_error_field",
            Recording::stream(
                br#"data: {"choices":[{"finish_reason":null,"index":0,"delta":{"role":"assistant","content":"Half of"}}]}

error: {"code":500,"message":"Internal error","type":"server_error"}

"#,
            ),
            failed("cut_short").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "llama_cpp_context_length",
            Recording::json(
                400,
                r#"{"error":{"code":400,"message":"request (4390 tokens) exceeds the available context size (4096 tokens), try increasing it","type":"exceed_context_size_error","n_prompt_tokens":4390,"n_ctx":4096}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "llama_cpp_context_length_in_a_200",
            Recording::json(
                200,
                r#"{"error":{"code":400,"message":"the request exceeds the available context size. try increasing the context size or enable context shift","type":"exceed_context_size_error","n_prompt_tokens":14429,"n_ctx":8192}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "llama_cpp_wrong_key",
            Recording::json(
                401,
                r#"{"error":{"code":401,"message":"Invalid API Key","type":"authentication_error"}}"#,
            ),
            failed("key_rejected"),
        )
        .called(1),
    ]
}
