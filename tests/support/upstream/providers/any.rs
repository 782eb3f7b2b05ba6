//! What several providers, gateways and proxies do.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str =
    r#""id":"chatcmpl-1","object":"chat.completion.chunk","created":1762355135,"model":"some-model""#;

fn events(lines: &str) -> Recording {
    Recording::events(HEAD, lines)
}

/// A request that is rejected, and then answered without the field that caused this.
fn rejected(name: &'static str, field: &'static str, rejection: Recording) -> Row {
    let answer = events(
        r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}
[DONE]
"#,
    );
    Row::new(name, answer, text("Hello").usage(8, 2)).after_rejecting(field, rejection)
}

pub(super) fn rows() -> Vec<Row> {
    [transport(), ends(), tool_calls(), usage(), contents(), rejections()].concat()
}

fn transport() -> Vec<Row> {
    let parts = r#"
: ping
event: message
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hel"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"lo"},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}
[DONE]
"#;
    vec![
        Row::new(
            "any_carriage_returns_and_no_blank",
            Recording::framed(HEAD, parts, "data:", "\r\n").typed("Text/Event-Stream;charset=UTF-8"),
            text("Hello").usage(8, 2),
        ),
        Row::new(
            "any_surrogate_halves",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"smile \ud83d"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"\ude00!"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
[DONE]
"#,
            ),
            text("smile 😀!"),
        ),
        Row::new(
            "any_lone_surrogate",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"a \ud83d b"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":" \ude00."},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
[DONE]
"#,
            ),
            text("a \u{fffd} b \u{fffd}."),
        ),
    ]
}

fn ends() -> Vec<Row> {
    vec![
        Row::new(
            "any_no_done",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]
"#,
            ),
            text("Hello"),
        ),
        Row::new(
            "any_broken_after_the_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
"#,
            )
            .cut(),
            text("Hello"),
        ),
        Row::new(
            "any_garbage_after_the_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
<html><body>502 Bad Gateway</body></html>
"#,
            ),
            text("Hello"),
        ),
        Row::new(
            "any_done_without_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of "},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"an ans"},"finish_reason":null}]
[DONE]
"#,
            ),
            failed("cut_short").after(json!({ "content": "Half of an ans" })),
        ),
        Row::new(
            "any_end_without_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of "},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"an ans"},"finish_reason":null}]
"#,
            ),
            failed("cut_short").after(json!({ "content": "Half of an ans" })),
        ),
        Row::new(
            "any_half_a_tool_call",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_a1","type":"function","function":{"name":"read_file","arguments":"{\"pa"}}]},"finish_reason":null}]
[DONE]
"#,
            ),
            failed("cut_short").after(json!({ "tool_calls": [
                { "id": "call_a1", "function": { "name": "read_file", "arguments": "{\"pa" } },
            ] })),
        ),
        Row::new(
            "any_whole_answer_without_finish_reason",
            Recording::json(
                200,
                r#"{"object":"chat.completion","choices":[{"index":0,"message":{"role":"assistant","content":"Half of"},"finish_reason":null}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}"#,
            ),
            failed("cut_short").after_anything(),
        ),
        Row::new(
            "any_one_of_two_choices_has_no_end",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Yes"},"finish_reason":null}]
~"choices":[{"index":1,"delta":{"role":"assistant","content":"N"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
[DONE]
"#,
            ),
            failed("cut_short").after_anything(),
        )
        .asked(json!({ "n": 2 })),
        Row::new(
            "any_error_as_a_string",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Half of"},"finish_reason":null}]
{"error":"an error was encountered while running the model: CUDA error"}
"#,
            ),
            failed("error_in_answer").after(json!({ "content": "Half of" })),
        ),
    ]
}

fn tool_calls() -> Vec<Row> {
    let read_file = || {
        json!({ "tool_calls": [
            { "id": "call_a1", "function": { "name": "read_file", "arguments": "{\"path\":\"a\"}" } },
        ] })
    };
    vec![
        Row::new(
            "any_empty_id_later",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_a1","type":"function","function":{"name":"read_file","arguments":""}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"","arguments":"{\"path\":"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"","type":"function","function":{"name":"","arguments":"\"a\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]
[DONE]
"#,
            ),
            message(read_file(), "tool_calls"),
        ),
        Row::new(
            "any_two_parts_of_a_call_in_one_chunk",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_a1","type":"function","function":{"name":"read_file","arguments":""}},{"index":0,"function":{"arguments":"{\"path\":"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"arguments":"\"a\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]
[DONE]
"#,
            ),
            message(read_file(), "tool_calls"),
        ),
        Row::new(
            "any_name_in_two_parts",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_a1","type":"function","function":{"name":"read_","arguments":""}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"function":{"name":"file","arguments":"{\"path\":\"a\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]
[DONE]
"#,
            ),
            message(read_file(), "tool_calls"),
        ),
        Row::new(
            "any_new_id_in_each_part",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_a1","type":"function","function":{"name":"read_file","arguments":""}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_b2","type":"function","function":{"arguments":"{\"path\":"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"tool_calls":[{"index":0,"id":"call_c3","type":"function","function":{"arguments":"\"a\"}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]
[DONE]
"#,
            ),
            message(read_file(), "tool_calls"),
        ),
        Row::new(
            "any_broken_arguments_with_an_end",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","tool_calls":[{"index":0,"id":"call_a1","type":"function","function":{"name":"read_file","arguments":"{\"path\": a}"}}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"tool_calls"}]
[DONE]
"#,
            ),
            message(
                json!({ "tool_calls": [
                    { "id": "call_a1", "function": { "name": "read_file", "arguments": "{\"path\": a}" } },
                ] }),
                "tool_calls",
            ),
        ),
    ]
}

fn usage() -> Vec<Row> {
    vec![
        Row::new(
            "any_usage_before_the_end",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}],"usage":null
~"choices":[],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":null
[DONE]
"#,
            ),
            text("Hello").usage(8, 2),
        ),
        Row::new(
            "any_usage_in_the_choice",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop","usage":{"prompt_tokens":19,"completion_tokens":13,"total_tokens":32}}]
[DONE]
"#,
            ),
            text("Hello").usage(19, 13),
        ),
        Row::new(
            "any_usage_alone",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":"stop"}]
{"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}}
[DONE]
"#,
            ),
            text("Hello").usage(8, 2),
        ),
        Row::new(
            "any_no_usage",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
[DONE]
"#,
            ),
            text("Hello"),
        ),
    ]
}

fn contents() -> Vec<Row> {
    vec![
        Row::new(
            "any_text_in_parts",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":[{"type":"text","text":"Hel"}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[{"type":"text","text":"l"},{"type":"text","text":"o"}]},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":[]},"finish_reason":"stop"}]
[DONE]
"#,
            ),
            text("Hello"),
        ),
        Row::new(
            "any_reasoning_alone",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hmm"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}],"usage":{"prompt_tokens":8,"completion_tokens":2,"total_tokens":10}
[DONE]
"#,
            ),
            failed("empty_answer").after(json!({ "reasoning_content": "Hmm" })).settled(8),
        ),
        Row::new(
            "any_limit_reached_by_reasoning",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","reasoning_content":"Hmm"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"length"}],"usage":{"prompt_tokens":8,"completion_tokens":64,"total_tokens":72}
[DONE]
"#,
            ),
            message(json!({ "reasoning_content": "Hmm" }), "length").usage(8, 64),
        ),
        Row::new(
            "any_unknown_finish_reason",
            events(
                r#"
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":"repetition"}]
[DONE]
"#,
            ),
            message(json!({ "content": "Hello" }), "repetition"),
        ),
    ]
}

fn rejections() -> Vec<Row> {
    vec![
        rejected(
            "any_field_named_in_a_list",
            "stream_options",
            Recording::json(
                422,
                r#"{"detail":[{"type":"extra_forbidden","loc":["body","stream_options"],"msg":"Extra inputs are not permitted","input":{"include_usage":true}}]}"#,
            ),
        ),
        rejected(
            "any_rejection_without_a_field",
            "stream_options",
            Recording::json(400, r#"{"error":"Bad Request: extra fields are not permitted"}"#),
        ),
        Row::new(
            "any_other_field_named_in_a_list",
            Recording::json(
                422,
                r#"{"detail":[{"type":"less_than_equal","loc":["body","temperature"],"msg":"Input should be less than or equal to 2","input":9,"ctx":{"le":2}}]}"#,
            ),
            failed("request_rejected").param("temperature"),
        )
        .asked(json!({ "temperature": 9 })),
        Row::new(
            "any_too_large_for_the_proxy",
            Recording::json(
                413,
                "<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n</html>\r\n",
            )
            .typed("text/html"),
            failed("context_too_long"),
        ),
    ]
}
