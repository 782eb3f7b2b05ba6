//! Azure OpenAI.

use serde_json::json;

use super::{Recording, Row, failed, message, text};

const HEAD: &str = r#""id":"chatcmpl-7rCNsVeZy0PGnX3H6jK8STps5nZUY","object":"chat.completion.chunk","created":1692913344,"model":"gpt-4o-2024-11-20","system_fingerprint":"fp_ee1d74bde0""#;

/// The filter's verdict on the prompt, in a chunk before the first choice.
const PROMPT: &str = r#"{"choices":[],"created":0,"id":"","model":"","object":"","prompt_filter_results":[{"prompt_index":0,"content_filter_results":{"hate":{"filtered":false,"severity":"safe"},"jailbreak":{"filtered":false,"detected":false}}}]}"#;

const SAFE: &str = r#""content_filter_results":{"hate":{"filtered":false,"severity":"safe"}}"#;

fn events(lines: &str) -> Recording {
    let lines = lines.replace("<prompt>", PROMPT).replace("<safe>", SAFE);
    Recording::events(HEAD, &lines)
}

pub(super) fn rows() -> Vec<Row> {
    vec![
        Row::new(
            "azure_stream",
            events(
                r#"
<prompt>
~"choices":[{"content_filter_results":{},"delta":{"content":"","refusal":null,"role":"assistant"},"finish_reason":null,"index":0,"logprobs":null}],"usage":null
~"choices":[{<safe>,"delta":{"content":"Hello"},"finish_reason":null,"index":0,"logprobs":null}],"usage":null
~"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0,"logprobs":null}],"usage":null
~"choices":[],"usage":{"completion_tokens":9,"completion_tokens_details":{"reasoning_tokens":0},"prompt_tokens":14,"prompt_tokens_details":{"cached_tokens":0},"total_tokens":23}
[DONE]
"#,
            ),
            text("Hello").usage(14, 9),
        ),
        Row::new(
            "azure_filter_offsets_without_delta",
            events(
                r#"
{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,<safe>,"content_filter_offsets":{"check_offset":0,"start_offset":0,"end_offset":0}}]}
~"choices":[{"index":0,"delta":{"role":"assistant"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{"content":"Hello"},"finish_reason":null}]
{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,<safe>,"content_filter_offsets":{"check_offset":44,"start_offset":44,"end_offset":198}}]}
~"choices":[{"index":0,"delta":{"content":" there"},"finish_reason":null}]
~"choices":[{"index":0,"delta":{},"finish_reason":"stop"}]
{"id":"","object":"","created":0,"model":"","choices":[{"index":0,"finish_reason":null,<safe>,"content_filter_offsets":{"check_offset":506,"start_offset":44,"end_offset":571}}]}
~"choices":[],"usage":{"completion_tokens":2,"prompt_tokens":14,"total_tokens":16}
[DONE]
"#,
            ),
            text("Hello there").usage(14, 2),
        ),
        Row::new(
            "azure_filter_results_with_a_null_delta",
            events(
                r#"
<prompt>
~"choices":[{"index":0,"delta":{"role":"assistant","content":"Hello"},"finish_reason":null}]
~"choices":[{"index":0,"delta":null,"finish_reason":null,<safe>}]
~"choices":[{"index":0,"delta":null,"finish_reason":"stop",<safe>}]
~"choices":null,"usage":{"completion_tokens":2,"prompt_tokens":14,"total_tokens":16}
[DONE]
"#,
            ),
            text("Hello").usage(14, 2),
        ),
        Row::new(
            "azure_filtered_after_some_words",
            events(
                r#"
<prompt>
~"choices":[{<safe>,"delta":{"content":"First, take","role":"assistant"},"finish_reason":null,"index":0}],"usage":null
~"choices":[{"content_filter_results":{"violence":{"filtered":true,"severity":"high"}},"delta":{},"finish_reason":"content_filter","index":0}],"usage":null
~"choices":[],"usage":{"completion_tokens":3,"prompt_tokens":14,"total_tokens":17}
[DONE]
"#,
            ),
            message(json!({ "content": "First, take" }), "content_filter").usage(14, 3),
        ),
        Row::new(
            "azure_rejects_stream_options",
            events(
                r#"
<prompt>
~"choices":[{<safe>,"delta":{"content":"Hello","role":"assistant"},"finish_reason":null,"index":0}]
~"choices":[{"content_filter_results":{},"delta":{},"finish_reason":"stop","index":0}]
[DONE]
"#,
            ),
            text("Hello"),
        )
        .after_rejecting(
            "stream_options",
            Recording::json(
                400,
                r#"{"error":{"message":"Unrecognized request argument supplied: stream_options. Please contact us through an Azure support request at: https://go.microsoft.com/fwlink/?linkid=2213926 for further questions.","type":"invalid_request_error","param":null,"code":null}}"#,
            ),
        ),
        Row::new(
            "azure_filters_the_prompt",
            Recording::json(
                400,
                r#"{"error":{"message":"The response was filtered due to the prompt triggering Azure OpenAI's content management policy. Please modify your prompt and retry.","type":null,"param":"prompt","code":"content_filter","status":400,"innererror":{"code":"ResponsibleAIPolicyViolation","content_filter_result":{"jailbreak":{"filtered":true,"detected":true}}}}}"#,
            ),
            failed("request_rejected").param("messages"),
        ),
        Row::new(
            "azure_wrong_key",
            Recording::json(
                401,
                r#"{ "statusCode": 401, "message": "Unauthorized. Access token is missing, invalid, audience is incorrect (https://cognitiveservices.azure.com), or have expired." }"#,
            ),
            failed("key_rejected"),
        )
        .called(1),
        Row::new(
            "azure_no_such_deployment",
            Recording::json(
                404,
                r#"{"error":{"code":"DeploymentNotFound","message":"The API deployment for this resource does not exist. If you created the deployment within the last 5 minutes, please wait a moment and try again."}}"#,
            ),
            failed("model_unavailable"),
        )
        .called(1),
        Row::new(
            "azure_rate_limit",
            Recording::json(
                429,
                r#"{"error":{"code":"429","message":"Requests to the ChatCompletions_Create Operation under Azure OpenAI API version 2024-10-21 have exceeded token rate limit. Please retry after 56 seconds."}}"#,
            )
            .header("Retry-After", "56")
            .header("x-ratelimit-reset-requests", "56"),
            failed("rate_limited"),
        )
        .called(1),
    ]
}
