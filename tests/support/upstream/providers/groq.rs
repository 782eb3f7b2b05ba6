//! Groq.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"chatcmpl-c2c50c48-e13b-4ba8-8f01-f9714db853a0","object":"chat.completion.chunk","created":1772206945,"model":"llama-3.3-70b-versatile","system_fingerprint":"fp_f8b414701e""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "groq_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_01jt0xby4ffanamrs6m40mv0fy","seed":1388413478}
~"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_01jt0xby4ffanamrs6m40mv0fy","usage":{"queue_time":0.075,"prompt_tokens":23,"prompt_time":0.006,"completion_tokens":19,"completion_time":0.022,"total_tokens":42,"total_time":0.028}}
~"choices":[],"usage":{"queue_time":0.075,"prompt_tokens":23,"prompt_time":0.006,"completion_tokens":19,"completion_time":0.022,"total_tokens":42,"total_time":0.028},"service_tier":"on_demand"
[DONE]
"#,
            ),
            text("Hello").usage(23, 19),
        ),
        Row::new(
            "groq_usage_only_in_x_groq",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}],"x_groq":{"id":"req_01hy8ppkajfqk987jv2vx88m9r"}
~"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"logprobs":null,"finish_reason":"stop"}],"x_groq":{"id":"req_01hy8ppkajfqk987jv2vx88m9r","usage":{"queue_time":0.075,"prompt_tokens":23,"completion_tokens":19,"total_tokens":42}}
[DONE]
"#,
            ),
            text("Hello").usage(23, 19),
        ),
        Row::new(
            "groq_channel_in_each_part",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":null,"reasoning":"They","channel":"analysis"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"reasoning":" greet","channel":"analysis"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":73,"completion_tokens":30,"total_tokens":103,"completion_tokens_details":{"reasoning_tokens":20}}
[DONE]
"#,
            ),
            message(json!({ "content": "Hello", "reasoning": "They greet", "channel": "analysis" }), "stop")
                .usage(73, 30),
        ),
        Row::new(
            "groq_error_event",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of"},"finish_reason":null}]
event: error
{"error":{"message":"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=read>","status_code":400}}
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "groq_tool_use_failed",
            Recording::json(
                400,
                r#"{"error":{"message":"Failed to call a function. Please adjust your prompt. See 'failed_generation' for more details.","type":"invalid_request_error","code":"tool_use_failed","failed_generation":"<function=read>"}}"#,
            ),
            failed("request_rejected"),
        ),
        Row::new(
            "groq_request_too_large",
            Recording::json(
                413,
                r#"{"error":{"message":"Request too large for model `llama-3.3-70b-versatile` in organization `org_01` service tier `on_demand` on tokens per minute (TPM): Limit 12000, Requested 14000, please reduce your message size and try again.","type":"tokens","code":"rate_limit_exceeded"}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "groq_context_length",
            Recording::json(
                400,
                r#"{"error":{"message":"Please reduce the length of the messages or completion.","type":"invalid_request_error","param":"messages","code":"context_length_exceeded"}}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "groq_rate_limit",
            Recording::json(
                429,
                r#"{"error":{"message":"Rate limit reached for model `llama-3.3-70b-versatile` in organization `org_01` on requests per day (RPD): Limit 1000, Used 1000, Requested 1. Please try again in 1m26.4s.","type":"requests","code":"rate_limit_exceeded"}}"#,
            )
            .header("retry-after", "87")
            .header("x-ratelimit-remaining-requests", "0")
            .header("x-ratelimit-reset-requests", "1m26.4s"),
            failed("rate_limited"),
        )
        .called(1),
    ]
}
