//! Mistral.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"c3c77283055240cbbaf6f01d384cfccb","object":"chat.completion.chunk","created":1762355135,"model":"mistral-medium-2508""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [answers(), failures()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "mistral_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"p":"abcdefghijklmnopqrstuvwxyz01234"
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"p":"abcdefgh"
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2,"num_cached_tokens":0},"p":"abc"
[DONE]
"#,
            ),
            text("Hello").usage(4, 2),
        ),
        Row::new(
            "mistral_role_null",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":null,"content":"Hel","tool_calls":null},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":null,"content":"lo","tool_calls":null},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":null,"content":"","tool_calls":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":14,"total_tokens":16,"completion_tokens":2}
[DONE]
"#,
            ),
            text("Hello").usage(14, 2),
        ),
        Row::new(
            "mistral_thinking_parts",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":"They"}]}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[{"type":"thinking","thinking":[{"type":"text","text":" greet"}]}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[{"type":"thinking","closed":true,"thinking":[]}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"Hel"}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":5,"total_tokens":45,"completion_tokens":40}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello", "reasoning_content": "They greet" }), "stop").usage(5, 40),
        ),
        Row::new(
            "mistral_thinking_whole",
            Recording::json(
                200,
                r#"{"id":"d8c5","object":"chat.completion","created":1762355135,"model":"magistral-medium-2509","choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","tool_calls":null,"content":[{"type":"thinking","thinking":[{"type":"text","text":"They greet"}]},{"type":"text","text":"Hello"}]}}],"usage":{"prompt_tokens":5,"total_tokens":45,"completion_tokens":40}}"#,
            ),
            message(json!({ "content": "Hello", "reasoning_content": "They greet" }), "stop").usage(5, 40),
        ),
        Row::new(
            "mistral_tool_call_in_one_chunk",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"","tool_calls":[{"id":"D681PevKs","function":{"name":"get_weather","arguments":"{\"city\": \"Paris\"}"},"index":0},{"id":"b7NqSAvlY","function":{"name":"get_weather","arguments":"{\"city\": \"Rome\"}"},"index":1}]},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":94,"total_tokens":121,"completion_tokens":27}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "D681PevKs", "function": { "name": "get_weather", "arguments": "{\"city\": \"Paris\"}" } },
                    { "id": "b7NqSAvlY", "function": { "name": "get_weather", "arguments": "{\"city\": \"Rome\"}" } },
                ] }),
                "tool_calls",
            )
            .usage(94, 27),
        ),
        Row::new(
            "mistral_model_length",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Once upon"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"model_length"}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}
[DONE]
"#,
            ),
            message(json!({ "content": "Once upon" }), "length").usage(4, 2),
        ),
        Row::new(
            "mistral_rejects_stream_options",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}
[DONE]
"#,
            ),
            text("Hello").usage(4, 2),
        )
        .after_rejecting(
            "stream_options",
            Recording::json(
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","stream_options","include_usage"],"msg":"Extra inputs are not permitted","input":true,"url":"https://errors.pydantic.dev/2.10/v/extra_forbidden"}]},"type":"invalid_request_error","param":null,"code":null}"#,
            ),
        ),
        Row::new(
            "mistral_rejects_max_completion_tokens",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}
[DONE]
"#,
            ),
            text("Hello").usage(4, 2),
        )
        .flags(&["--upstream-limit-field", "max_completion_tokens"])
        .after_rejecting(
            "max_completion_tokens",
            Recording::json(
                422,
                r#"{"object":"error","message":{"detail":[{"type":"extra_forbidden","loc":["body","max_completion_tokens"],"msg":"Extra inputs are not permitted","input":32000}]},"type":"invalid_request_error","param":null,"code":null}"#,
            ),
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        Row::new(
            "mistral_finish_reason_error",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error"}],"usage":{"prompt_tokens":4,"total_tokens":6,"completion_tokens":2}
[DONE]
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "mistral_context_length",
            Recording::json(
                400,
                r#"{"object":"error","message":"Prompt contains 40012 tokens and 0 draft tokens, too large for model with 32768 maximum context length","type":"invalid_request_error","param":null,"code":"3051"}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "mistral_rejects_the_order_of_roles",
            Recording::json(
                400,
                r#"{"object":"error","message":"Expected last role User or Tool (or Assistant with prefix True) for serving but got assistant","type":"invalid_request_message_order","param":null,"code":"3230"}"#,
            ),
            failed("request_rejected"),
        ),
    ]
}
