//! Together AI, and Fireworks AI.

use super::{Recording, Row, failed, message, text};
use serde_json::json;

const HEAD: &str = r#""id":"nzXbVPP-57nCBj-97ecb9bbcdc0d8b9","object":"chat.completion.chunk","created":1756920514,"model":"meta-llama/Llama-3.3-70B-Instruct-Turbo""#;

const FIREWORKS: &str = r#""id":"98d1cdb4-efb0-4a62-b4ec-6abaf128c596","object":"chat.completion.chunk","created":1722737449,"model":"accounts/fireworks/models/llama-v3p1-8b-instruct""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "together_stream",
            events(
                r#"
~"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":null,"delta":{"token_id":null,"role":"assistant","content":"","tool_calls":null}}],"usage":null
~"choices":[{"index":0,"text":"Hello","logprobs":null,"finish_reason":null,"delta":{"token_id":9906,"role":"assistant","content":"Hello","tool_calls":null}}],"usage":null
~"choices":[{"index":0,"text":"!","logprobs":null,"finish_reason":null,"delta":{"token_id":0,"role":"assistant","content":"!","tool_calls":null}}],"usage":null
~"choices":[{"index":0,"text":"","logprobs":null,"finish_reason":"stop","seed":12412,"delta":{"token_id":128009,"role":"assistant","content":"","tool_calls":null}}],"usage":{"prompt_tokens":17,"completion_tokens":3,"total_tokens":20,"cached_tokens":0}
[DONE]
"#,
            ),
            text("Hello!").usage(17, 3),
        ),
        Row::new(
            "together_finish_reason_eos",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"eos"}],"usage":{"prompt_tokens":17,"completion_tokens":2,"total_tokens":19}
[DONE]
"#,
            ),
            text("Hello").usage(17, 2),
        ),
        Row::new(
            "together_context_length",
            Recording::json(
                422,
                r#"{"id":"nzXbVPP-57nCBj","error":{"message":"Input validation error: `inputs` tokens + `max_new_tokens` must be <= 8193. Given: 9000 `inputs` tokens and 512 `max_new_tokens`","type":"invalid_request_error","param":null,"code":null}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "fireworks_stream",
            Recording::events(
                FIREWORKS,
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":11,"total_tokens":13,"completion_tokens":2}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello there" }), "length").usage(11, 2),
        ),
        Row::new(
            "fireworks_id_and_name_in_each_part",
            Recording::events(
                FIREWORKS,
                r#"
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"chatcmpl-tool-aa62","type":"function","function":{"name":"read_file","arguments":""},"name":null}]},"finish_reason":null,"raw_output":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"chatcmpl-tool-aa62","type":"function","function":{"name":"read_file","arguments":"{\"pa"},"name":null}]},"finish_reason":null,"raw_output":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"chatcmpl-tool-aa62","type":"function","function":{"name":"read_file","arguments":"th\":\"a\"}"},"name":null}]},"finish_reason":null,"raw_output":null}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}],"usage":{"prompt_tokens":110,"total_tokens":130,"completion_tokens":20}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [{ "id": "chatcmpl-tool-aa62",
                    "function": { "name": "read_file", "arguments": "{\"path\":\"a\"}" } }] }),
                "tool_calls",
            )
            .usage(110, 20),
        ),
        Row::new(
            "fireworks_context_length",
            Recording::json(
                400,
                r#"{"error":{"object":"error","type":"invalid_request_error","code":"invalid_request_error","message":"The prompt is too long: 51230, model maximum context length: 32767"}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "fireworks_no_such_model",
            Recording::json(
                404,
                r#"{"error":{"object":"error","type":"invalid_request_error","code":"invalid_request_error","message":"Model not found, inaccessible, and/or not deployed"}}"#,
            ),
            failed("model_unavailable"),
        )
        .called(1),
    ]
}
