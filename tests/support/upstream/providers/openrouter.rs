//! OpenRouter.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"gen-1762355135-wkN7Yj0Fq1kXHd1XW3lJ","provider":"DeepInfra","model":"meta-llama/llama-3.1-8b-instruct","object":"chat.completion.chunk","created":1762355135"#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [answers(), failures()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "openrouter_stream",
            events(
                r#"
: OPENROUTER PROCESSING
: OPENROUTER PROCESSING
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]
: OPENROUTER PROCESSING
~"choices":[{"index":0,"delta":{"role":"assistant","content":"!"},"finish_reason":null,"native_finish_reason":null,"logprobs":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop","native_finish_reason":"stop","logprobs":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null,"native_finish_reason":null,"logprobs":null}],"usage":{"prompt_tokens":9,"completion_tokens":3,"total_tokens":12,"cost":0.0000012,"is_byok":false,"prompt_tokens_details":{"cached_tokens":2},"cost_details":{"upstream_inference_cost":null},"completion_tokens_details":{"reasoning_tokens":0}}
[DONE]
"#,
            ),
            text("Hello!").usage(9, 3).details(json!({ "prompt_tokens_details": { "cached_tokens": 2 } })),
        ),
        Row::new(
            "openrouter_reasoning_details",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":"They","reasoning_details":[{"type":"reasoning.text","text":"They","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":" greet","reasoning_details":[{"type":"reasoning.text","text":" greet","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning":null,"reasoning_details":[{"type":"reasoning.text","signature":"ErUBCkYI","format":"anthropic-claude-v1","index":0}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":9,"completion_tokens":30,"total_tokens":39,"completion_tokens_details":{"reasoning_tokens":24}}
[DONE]
"#,
            ),
            message(
                json!({ "content": "Hello", "reasoning": "They greet", "reasoning_details": [
                    { "type": "reasoning.text", "text": "They greet", "format": "anthropic-claude-v1", "index": 0,
                      "signature": "ErUBCkYI" },
                ] }),
                "stop",
            )
            .usage(9, 30),
        ),
        Row::new(
            "openrouter_error_after_the_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"stop"}]
{"error":{"code":502,"message":"Provider disconnected unexpectedly"}}
"#,
            ),
            text("Hello"),
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        Row::new(
            "openrouter_error_with_the_finish_reason",
            events(
                r#"
: OPENROUTER PROCESSING
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of"},"finish_reason":null}]
~"error":{"code":"server_error","message":"Provider disconnected unexpectedly"},"choices":[{"index":0,"delta":{"content":""},"finish_reason":"error","native_finish_reason":null}]
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "openrouter_error_in_the_choice",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":"error","native_finish_reason":"error","error":{"code":502,"message":"Provider returned error"}}]
[DONE]
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "openrouter_error_in_a_200",
            Recording::json(
                200,
                r#"{"error":{"message":"Provider returned error","code":502,"metadata":{"raw":"upstream connect error","provider_name":"DeepInfra"}},"user_id":"user_2a"}"#,
            ),
            failed("error_in_answer"),
        ),
        Row::new(
            "openrouter_no_credit",
            Recording::json(
                402,
                r#"{"error":{"message":"This request requires more credits, or fewer max_tokens. You requested up to 10000 tokens, but can only afford 310. To increase, visit https://openrouter.ai/settings/credits and upgrade to a paid account","code":402,"metadata":{"provider_name":null}}}"#,
            ),
            failed("model_unavailable"),
        )
        .called(1),
        Row::new(
            "openrouter_context_length",
            Recording::json(
                400,
                r#"{"error":{"message":"This endpoint's maximum context length is 131072 tokens. However, you requested about 140000 tokens (130000 of text input, 10000 in the output). Please reduce the length of either one, or use the \"middle-out\" transform to compress your prompt automatically.","code":400,"metadata":{"provider_name":null}}}"#,
            ),
            failed("context_too_long"),
        ),
    ]
}
