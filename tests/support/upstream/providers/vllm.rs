//! vLLM, and SGLang.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"chatcmpl-30ebe6e948f546faae0c8937da0c50aa","object":"chat.completion.chunk","created":1742784103,"model":"llama-3.3-70b-instruct-awq""#;

const SGLANG: &str = r#""id":"5b1ad4a8c8e94bd5aeb9c2e4d33de33d","object":"chat.completion.chunk","created":1742784387,"model":"qwen3-32b""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

pub(super) fn rows() -> Vec<Row> {
    [answers(), failures(), sglang()].concat()
}

fn answers() -> Vec<Row> {
    vec![
        Row::new(
            "vllm_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"logprobs":null,"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Hello"},"logprobs":null,"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"!"},"logprobs":null,"finish_reason":"stop","stop_reason":null}]
~"choices":[],"usage":{"prompt_tokens":11,"total_tokens":14,"completion_tokens":3}
[DONE]
"#,
            ),
            text("Hello!").usage(11, 3),
        ),
        Row::new(
            "vllm_usage_in_each_chunk",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}],"usage":{"prompt_tokens":11,"total_tokens":11,"completion_tokens":0}
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}],"usage":{"prompt_tokens":11,"total_tokens":12,"completion_tokens":1}
~"choices":[{"index":0,"delta":{"content":"!"},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"total_tokens":13,"completion_tokens":2}
~"choices":null,"usage":{"prompt_tokens":11,"total_tokens":14,"completion_tokens":3}
[DONE]
"#,
            ),
            text("Hello!").usage(11, 3),
        ),
        Row::new(
            "vllm_both_names_of_reasoning",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"reasoning":"They","reasoning_content":"They"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"reasoning":" greet","reasoning_content":" greet"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":"stop"}]
~"choices":[],"usage":{"prompt_tokens":11,"total_tokens":34,"completion_tokens":23}
[DONE]
"#,
            ),
            message(
                json!({ "content": "Hello", "reasoning": "They greet", "reasoning_content": "They greet" }),
                "stop",
            )
            .usage(11, 23),
        ),
        Row::new(
            "vllm_tool_call_without_arguments_at_first",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"id":"chatcmpl-tool-72dc072e","type":"function","index":0,"function":{"name":"get_weather"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"{\"city\": "}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"Paris\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"tool_calls","stop_reason":128008}]
~"choices":[],"usage":{"prompt_tokens":234,"total_tokens":254,"completion_tokens":20}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [{ "id": "chatcmpl-tool-72dc072e",
                    "function": { "name": "get_weather", "arguments": "{\"city\": \"Paris\"}" } }] }),
                "tool_calls",
            )
            .usage(234, 20),
        ),
        Row::new(
            "vllm_rejects_stream_options",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"stop"}],"usage":{"prompt_tokens":11,"total_tokens":13,"completion_tokens":2}
[DONE]
"#,
            ),
            text("Hello").usage(11, 2),
        )
        .after_rejecting(
            "stream_options",
            Recording::json(
                400,
                r#"{"object":"error","message":"[{'type': 'extra_forbidden', 'loc': ('body', 'stream_options'), 'msg': 'Extra inputs are not permitted', 'input': {'include_usage': True}}]","type":"BadRequestError","param":null,"code":400}"#,
            ),
        ),
    ]
}

fn failures() -> Vec<Row> {
    vec![
        Row::new(
            "vllm_finish_reason_abort",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Half of"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":""},"finish_reason":"abort","stop_reason":null}]
~"choices":[],"usage":{"prompt_tokens":11,"total_tokens":13,"completion_tokens":2}
[DONE]
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "vllm_no_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":""},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Half of"},"finish_reason":null}]
~"choices":[],"usage":{"prompt_tokens":11,"total_tokens":13,"completion_tokens":2}
[DONE]
"#,
            ),
            failed("cut_short").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "vllm_error_in_the_stream",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of"},"finish_reason":null}]
{"error":{"object":"error","message":"EngineCore encountered an issue. See stack trace (above) for the root cause.","type":"InternalServerError","param":null,"code":500}}
[DONE]
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
        Row::new(
            "vllm_context_length",
            Recording::json(
                400,
                r#"{"object":"error","message":"This model's maximum context length is 16384 tokens. However, you requested 122946 tokens (112946 in the messages, 10000 in the completion). Please reduce the length of the messages or completion.","type":"BadRequestError","param":null,"code":400}"#,
            ),
            failed("context_too_long"),
        ),
        Row::new(
            "vllm_prompt_does_not_fit",
            Recording::json(
                400,
                r#"{"error":{"message":"The prompt (total length 25938) is too long to fit into the model (context length 4096). Make sure that `max_model_len` is no smaller than the number of text tokens plus multimodal tokens.","type":"BadRequestError","param":null,"code":400}}"#,
            ),
            failed("context_too_long"),
        ),
    ]
}

fn sglang() -> Vec<Row> {
    vec![
        Row::new(
            "sglang_stream",
            Recording::events(
                SGLANG,
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null
~"choices":[{"index":0,"delta":{"role":null,"content":"Hello","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":null,"matched_stop":null}],"usage":null
~"choices":[{"index":0,"delta":{"role":null,"content":null,"reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"stop","matched_stop":151645}],"usage":null
~"choices":[],"usage":{"prompt_tokens":12,"total_tokens":15,"completion_tokens":3,"prompt_tokens_details":null}
[DONE]
"#,
            ),
            text("Hello").usage(12, 3),
        ),
        Row::new(
            "sglang_tool_call_with_nulls",
            Recording::events(
                SGLANG,
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":null,"tool_calls":[{"id":"call_abc","index":0,"type":"function","function":{"name":"get_weather","arguments":""}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"{\"city\": "}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":[{"id":null,"index":0,"type":"function","function":{"name":null,"arguments":"\"Paris\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"role":null,"content":null,"tool_calls":null},"finish_reason":"tool_calls","matched_stop":null}]
~"choices":[],"usage":{"prompt_tokens":180,"total_tokens":200,"completion_tokens":20}
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [{ "id": "call_abc",
                    "function": { "name": "get_weather", "arguments": "{\"city\": \"Paris\"}" } }] }),
                "tool_calls",
            )
            .usage(180, 20),
        ),
        Row::new(
            "sglang_abort_in_a_whole_answer",
            Recording::json(
                200,
                r#"{"id":"5b1a","object":"chat.completion","created":1742784387,"model":"qwen3-32b","choices":[{"index":0,"message":{"role":"assistant","content":"","reasoning_content":null,"tool_calls":null},"logprobs":null,"finish_reason":"abort","matched_stop":null}],"usage":{"prompt_tokens":12,"total_tokens":12,"completion_tokens":0}}"#,
            ),
            failed("error_in_answer"),
        ),
        Row::new(
            "sglang_context_length",
            Recording::json(
                400,
                r#"{"object":"error","message":"The input (85050 tokens) is longer than the model's context length (32768 tokens).","type":"BadRequestError","param":null,"code":400}"#,
            ),
            failed("context_too_long"),
        ),
    ]
}
