//! Gemini's endpoint for clients of OpenAI.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""created":1744036834,"id":"4qgqaPXNN7mYmtkP8aG2iAM","model":"gemini-2.5-flash","object":"chat.completion.chunk""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [answers(), failures()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "gemini_stream",
            events(
                r#"
~"choices":[{"delta":{"content":"Hello","role":"assistant"},"index":0}],"usage":{"completion_tokens":1,"prompt_tokens":4,"total_tokens":5}
~"choices":[{"delta":{"content":" there","role":"assistant"},"index":0}],"usage":{"completion_tokens":2,"prompt_tokens":4,"total_tokens":6}
~"choices":[{"delta":{"content":"!","role":"assistant"},"finish_reason":"stop","index":0}],"usage":{"completion_tokens":3,"prompt_tokens":4,"total_tokens":7}
[DONE]
"#,
            ),
            text("Hello there!").usage(4, 3),
        ),
        Row::new(
            "gemini_thoughts_beside_the_completion",
            events(
                r#"
~"choices":[{"delta":{"content":"Four","role":"assistant"},"finish_reason":"stop","index":0}],"usage":{"completion_tokens":7,"prompt_tokens":20,"total_tokens":127}
[DONE]
"#,
            ),
            text("Four").usage(20, 107),
        ),
        Row::new(
            "gemini_tool_calls_without_index",
            events(
                r#"
~"choices":[{"delta":{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"EjQKMgEMOdbH"}},"function":{"arguments":"{\"city\":\"Paris\"}","name":"get_weather"},"id":"jm4owj31","type":"function"},{"function":{"arguments":"{\"city\":\"Rome\"}","name":"get_weather"},"id":"x8s0d2kq","type":"function"}]},"finish_reason":"tool_calls","index":0}],"usage":{"completion_tokens":20,"prompt_tokens":60,"total_tokens":80}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "jm4owj31", "function": { "name": "get_weather", "arguments": "{\"city\":\"Paris\"}" },
                      "extra_content": { "google": { "thought_signature": "EjQKMgEMOdbH" } } },
                    { "id": "x8s0d2kq", "function": { "name": "get_weather", "arguments": "{\"city\":\"Rome\"}" } },
                ] }),
                "tool_calls",
            )
            .usage(60, 20),
        ),
        Row::new(
            "gemini_tool_calls_all_at_index_0",
            events(
                r#"
~"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"city\":\"Paris\"}","name":"get_weather"},"id":"jm4owj31","index":0,"type":"function"}]},"index":0}]
~"choices":[{"delta":{"role":"assistant","tool_calls":[{"function":{"arguments":"{\"city\":\"Rome\"}","name":"get_weather"},"id":"x8s0d2kq","index":0,"type":"function"}]},"index":0}]
~"choices":[{"delta":{"role":"assistant"},"finish_reason":"stop","index":0}],"usage":{"completion_tokens":20,"prompt_tokens":60,"total_tokens":80}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "jm4owj31", "function": { "name": "get_weather", "arguments": "{\"city\":\"Paris\"}" } },
                    { "id": "x8s0d2kq", "function": { "name": "get_weather", "arguments": "{\"city\":\"Rome\"}" } },
                ] }),
                "stop",
            )
            .usage(60, 20),
        ),
        Row::new(
            "gemini_signature_in_each_part",
            events(
                r#"
~"choices":[{"delta":{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"EjQKMgEMOdbH"}},"function":{"arguments":"{\"city\":","name":"get_weather"},"id":"jm4owj31","index":0,"type":"function"}]},"index":0}]
~"choices":[{"delta":{"role":"assistant","tool_calls":[{"extra_content":{"google":{"thought_signature":"EjQKMgEMOdbH"}},"function":{"arguments":"\"Paris\"}","name":"get_weather"},"id":"jm4owj31","index":0,"type":"function"}]},"index":0}]
~"choices":[{"delta":{"role":"assistant"},"finish_reason":"tool_calls","index":0}],"usage":{"completion_tokens":20,"prompt_tokens":60,"total_tokens":80}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "jm4owj31", "function": { "name": "get_weather", "arguments": "{\"city\":\"Paris\"}" },
                      "extra_content": { "google": { "thought_signature": "EjQKMgEMOdbH" } } },
                ] }),
                "tool_calls",
            )
            .usage(60, 20),
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        Row::new(
            "gemini_error_in_a_list",
            Recording::json(
                400,
                r#"[{"error":{"code":400,"message":"Invalid JSON payload received. Unknown name \"parallel_tool_calls\": Cannot find field.","status":"INVALID_ARGUMENT","details":[{"@type":"type.googleapis.com/google.rpc.BadRequest","fieldViolations":[{"description":"Invalid JSON payload received. Unknown name \"parallel_tool_calls\": Cannot find field."}]}]}}]"#,
            ),
            failed("request_rejected").param_if_any("parallel_tool_calls"),
        )
        .asked(json!({ "parallel_tool_calls": true })),
        Row::new(
            "gemini_context_length",
            Recording::json(
                400,
                r#"[{"error":{"code":400,"message":"The input token count (1200000) exceeds the maximum number of tokens allowed (1048576).","status":"INVALID_ARGUMENT"}}]"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "gemini_wrong_key",
            Recording::json(
                403,
                r#"[{"error":{"code":403,"message":"Method doesn't allow unregistered callers (callers without established identity). Please use API Key or other form of API consumer identity to call this API.","status":"PERMISSION_DENIED"}}]"#,
            ),
            failed("key_rejected"),
        )
        .called(1),
    ]
}
