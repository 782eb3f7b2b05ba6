//! Libraries, and programs that send a request themselves.

use serde_json::json;

use super::{Api, Bench, CHAT_COMPLETIONS, MESSAGES, RESPONSES, tool_call};
use crate::sdk::programs::{Program, Sdks};
use crate::support::require;
use crate::support::upstream::{Step, answer, continued, done, embeddings, head, usage};

/// What the upstream says of Oslo.
const OSLO: &str = r#"{"town":"Oslo","degrees":21}"#;

/// The vectors that the upstream returns. Each number is exact, and JSON and base64 keep it.
const VECTORS: [&[f32]; 2] = [&[0.25, -0.5], &[1.5, 2.0]];

/// Where a library has its settings from.
enum Settings {
    /// The variables of its section.
    Variables,
    /// The block of this language that contains this word.
    Block(&'static str, &'static str),
}

/// How a library asks for an answer of a given form.
enum Structured {
    /// By `response_format`.
    Format,
    /// By a tool with this name.
    Tool(&'static str),
}

/// A library, and the program that uses it. All of them have the same steps.
struct Library {
    client: &'static str,
    api: Api,
    sdks: Sdks,
    program: &'static str,
    settings: Settings,
    structured: Structured,
    /// The number of calls for an answer that breaks off, and of requests without balance.
    attempts: (usize, usize),
}

impl Library {
    /// Prepares a step of the program.
    fn step(&self, bench: &Bench, step: &str) -> Program {
        let program = match self.settings {
            Settings::Variables => bench.with_variables(bench.program(self.program, "")),
            Settings::Block(language, word) => {
                bench.program(self.program, &bench.settings_with(language, word))
            }
        };
        program.argument(step)
    }
}

/// Runs a program that has the steps of all libraries: a plain answer, a stream, a tool, an answer
/// of a given form, one that breaks off, and what it shows when it is refused. Before that, it does
/// what only this library has.
#[track_caller]
fn assert_library_works(library: &Library, more: impl FnOnce(&mut Bench)) {
    let Some(mut bench) = Bench::of(library.client, library.api, library.sdks) else { return };
    for (what, step) in [("an answer", "plain"), ("a stream", "stream")] {
        let program = library.step(&bench, step);
        let said = bench.costs(what, &["big"], || program.run());
        assert_eq!(said.trim(), "Hello");
    }

    let program = library.step(&bench, "tools");
    bench.upstream.next(tool_call("weather", &json!({ "town": "Oslo" })));
    let said = bench.costs("an answer that uses a tool", &["big", "big"], || program.run());
    assert_eq!(said.trim(), "Hello");
    let last = bench.last_request();
    assert!(last["messages"].to_string().contains("It is sunny in Oslo."), "{last}");

    let program = library.step(&bench, "structured");
    bench.upstream.next(match library.structured {
        Structured::Format => answer(OSLO, 3, 2),
        Structured::Tool(name) => tool_call(name, &serde_json::from_str(OSLO).expect("it is JSON")),
    });
    let said = bench.costs("an answer of a given form", &["big"], || program.run());
    assert_eq!(said.trim(), "Oslo 21");
    let last = bench.last_request();
    let asked = match library.structured {
        Structured::Format => !last["response_format"].is_null(),
        Structured::Tool(name) => last["tools"].to_string().contains(&format!(r#""name":"{name}""#)),
    };
    assert!(asked, "{last}");

    let program = library.step(&bench, "cut");
    let said = bench.breaks_off(library.attempts.0, || program.run());
    assert_failed(&said);

    more(&mut bench);
    let program = library.step(&bench, "refused");
    bench.is_refused(library.attempts.1, || program.run());
    bench.end();
}

/// Checks that a program has noticed a failure.
#[track_caller]
fn assert_failed(printed: &str) {
    assert!(printed.lines().any(|line| line.starts_with("failed: ")), "{printed}");
    assert!(!printed.contains("whole: "), "{printed}");
}

/// A library that uses chat completions, with the settings of this language.
fn chatting(client: &'static str, sdks: Sdks, program: &'static str, language: &'static str) -> Library {
    Library {
        client,
        api: CHAT_COMPLETIONS,
        sdks,
        program,
        settings: Settings::Block(language, ""),
        structured: Structured::Format,
        attempts: (1, 1),
    }
}

#[test]
fn llamaindex_works_with_its_documented_settings() {
    let library = chatting("LlamaIndex", Sdks::LlamaIndex, "check_llamaindex.py", "python");
    assert_library_works(&Library { structured: Structured::Tool("Town"), ..library }, |_| {});
}

#[test]
fn llamaindex_works_with_responses_and_embeddings() {
    let library = Library {
        api: RESPONSES,
        settings: Settings::Block("python", "OpenAIResponses"),
        ..chatting("LlamaIndex", Sdks::LlamaIndex, "check_llamaindex.py", "python")
    };
    assert_library_works(&library, |bench| {
        assert_embeds(bench, &library, "OpenAIEmbedding");
    });
}

#[test]
fn pydantic_ai_works_with_its_documented_settings() {
    let library = chatting("Pydantic AI", Sdks::PydanticAi, "check_pydantic_ai.py", "python");
    assert_library_works(&Library { structured: Structured::Tool("final_result"), ..library }, |_| {});
}

#[test]
fn pydantic_ai_works_with_responses() {
    let library = Library {
        api: RESPONSES,
        settings: Settings::Block("python", "OpenAIResponsesModel"),
        structured: Structured::Tool("final_result"),
        ..chatting("Pydantic AI", Sdks::PydanticAi, "check_pydantic_ai.py", "python")
    };
    assert_library_works(&library, |_| {});
}

#[test]
fn pydantic_ai_works_with_messages() {
    let library = Library {
        api: MESSAGES,
        settings: Settings::Block("python", "AnthropicModel"),
        structured: Structured::Tool("final_result"),
        ..chatting("Pydantic AI", Sdks::PydanticAi, "check_pydantic_ai.py", "python")
    };
    assert_library_works(&library, |_| {});
}

#[test]
fn vercels_ai_sdk_works_with_its_documented_settings() {
    let library = chatting("Vercel AI SDK", Sdks::Node, "check_vercel.mjs", "js");
    assert_library_works(&library, |_| {});
}

#[test]
fn vercels_ai_sdk_works_with_responses_and_embeddings() {
    let library = Library {
        api: RESPONSES,
        settings: Settings::Block("js", "createOpenAI("),
        ..chatting("Vercel AI SDK", Sdks::Node, "check_vercel.mjs", "js")
    };
    assert_library_works(&library, |bench| {
        assert_embeds(bench, &library, "createOpenAI(");
    });
}

#[test]
fn vercels_ai_sdk_works_with_messages() {
    let library = Library {
        api: MESSAGES,
        settings: Settings::Block("js", "createAnthropic("),
        structured: Structured::Tool("json"),
        ..chatting("Vercel AI SDK", Sdks::Node, "check_vercel.mjs", "js")
    };
    assert_library_works(&library, |_| {});
}

#[test]
fn langchain_works_with_responses_and_embeddings() {
    let library = Library {
        api: RESPONSES,
        settings: Settings::Block("python", "use_responses_api"),
        ..chatting("LangChain", Sdks::Python, "check_langchain_models.py", "python")
    };
    assert_library_works(&library, |bench| {
        assert_embeds(bench, &library, "OpenAIEmbeddings");
    });
}

#[test]
fn langchain_works_with_messages() {
    let library = Library {
        api: MESSAGES,
        settings: Settings::Block("python", "ChatAnthropic"),
        structured: Structured::Tool("Town"),
        ..chatting("LangChain", Sdks::Python, "check_langchain_models.py", "python")
    };
    assert_library_works(&library, |_| {});
}

#[test]
fn mirascope_works_with_its_documented_settings() {
    let library =
        Library { api: RESPONSES, ..chatting("Mirascope", Sdks::Mirascope, "check_mirascope.py", "python") };
    assert_library_works(&library, |_| {});
}

#[test]
fn mirascope_works_with_messages() {
    let library = Library {
        api: MESSAGES,
        settings: Settings::Block("python", "anthropic"),
        ..chatting("Mirascope", Sdks::Mirascope, "check_mirascope.py", "python")
    };
    assert_library_works(&library, |_| {});
}

#[test]
fn inspect_works_with_its_documented_settings() {
    let library = Library {
        api: RESPONSES,
        attempts: (2, 1),
        ..chatting("Inspect", Sdks::Inspect, "check_inspect.py", "python")
    };
    assert_library_works(&library, |_| {});
}

/// A library of one protocol, which has its settings from variables.
fn by_variables(client: &'static str, api: Api, sdks: Sdks, program: &'static str) -> Library {
    Library { api, settings: Settings::Variables, ..chatting(client, sdks, program, "sh") }
}

#[test]
fn openais_agents_sdk_for_python_works_with_its_documented_settings() {
    let client = "OpenAI Agents SDK for Python";
    assert_library_works(&by_variables(client, RESPONSES, Sdks::Python, "check_agents.py"), |_| {});
}

#[test]
fn openais_agents_sdk_for_javascript_works_with_its_documented_settings() {
    let client = "OpenAI Agents SDK for JavaScript";
    assert_library_works(&by_variables(client, RESPONSES, Sdks::Node, "check_agents.mjs"), |_| {});
}

#[test]
fn openais_python_sdk_works_with_responses_completions_and_embeddings() {
    let client = "OpenAI's SDK for Python";
    let library = by_variables(client, RESPONSES, Sdks::Python, "check_openai.py");
    assert_library_works(&library, |bench| assert_has_openais_other_apis(bench, &library));
}

#[test]
fn openais_javascript_sdk_works_with_responses_completions_and_embeddings() {
    let client = "OpenAI's SDK for JavaScript";
    let library = by_variables(client, RESPONSES, Sdks::Node, "check_openai.mjs");
    assert_library_works(&library, |bench| assert_has_openais_other_apis(bench, &library));
}

#[test]
fn anthropics_python_sdk_works_with_its_documented_settings() {
    let client = "Anthropic's SDK for Python";
    let library = by_variables(client, MESSAGES, Sdks::Python, "check_anthropic.py");
    assert_library_works(&library, |bench| assert_counts(bench, &library));
}

#[test]
fn anthropics_javascript_sdk_works_with_its_documented_settings() {
    let client = "Anthropic's SDK for JavaScript";
    let library = by_variables(client, MESSAGES, Sdks::Node, "check_anthropic.mjs");
    assert_library_works(&library, |bench| assert_counts(bench, &library));
}

/// Lets a program count tokens, which costs nothing and asks no model.
fn assert_counts(bench: &mut Bench, library: &Library) {
    let program = library.step(bench, "count");
    assert_eq!(bench.costs("counting tokens", &[], || program.run()).trim(), "True");
}

/// Lets a library make two vectors, with the settings that contain this word.
fn assert_embeds(bench: &mut Bench, library: &Library, word: &str) {
    let Settings::Block(language, _) = library.settings else { panic!("it has settings in the document") };
    let program = bench.program(library.program, &bench.settings_with(language, word)).argument("embeddings");
    bench.upstream.next(embeddings(&VECTORS, 3));
    let said = bench.costs("two embeddings", &["vectors"], || program.run());
    // Python writes 2.0, and JavaScript 2.
    let vectors: Vec<Vec<f32>> = serde_json::from_str(said.trim()).expect("it prints the vectors");
    assert_eq!(vectors, VECTORS);
}

/// Runs what OpenAI's SDK also has: stored responses, completions and embeddings.
fn assert_has_openais_other_apis(bench: &mut Bench, library: &Library) {
    let program = library.step(bench, "stored");
    let said = bench.costs("two answers, the second to the first", &["big", "big"], || program.run());
    assert!(said.starts_with("Hello\n"), "{said}");
    assert_failed(&said);
    let last = bench.last_request();
    let places = ["Say hello.", "Hello", "Say it again."].map(|word| last["messages"].to_string().find(word));
    assert!(places[0].is_some() && places.is_sorted(), "{last}");

    let words = || {
        [head(), continued(0, "Hello", None), continued(0, "", Some("stop")), usage(3, 2), done(), Step::End]
    };
    for (what, step) in [("a completion", "completion"), ("a streamed completion", "streamed completion")] {
        let program = library.step(bench, step);
        bench.upstream.next(words());
        let said = bench.costs(what, &["big"], || program.run());
        assert_eq!(said.trim(), "Hello");
    }
    bench.upstream.when("Cut the text short.", [head(), continued(0, "Hel", None), Step::Close]);
    let program = library.step(bench, "cut completion");
    let said = bench.breaks_off(1, || program.run());
    assert_failed(&said);

    for (step, count) in [("embeddings", 2), ("embeddings as floats", 1)] {
        let program = library.step(bench, step);
        bench.upstream.next(embeddings(&VECTORS[..count], 3));
        let said = bench.costs(step, &["vectors"], || program.run());
        let (vectors, tokens) = said.trim().rsplit_once(' ').expect("vectors and a number");
        let vectors: Vec<Vec<f32>> = serde_json::from_str(vectors).expect("it prints the vectors");
        assert_eq!(vectors, VECTORS[..count]);
        assert_eq!(tokens, "3");
    }
}

#[test]
fn curl_works_with_its_documented_command() {
    let Some(mut bench) = Bench::of("curl", CHAT_COMPLETIONS, Sdks::Python) else { return };
    let settings = bench.settings("sh");
    let [plain, refused] = [(); 2].map(|()| Program::new(&bench.place, "curl.sh", Some(&settings)));
    let said = bench.costs("an answer", &["big"], || plain.run());
    assert!(said.contains(r#""content":"Hello""#), "{said}");
    bench.is_refused(1, || refused.run());
    bench.end();
}

/// The clients of the services that Tollgate replaces.
#[test]
fn pythons_requests_sends_forms_to_the_paths_of_the_old_services() {
    if !require::proofs() {
        return;
    }
    let old = Api { name: "", path: "/chat/" };
    let Some(mut bench) = Bench::of("Python's requests", old, Sdks::Python) else { return };
    let settings = bench.settings("python");
    let program = || Program::new(&bench.place, "forms.py", Some(&settings));
    let [plain, refused] = [program(), program()];
    let said = bench.costs("an answer", &["big"], || plain.run());
    assert_eq!(said.trim(), "201 {'message': 'Hello', 'response': 'Hello'}");
    bench.drain();
    let done = bench.observe(|| refused.run());
    assert_eq!(done.printed.trim(), "400 {'error': 'Insufficient tokens'}");
    bench.results.push("empty balance: shows the reason".to_owned());
    bench.end();
}
