//! OpenAI.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"chatcmpl-B9MHDbslfkBeAs8l4bebGdFOJ6PeG","object":"chat.completion.chunk","created":1741570283,"model":"gpt-4o-mini-2024-07-18","service_tier":"default","system_fingerprint":"fp_fc9f1d7035""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [answers(), failures()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "openai_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"4a7Q"
~"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"t"
~"choices":[{"index":0,"delta":{"content":" there"},"logprobs":null,"finish_reason":null}],"usage":null,"obfuscation":"yx2"
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null,"obfuscation":"aZ"
~"choices":[],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":3,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"obfuscation":""
[DONE]
"#,
            ),
            text("Hello there")
                .usage(19, 10)
                .details(json!({ "prompt_tokens_details": { "cached_tokens": 3 } })),
        ),
        Row::new(
            "openai_whole",
            Recording::json(
                200,
                r#"{"id":"chatcmpl-B9","object":"chat.completion","created":1741569952,"model":"gpt-4.1-2025-04-14","choices":[{"index":0,"message":{"role":"assistant","content":"Hello!","refusal":null,"annotations":[]},"logprobs":null,"finish_reason":"stop"}],"usage":{"prompt_tokens":19,"completion_tokens":10,"total_tokens":29,"prompt_tokens_details":{"cached_tokens":0,"audio_tokens":0},"completion_tokens_details":{"reasoning_tokens":0,"audio_tokens":0,"accepted_prediction_tokens":0,"rejected_prediction_tokens":0}},"service_tier":"default"}"#,
            ),
            text("Hello!").usage(19, 10),
        ),
        Row::new(
            "openai_parallel_tool_calls",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":null},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_DdmO9pD3","type":"function","function":{"name":"get_weather","arguments":""}}]},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"ci"}}]},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"ty\":\"Paris\"}"}}]},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"id":"call_9KzX1aBc","type":"function","function":{"name":"get_time","arguments":""}}]},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":1,"function":{"arguments":"{}"}}]},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"tool_calls"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":82,"completion_tokens":17,"total_tokens":99}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "call_DdmO9pD3", "function": { "name": "get_weather", "arguments": "{\"city\":\"Paris\"}" } },
                    { "id": "call_9KzX1aBc", "function": { "name": "get_time", "arguments": "{}" } },
                ] }),
                "tool_calls",
            )
            .usage(82, 17),
        ),
        Row::new(
            "openai_refusal",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":null,"refusal":""},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"refusal":"I'm sorry,"},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"refusal":" I cannot."},"logprobs":null,"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":79,"completion_tokens":11,"total_tokens":90}
[DONE]
"#,
            ),
            message(json!({ "refusal": "I'm sorry, I cannot." }), "stop").usage(79, 11),
        ),
        Row::new(
            "openai_reasoning_is_part_of_the_completion",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"4","refusal":null},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":13,"completion_tokens":103,"total_tokens":116,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":94}}
[DONE]
"#,
            ),
            text("4")
                .usage(13, 103)
                .details(json!({ "completion_tokens_details": { "reasoning_tokens": 94 } })),
        ),
        Row::new(
            "openai_limit_reached_by_reasoning",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","refusal":null},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":13,"completion_tokens":64,"total_tokens":77,"completion_tokens_details":{"reasoning_tokens":64}}
[DONE]
"#,
            ),
            message(json!({}), "length").usage(13, 64),
        ),
        Row::new(
            "openai_two_choices",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null
~"choices":[{"index":1,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"content":"Yes"},"finish_reason":null}],"usage":null
~"choices":[{"index":1,"delta":{"content":"No"},"finish_reason":null}],"usage":null
~"choices":[{"index":1,"delta":{"content":" way"},"finish_reason":null}],"usage":null
~"choices":[{"index":1,"delta":{},"finish_reason":"stop"}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":12,"completion_tokens":5,"total_tokens":17}
[DONE]
"#,
            ),
            message(json!({ "content": "Yes" }), "length").and(json!({ "content": "No way" }), "stop").usage(12, 5),
        )
        .asked(json!({ "n": 2 })),
        Row::new(
            "openai_needs_max_completion_tokens",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hi"},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}
[DONE]
"#,
            ),
            text("Hi").usage(7, 2),
        )
        .after_rejecting(
            "max_tokens",
            Recording::json(
                400,
                r#"{"error":{"message":"Unsupported parameter: 'max_tokens' is not supported with this model. Use 'max_completion_tokens' instead.","type":"invalid_request_error","param":"max_tokens","code":"unsupported_parameter"}}"#,
            ),
        ),
        Row::new(
            "openai_stream_not_allowed",
            Recording::json(
                200,
                r#"{"id":"chatcmpl-B9","object":"chat.completion","created":1741569952,"model":"o3","choices":[{"index":0,"message":{"role":"assistant","content":"Hi"},"finish_reason":"stop"}],"usage":{"prompt_tokens":7,"completion_tokens":2,"total_tokens":9}}"#,
            ),
            text("Hi").usage(7, 2),
        )
        .after_rejecting(
            "stream",
            Recording::json(
                400,
                r#"{"error":{"message":"Your organization must be verified to stream this model. Please go to: https://platform.openai.com/settings/organization/general and click on Verify Organization.","type":"invalid_request_error","param":"stream","code":"unsupported_value"}}"#,
            ),
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        Row::new(
            "openai_error_in_the_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{"content":"Half of"},"finish_reason":null}],"usage":null
{"error":{"message":"The server had an error while processing your request. Sorry about that!","type":"server_error","param":null,"code":null}}
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "openai_filtered_before_the_first_word",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":null
~"choices":[{"index":0,"delta":{},"finish_reason":"content_filter"}],"usage":null
~"choices":[],"usage":{"prompt_tokens":21,"completion_tokens":0,"total_tokens":21}
[DONE]
"#,
            ),
            failed("empty_answer").settled(21),
        ),
        Row::new(
            "openai_context_length",
            Recording::json(
                400,
                r#"{"error":{"message":"This model's maximum context length is 128000 tokens. However, your messages resulted in 130005 tokens. Please reduce the length of the messages.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "openai_names_the_field",
            Recording::json(
                400,
                r#"{"error":{"message":"Unsupported value: 'temperature' does not support 0.2 with this model. Only the default (1) value is supported.","type":"invalid_request_error","param":"temperature","code":"unsupported_value"}}"#,
            ),
            failed("request_rejected").param("temperature"),
        )
        .asked(json!({ "temperature": 0.2 })),
        Row::new(
            "openai_no_quota",
            Recording::json(
                429,
                r#"{"error":{"message":"You exceeded your current quota, please check your plan and billing details.","type":"insufficient_quota","param":null,"code":"insufficient_quota"}}"#,
            )
            .header("x-should-retry", "false")
            .header("retry-after", "3600"),
            failed("model_unavailable"),
        )
        .called(1),
    ]
}
