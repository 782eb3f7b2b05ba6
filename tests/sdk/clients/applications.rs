//! Programs that people use, which send more messages than their users see.

use std::net::{Ipv4Addr, TcpListener};

use serde_json::{Value, json};

use super::{Bench, CHAT_COMPLETIONS, MESSAGES, RESPONSES, tool_call};
use crate::sdk::programs::{Program, Sdks};
use crate::support::upstream::answer;

fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap().local_addr().unwrap().port()
}

#[test]
fn aider_works_with_its_documented_settings() {
    let Some(mut bench) = Bench::of("aider", CHAT_COMPLETIONS, Sdks::Aider) else { return };
    let settings = bench.settings("yaml");
    let [plain, edit, refused] = ["Say hello.", "Change the file.", "Say hello."].map(|message| {
        bench.program("check_aider.sh", "").file(".aider.conf.yml", &settings).argument(message)
    });
    let said = bench.costs("a question", &["big"], || plain.run());
    assert!(said.contains("Hello"), "{said}");

    bench.upstream.when("one-line Git commit messages", answer("feat: say goodbye", 3, 2));
    bench.upstream.when("Change the file.", answer("hello.txt\n```\ngoodbye\n```\n", 3, 2));
    let said = bench.costs("a change with its commit", &["big", "small"], || edit.run());
    assert!(said.contains("The last commit: feat: say goodbye"), "{said}");

    // It waits longer each time, for a minute in all.
    bench.is_refused(9, || refused.run());
    bench.end();
}

#[test]
fn opencode_works_with_its_documented_settings() {
    let Some(mut bench) = Bench::of("opencode", CHAT_COMPLETIONS, Sdks::OpenCode) else { return };
    let settings = bench.settings("json");
    let [plain, session, tools, refused] = ["plain", "session", "plain", "plain"].map(|step| {
        bench.program("check_opencode.sh", "").file("project/opencode.json", &settings).argument(step)
    });
    let said = bench.costs("the first message of a session", &["big", "small"], || plain.run());
    assert!(said.contains("Hello"), "{said}");
    bench.costs("two messages of a session", &["big", "big", "small"], || session.run());

    bench.upstream.when(r#""role":"tool""#, answer("It is done", 3, 2));
    let call = json!({ "command": "echo sunny", "description": "Says how the weather is" });
    // Only the requests with tools name this one.
    bench.upstream.when(r#""name":"bash""#, tool_call("bash", &call));
    let said = bench.costs("a first message with a tool", &["big", "big", "small"], || tools.run());
    assert!(said.contains("It is done"), "{said}");

    // The title is refused, too.
    bench.is_refused(2, || refused.run());
    bench.end();
}

/// Returns whether a request has the result of a tool that contains this word.
fn has_result(body: &Value, word: &str) -> bool {
    let messages = body["messages"].as_array().expect("messages");
    messages.iter().any(|message| message["role"] == "tool" && message["content"].to_string().contains(word))
}

#[test]
fn codex_works_with_its_documented_settings() {
    let Some(mut bench) = Bench::of("Codex", RESPONSES, Sdks::Codex) else { return };
    let settings = bench.settings("toml");
    let [plain, tools, structured, cut, refused] = ["plain", "tools", "structured", "cut", "refused"]
        .map(|step| bench.program("check_codex.sh", "").file(".codex/config.toml", &settings).argument(step));
    let said = bench.costs("a question", &["big"], || plain.run());
    assert!(said.contains("Hello") && !said.contains("failed: "), "{said}");

    bench.upstream.next(tool_call("exec_command", &json!({ "cmd": "echo sunny" })));
    let said = bench.costs("a question with a tool", &["big", "big"], || tools.run());
    assert!(said.contains("Hello"), "{said}");
    assert!(has_result(&bench.last_request(), "sunny"), "{}", bench.last_request());

    bench.upstream.next(answer(r#"{"town":"Oslo","degrees":21}"#, 3, 2));
    let said = bench.costs("an answer of a given form", &["big"], || structured.run());
    assert!(said.contains(r#"{"town":"Oslo","degrees":21}"#), "{said}");
    assert_eq!(bench.last_request()["response_format"]["type"], "json_schema");

    // It tries again, longer each time, for eight seconds in all.
    let said = bench.breaks_off(6, || cut.run());
    assert!(said.contains("failed: 1"), "{said}");
    bench.is_refused(6, || refused.run());
    bench.end();
}

#[test]
fn claude_code_works_with_its_documented_settings() {
    let Some(mut bench) = Bench::of("Claude Code", MESSAGES, Sdks::ClaudeCode) else { return };
    let [plain, tools, structured, cut, refused] = ["plain", "tools", "structured", "cut", "refused"]
        .map(|step| bench.with_variables(bench.program("check_claude_code.sh", "")).argument(step));
    let said = bench.costs("a question", &["big"], || plain.run());
    assert!(said.contains("Hello") && !said.contains("failed: "), "{said}");

    bench.upstream.next(tool_call("Bash", &json!({ "command": "echo sunny", "description": "Says it" })));
    let said = bench.costs("a question with a tool", &["big", "big"], || tools.run());
    assert!(said.contains("Hello"), "{said}");
    assert!(has_result(&bench.last_request(), "sunny"), "{}", bench.last_request());

    bench.upstream.next(tool_call("StructuredOutput", &json!({ "town": "Oslo", "degrees": 21 })));
    let said = bench.costs("an answer of a given form", &["big"], || structured.run());
    assert!(said.contains(r#"{"town":"Oslo","degrees":21}"#), "{said}");

    // It asks again, for an answer in one piece.
    let said = bench.recovers(|| cut.run());
    assert!(said.contains("Hello") && !said.contains("Hel\n"), "{said}");
    bench.is_refused(1, || refused.run());
    bench.end();
}

#[test]
fn open_webui_works_with_its_documented_settings() {
    let Some(mut bench) = Bench::of("Open WebUI", CHAT_COMPLETIONS, Sdks::OpenWebUi) else { return };
    // The last line starts it.
    let settings = bench.settings("sh").replace("open-webui serve", "");
    let port = free_port().to_string();
    let webui = bench.program("check_open_webui.sh", &settings).env("PORT", &port).start();
    let place = bench.place.clone();
    let step = |step: &str| {
        Program::new(&place, "check_open_webui.py", None).env("PORT", &port).argument(step).run()
    };
    bench.upstream.when("Generate a concise title", answer(r#"{"title":"Greeting"}"#, 3, 2));
    bench.upstream.when("broad tags", answer(r#"{"tags":["Greeting"]}"#, 3, 2));
    bench.upstream.when("useful messages this user", answer(r#"{"follow_ups":["And now?"]}"#, 3, 2));

    let said =
        bench.costs("the first message of a chat", &["big", "small", "small", "small"], || step("first"));
    for shown in ["'Hello'", "'Greeting'", "['And now?']"] {
        assert!(said.contains(shown), "{said}");
    }
    bench.costs("a further message", &["big", "small"], || step("second"));
    bench.is_refused(1, || step("refused"));
    drop(webui);
    bench.end();
}

#[test]
fn litellms_proxy_works_with_its_documented_settings() {
    let Some(mut bench) = Bench::of("LiteLLM in front", CHAT_COMPLETIONS, Sdks::LiteLlm) else { return };
    let settings = bench.settings("yaml");
    let port = free_port().to_string();
    let proxy =
        bench.program("check_litellm.sh", "").file("config.yaml", &settings).env("PORT", &port).start();
    let place = bench.place.clone();
    let step =
        |step: &str| Program::new(&place, "check_litellm.py", None).env("PORT", &port).argument(step).run();
    assert!(bench.costs("an answer", &["big"], || step("plain")).contains("Hello"));
    assert!(bench.costs("a stream", &["small"], || step("stream")).contains("Hello"));
    bench.upstream.next(tool_call("weather", &json!({ "town": "Oslo" })));
    assert!(bench.costs("an answer that calls a tool", &["big"], || step("tools")).contains("Oslo"));
    bench.is_refused(1, || step("refused"));
    drop(proxy);
    bench.end();
}
