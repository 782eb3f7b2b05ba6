use super::*;
use crate::error::Error;

fn parse(body: Value) -> Result<MessagesRequest> {
    let Value::Object(body) = body else { panic!("no object") };
    MessagesRequest::parse(body)
}

fn with(fields: Value) -> Value {
    let mut body =
        json!({ "model": "m", "max_tokens": 7, "messages": [{ "role": "user", "content": "hi" }] });
    body.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
    body
}

/// Returns the translated messages.
fn translated(messages: Value) -> Value {
    json!(parse(with(json!({ "messages": messages }))).unwrap().question.messages)
}

/// Returns the options of the translated request.
fn options(fields: Value) -> Value {
    parse(with(fields)).unwrap().question.options.into()
}

/// Returns the error of a request: the field and the reason.
#[track_caller]
fn fault(body: Value) -> (&'static str, String) {
    match parse(body.clone()) {
        Err(Error::Invalid(fault)) => (fault.field, fault.reason),
        Err(error) => panic!("{error:?}"),
        Ok(_) => panic!("{body} was taken"),
    }
}

/// What Claude Code sends, shortened.
fn of_claude_code() -> Value {
    let cached = json!({ "type": "ephemeral" });
    with(json!({
        "max_tokens": 32000,
        "system": [
            { "type": "text", "text": "x-anthropic-billing-header: cc_version=2.1.332.5fc; cc_entrypoint=cli;" },
            { "type": "text", "text": "You are Claude Code.", "cache_control": cached },
            { "type": "text", "text": "Be brief.", "cache_control": cached },
        ],
        "messages": [{ "role": "user", "content": [
            { "type": "text", "text": "<system-reminder>…</system-reminder>" },
            { "type": "text", "text": "list the files", "cache_control": cached },
        ] }],
        "tools": [{ "name": "Bash", "description": "Runs a command", "eager_input_streaming": true,
            "input_schema": { "type": "object", "properties": { "command": { "type": "string" } } } }],
        "metadata": { "user_id": format!("user_{}_account__session_{}", "a".repeat(64), "b".repeat(36)) },
        "thinking": { "type": "adaptive" },
        "context_management": { "edits": [{ "type": "clear_thinking_20251015", "keep": "all" }] },
        "output_config": { "effort": "medium" },
        "betas": ["claude-code-20250219"],
        "temperature": 1,
        "stream": true,
    }))
}

#[test]
fn what_claude_code_sends_is_translated() {
    let MessagesRequest { question, message, in_parts, shows_thinking } = parse(of_claude_code()).unwrap();
    let texts = ["<system-reminder>…</system-reminder>", "list the files"];
    let parts = texts.map(|text| json!({ "type": "text", "text": text }));
    assert_eq!(
        json!(question.messages),
        json!([{ "role": "system", "content": "You are Claude Code.\n\nBe brief." },
            { "role": "user", "content": parts }])
    );
    let user = question.options["user"].as_str().unwrap();
    assert_eq!(user.len(), 64);
    let parameters = json!({ "type": "object", "properties": { "command": { "type": "string" } } });
    let function = json!({ "name": "Bash", "description": "Runs a command", "parameters": parameters });
    let wanted = json!({ "tools": [{ "type": "function", "function": function }], "temperature": 1,
        "user": user, "reasoning_effort": "medium" });
    assert_eq!(Value::from(question.options.clone()), wanted);
    assert_eq!((question.model.as_str(), question.max_output), ("m", 32000));
    assert!(question.extra.is_empty() && in_parts && shows_thinking);
    assert_eq!(message, "<system-reminder>…</system-reminder>\nlist the files");
}

#[test]
fn fields_get_the_names_of_chat_completions() {
    let all = options(json!({
        "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop_sequences": ["x"], "metadata": { "user_id": "ada" },
        "service_tier": "auto", "speed": "standard", "mcp_servers": [], "container": null, "cache_control": {},
    }));
    let wanted = json!({ "temperature": 0.5, "top_p": 0.9, "top_k": 5, "stop": ["x"], "user": "ada" });
    assert_eq!(all, wanted);
    assert_eq!(
        options(json!({ "stop_sequences": [], "metadata": { "user_id": null }, "tools": [] })),
        json!({})
    );
    let other = parse(with(json!({ "chat_template_kwargs": { "a": 1 } }))).unwrap().question;
    assert_eq!(Value::from(other.extra), json!({ "chat_template_kwargs": { "a": 1 } }));
    assert_eq!(Value::from(other.options), json!({}));
}

#[test]
fn the_choice_of_a_tool_is_translated() {
    let tools = json!([{ "name": "f", "type": "custom", "strict": true, "input_schema": {} }]);
    let chosen = |choice: Value| options(json!({ "tools": tools, "tool_choice": choice }));
    let translated =
        json!({ "type": "function", "function": { "name": "f", "parameters": {}, "strict": true } });
    assert_eq!(chosen(json!(null)), json!({ "tools": [translated] }));
    for (choice, wanted) in [
        (json!({ "type": "auto" }), json!("auto")),
        (json!({ "type": "any" }), json!("required")),
        (json!({ "type": "none" }), json!("none")),
        (json!({ "type": "tool", "name": "f" }), json!({ "type": "function", "function": { "name": "f" } })),
    ] {
        assert_eq!(chosen(choice)["tool_choice"], wanted);
    }
    let alone = chosen(json!({ "type": "auto", "disable_parallel_tool_use": true }));
    assert_eq!(alone["parallel_tool_calls"], json!(false));
    assert_eq!(
        options(json!({ "tool_choice": { "type": "auto", "disable_parallel_tool_use": true } })),
        json!({})
    );
}

#[test]
fn a_schema_and_an_effort_are_translated() {
    let inner = json!({ "type": "object", "properties": { "b": {} }, "required": ["b"], "additionalProperties": false });
    let mut schema = json!({ "type": "object", "properties": { "a": { "type": "array", "items": inner } },
        "required": ["a"], "additionalProperties": false });
    for is_strict in [true, false] {
        let format = json!({ "type": "json_schema", "schema": schema });
        let wanted = json!({ "type": "json_schema",
            "json_schema": { "name": "answer", "schema": schema, "strict": is_strict } });
        for fields in [json!({ "output_config": { "format": format } }), json!({ "output_format": format })] {
            assert_eq!(options(fields), json!({ "response_format": wanted }));
        }
        // One optional property, deep inside.
        schema["properties"]["a"]["items"]["required"] = json!([]);
    }
    for (effort, passed) in [("low", "low"), ("high", "high"), ("xhigh", "high"), ("max", "high")] {
        assert_eq!(
            options(json!({ "output_config": { "effort": effort } })),
            json!({ "reasoning_effort": passed })
        );
    }
}

#[test]
fn thoughts_are_shown_to_a_client_that_asks_for_them() {
    for (thinking, shown) in [
        (json!(null), false),
        (json!({ "type": "enabled", "budget_tokens": 2000 }), true),
        (json!({ "type": "adaptive", "display": "summarized" }), true),
        (json!({ "type": "adaptive", "display": "omitted" }), false),
        (json!({ "type": "disabled" }), false),
    ] {
        let request = parse(with(json!({ "thinking": thinking }))).unwrap();
        assert_eq!(request.shows_thinking, shown, "{thinking}");
        assert!(request.question.options.is_empty());
    }
}

#[test]
fn calls_and_their_results_are_messages_of_their_own() {
    let picture =
        json!({ "type": "image", "source": { "type": "base64", "media_type": "image/png", "data": "AAA=" } });
    let messages = json!([
        { "role": "user", "content": "look" },
        { "role": "assistant", "content": [
            { "type": "thinking", "thinking": "hm", "signature": "s" },
            { "type": "redacted_thinking", "data": "x" },
            { "type": "text", "text": "I will." },
            { "type": "tool_use", "id": "a", "name": "f", "input": { "b": 1 } },
        ] },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "b", "name": "g", "input": {} }] },
        { "role": "user", "content": [
            { "type": "text", "text": "Here." },
            { "type": "tool_result", "tool_use_id": "a", "content": [
                { "type": "text", "text": "one" }, { "type": "text", "text": "two" }, picture] },
        ] },
        { "role": "user", "content": [
            { "type": "tool_result", "tool_use_id": "b", "content": "no file", "is_error": true },
            { "type": "tool_result", "tool_use_id": "c" },
        ] },
    ]);
    let call = |id, name, arguments| json!({ "id": id, "type": "function", "function": { "name": name, "arguments": arguments } });
    let said =
        ["The tools returned the following:", "Here."].map(|text| json!({ "type": "text", "text": text }));
    let url = json!({ "type": "image_url", "image_url": { "url": "data:image/png;base64,AAA=" } });
    assert_eq!(
        translated(messages),
        json!([
            { "role": "user", "content": "look" },
            { "role": "assistant", "content": "I will.",
              "tool_calls": [call("a", "f", "{\"b\":1}"), call("b", "g", "{}")] },
            { "role": "tool", "content": "one\n\ntwo", "tool_call_id": "a" },
            { "role": "tool", "content": "Error: no file", "tool_call_id": "b" },
            { "role": "tool", "content": "", "tool_call_id": "c" },
            { "role": "user", "content": [said[0], url, said[1]] },
        ])
    );
}

#[test]
fn a_call_without_text_has_no_content_and_a_beginning_of_the_answer_is_passed_on() {
    let messages = json!([
        { "role": "user", "content": "a" },
        { "role": "user", "content": "b" },
        { "role": "assistant", "content": [{ "type": "tool_use", "id": "a", "name": "f", "input": {} }] },
        { "role": "system", "content": "Be kind." },
        { "role": "user", "content": [{ "type": "tool_result", "tool_use_id": "a", "content": [] }] },
        { "role": "assistant", "content": "The answer is (" },
    ]);
    let all = translated(messages);
    assert_eq!(all[0]["content"], json!([{ "type": "text", "text": "a" }, { "type": "text", "text": "b" }]));
    assert_eq!(all[1]["content"], Value::Null);
    assert_eq!(all[2], json!({ "role": "system", "content": "Be kind." }));
    assert_eq!(all[3]["content"], "");
    assert_eq!(all[4], json!({ "role": "assistant", "content": "The answer is (" }));
}

#[test]
fn documents_become_files_and_texts() {
    let document =
        |source: Value| json!({ "type": "document", "title": "Title", "context": "Notes", "source": source });
    let content =
        |block: Value| translated(json!([{ "role": "user", "content": [block] }]))[0]["content"].clone();
    let pdf = content(document(json!({ "type": "base64", "media_type": "application/pdf", "data": "AAA=" })));
    let file = json!({ "filename": "Title", "file_data": "data:application/pdf;base64,AAA=" });
    assert_eq!(pdf, json!([{ "type": "text", "text": "Notes" }, { "type": "file", "file": file }]));
    let text = json!({ "type": "text", "media_type": "text/plain", "data": "It was." });
    assert_eq!(content(document(text)), "Title\n\nNotes\n\nIt was.");
    let parts = json!({ "type": "content", "content": [{ "type": "text", "text": "It was." }] });
    assert_eq!(content(json!({ "type": "document", "source": parts })), "It was.");
    let result = json!({ "type": "search_result", "title": "T", "source": "https://a.example",
        "content": [{ "type": "text", "text": "It was." }] });
    assert_eq!(content(result), "T\n\nhttps://a.example\n\nIt was.");
    let address = json!({ "type": "image", "source": { "type": "url", "url": "https://a.example/b.png" } });
    assert_eq!(content(address)[0]["image_url"]["url"], "https://a.example/b.png");
}

#[test]
fn a_wrong_field_is_named() {
    for (name, value) in [
        ("model", json!("")),
        ("max_tokens", json!(0)),
        ("max_tokens", json!(null)),
        ("max_tokens", json!("7")),
        ("messages", json!([])),
        ("messages", json!(["hi"])),
        ("messages", json!([{ "role": "user", "content": [] }])),
        ("messages", json!([{ "role": "user", "content": 5 }])),
        ("messages", json!([{ "role": "robot", "content": "hi" }])),
        ("messages", json!([{ "role": "system", "content": "hi" }])),
        ("system", json!(5)),
        ("system", json!([{ "type": "image" }])),
        ("stream", json!("yes")),
        ("temperature", json!("hot")),
        ("stop_sequences", json!("x")),
        ("stop_sequences", json!([1])),
        ("metadata", json!("ada")),
        ("metadata", json!({ "user_id": 5 })),
        ("thinking", json!({ "type": "deep" })),
        ("tools", json!({})),
        ("tools", json!([{ "input_schema": {} }])),
        ("tools", json!([{ "name": "f" }])),
        ("tool_choice", json!("auto")),
        ("tool_choice", json!({ "type": "some" })),
        ("tool_choice", json!({ "type": "tool" })),
        ("tool_choice", json!({ "type": "auto", "disable_parallel_tool_use": 1 })),
        ("output_config", json!({ "effort": "some" })),
        ("output_config", json!({ "format": { "type": "grammar" } })),
        ("output_format", json!({ "type": "json_schema" })),
        ("service_tier", json!("priority")),
        ("speed", json!("fast")),
    ] {
        assert_eq!(fault(with(json!({ name: value }))).0, name, "{value}");
    }
}

#[test]
fn what_is_not_offered_is_refused_by_name() {
    for (name, value, named) in [
        ("tools", json!([{ "type": "web_search_20250305", "name": "web_search" }]), "web_search_20250305"),
        ("tools", json!([{ "type": "bash_20250124", "name": "bash" }]), "bash_20250124"),
        ("mcp_servers", json!([{ "type": "url" }]), "MCP"),
        ("container", json!("c"), "code execution"),
        ("inference_geo", json!("eu"), "operator"),
        ("fallbacks", json!([{ "model": "m" }]), "model"),
        ("context_management", json!({ "edits": [{ "type": "compact_20260112" }] }), "compact_20260112"),
    ] {
        let (field, reason) = fault(with(json!({ name: value })));
        assert!(field == name && reason.contains(named), "{field}: {reason}");
    }
    let by_address = json!({ "type": "url", "url": "https://a.example/b.pdf" });
    let text = json!({ "type": "text", "media_type": "text/plain", "data": "a" });
    for (role, block, named) in [
        ("user", json!({ "type": "document", "source": by_address }), "documents by \"url\""),
        (
            "user",
            json!({ "type": "document", "source": text, "citations": { "enabled": true } }),
            "citations",
        ),
        (
            "user",
            json!({ "type": "image", "source": { "type": "file", "file_id": "f" } }),
            "images by \"file\"",
        ),
        ("user", json!({ "type": "container_upload", "file_id": "f" }), "container_upload"),
        ("user", json!({ "type": "tool_use", "id": "a", "name": "f", "input": {} }), "tool_use"),
        ("assistant", json!({ "type": "server_tool_use", "id": "a" }), "server_tool_use"),
        ("assistant", json!({ "type": "tool_result", "tool_use_id": "a" }), "tool_result"),
    ] {
        let (field, reason) = fault(with(json!({ "messages": [{ "role": role, "content": [block] }] })));
        assert!(field == "messages" && reason.contains(named), "{reason}");
    }
}

#[test]
fn the_same_request_is_the_same_however_its_answer_is_sent() {
    let fingerprint = |fields: Value| parse(with(fields)).unwrap().fingerprint();
    let plain = fingerprint(json!({}));
    assert_eq!(fingerprint(json!({ "stream": true, "cache_control": { "type": "ephemeral" } })), plain);
    for other in [
        json!({ "max_tokens": 8 }),
        json!({ "system": "Be kind." }),
        json!({ "temperature": 0 }),
        json!({ "thinking": { "type": "adaptive" } }),
        json!({ "seed": 1 }),
    ] {
        assert_ne!(fingerprint(other.clone()), plain, "{other}");
    }
}

#[test]
fn a_request_whose_tokens_are_counted_needs_no_limit() {
    let Value::Object(mut body) = with(json!({})) else { panic!() };
    assert_eq!(MessagesRequest::countable(body.clone()).unwrap().question.max_output, 0);
    body.remove("max_tokens");
    assert!(MessagesRequest::countable(body.clone()).is_ok() && MessagesRequest::parse(body).is_err());
}
