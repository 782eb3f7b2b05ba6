//! Ollama, and LM Studio.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"chatcmpl-693","object":"chat.completion.chunk","created":1715427619,"model":"qwen3:4b","system_fingerprint":"fp_ollama""#;

const LM_STUDIO: &str = r#""id":"chatcmpl-1o4uhb9mcnk9xf5l8v4k1","object":"chat.completion.chunk","created":1753400193,"model":"gemma-4-12b-it-qat","system_fingerprint":"gemma-4-12b-it-qat""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [ollama(), lm_studio()].concat()
}

fn ollama() -> Vec<Row> {
    vec![
        Row::new(
            "ollama_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"!"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":26,"completion_tokens":10,"total_tokens":36}
[DONE]
"#,
            ),
            text("Hello!").usage(26, 10),
        ),
        Row::new(
            "ollama_empty_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":" Hello"},"finish_reason":""}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":" there"},"finish_reason":""}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]
[DONE]
"#,
            ),
            text(" Hello there"),
        ),
        Row::new(
            "ollama_tool_calls_all_at_index_0",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_dk3j1fxq","index":0,"type":"function","function":{"name":"get_weather","arguments":"{\"city\":\"Paris\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","tool_calls":[{"id":"call_x02ns1pz","index":0,"type":"function","function":{"name":"get_time","arguments":"{}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"tool_calls"}]
~"choices":[],"usage":{"prompt_tokens":180,"completion_tokens":40,"total_tokens":220}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "call_dk3j1fxq", "function": { "name": "get_weather", "arguments": "{\"city\":\"Paris\"}" } },
                    { "id": "call_x02ns1pz", "function": { "name": "get_time", "arguments": "{}" } },
                ] }),
                "tool_calls",
            )
            .usage(180, 40),
        ),
        Row::new(
            "ollama_reasoning",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"They"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":" greet"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":26,"completion_tokens":60,"total_tokens":86}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello", "reasoning": "They greet" }), "stop").usage(26, 60),
        ),
        Row::new(
            "ollama_no_such_model",
            Recording::json(
                404,
                r#"{"error":{"message":"model \"qwen3:4b\" not found, try pulling it first","type":"api_error","param":null,"code":null}}"#,
            ),
            failed("model_unavailable"),
        )
        .called(1),
    ]
}

fn lm_studio() -> Vec<Row> {
    vec![
        Row::new(
            "lm_studio_stream",
            Recording::events(
                LM_STUDIO,
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"logprobs":null,"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"!"},"logprobs":null,"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":14,"completion_tokens":3,"total_tokens":17},"stats":{}
[DONE]
"#,
            ),
            text("Hello!").usage(14, 3),
        ),
        Row::new(
            "lm_studio_context_length_as_an_event",
            Recording::events(
                LM_STUDIO,
                r#"
event: error
{"error":{"message":"Trying to keep the first 10136 tokens when context the overflows. However, the model is loaded with context length of only 7866 tokens, which is not enough. Try to load the model with a larger context length, or provide a shorter input"},"message":"Trying to keep the first 10136 tokens when context the overflows."}
"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "lm_studio_tokens_to_keep",
            Recording::events(
                LM_STUDIO,
                r#"
event: error
{"error":{"message":"The number of tokens to keep from the initial prompt is greater than the context length. Try to load the model with a larger context length, or provide a shorter input"}}
"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "lm_studio_nothing_where_the_context_is_too_short",
            Recording::events(
                LM_STUDIO,
                r#"
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":36000,"completion_tokens":0,"total_tokens":36000}
[DONE]
"#,
            ),
            failed("empty_answer").settled(36000),
        ),
        Row::new(
            "lm_studio_error_is_a_string",
            Recording::json(400, r#"{"error":"'response_format.type' must be 'json_schema' or 'text'"}"#),
            failed("request_rejected").param_if_any("response_format"),
        )
        .asked(json!({ "response_format": { "type": "json_object" } })),
    ]
}
