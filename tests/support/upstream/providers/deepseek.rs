//! DeepSeek.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"1f633d8bfc032625086f14113c411638","object":"chat.completion.chunk","created":1718345013,"model":"deepseek-chat","system_fingerprint":"fp_a49d71b8a1""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [answers(), failures()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "deepseek_stream",
            events(
                r#"
: keep-alive
: keep-alive
~"choices":[{"index":0,"delta":{"content":"","role":"assistant"},"finish_reason":null,"logprobs":null}]
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null,"logprobs":null}]
: keep-alive
~"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":null,"logprobs":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop","logprobs":null}],"usage":{"completion_tokens":9,"prompt_tokens":17,"total_tokens":26,"prompt_cache_hit_tokens":16,"prompt_cache_miss_tokens":1}
[DONE]
"#,
            ),
            text("Hello!").usage(17, 9).details(json!({ "prompt_tokens_details": { "cached_tokens": 16 } })),
        ),
        Row::new(
            "deepseek_reasoning",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning_content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":null,"reasoning_content":"They"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":null,"reasoning_content":" greet"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Hello","reasoning_content":null},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"","reasoning_content":null},"finish_reason":"stop"}],"usage":{"prompt_tokens":6,"completion_tokens":58,"total_tokens":64,"prompt_tokens_details":{"cached_tokens":0},"completion_tokens_details":{"reasoning_tokens":54},"prompt_cache_hit_tokens":0,"prompt_cache_miss_tokens":6}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello", "reasoning_content": "They greet" }), "stop")
                .usage(6, 58)
                .details(json!({ "completion_tokens_details": { "reasoning_tokens": 54 } })),
        ),
        Row::new(
            "deepseek_empty_lines_before_the_object",
            Recording::json(200, "").with_body(
                b"\n\n\n\n\n{\"id\":\"930c\",\"object\":\"chat.completion\",\"created\":1705651092,\"model\":\"deepseek-chat\",\"choices\":[{\"index\":0,\"finish_reason\":\"stop\",\"message\":{\"content\":\"Hello\",\"role\":\"assistant\"}}],\"usage\":{\"completion_tokens\":10,\"prompt_tokens\":16,\"total_tokens\":26}}",
            ),
            text("Hello").usage(16, 10),
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        Row::new(
            "deepseek_out_of_resources",
            events(
                r#"
~"choices":[{"index":0,"delta":{"content":"Half of","role":"assistant"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"insufficient_system_resource"}],"usage":{"completion_tokens":2,"prompt_tokens":17,"total_tokens":19}
[DONE]
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "deepseek_context_length",
            Recording::json(
                400,
                r#"{"error":{"message":"This model's maximum context length is 131072 tokens. However, you requested 131134 tokens (122942 in the messages, 8192 in the completion). Please reduce the length of the messages or completion.","type":"invalid_request_error","param":null,"code":"invalid_request_error"}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "deepseek_no_credit",
            Recording::json(
                402,
                r#"{"error":{"message":"Insufficient Balance","type":"unknown_error","param":null,"code":"invalid_request_error"}}"#,
            ),
            failed("model_unavailable"),
        )
        .called(1),
    ]
}
