//! Libraries, and programs that send a request themselves.

use serde_json::json;

use super::{Bench, tool_call};
use crate::sdk::programs::{Program, Sdks};
use crate::support::require;

/// Runs a program that has the steps of all libraries: a plain answer, a stream, a tool, and what
/// it shows when it is refused.
#[track_caller]
fn assert_library_works(client: &'static str, sdks: Sdks, program: &str, language: &str) {
    let Some(mut bench) = Bench::of(client, sdks) else { return };
    let settings = bench.settings(language);
    let steps = ["plain", "stream", "tools", "refused"].map(|step| {
        let prepared = bench.program(program, &settings).argument(step);
        move || prepared.run()
    });
    let [plain, stream, tools, refused] = steps;
    assert!(bench.costs("an answer", &["big"], plain).contains("Hello"));
    assert!(bench.costs("a stream", &["big"], stream).contains("Hello"));
    bench.upstream.next(tool_call("weather", &json!({ "town": "Oslo" })));
    let said = bench.costs("an answer that uses a tool", &["big", "big"], tools);
    assert!(said.contains("Hello"), "{said}");
    let requests = bench.upstream.requests();
    let last = requests.last().expect("the tool's result was sent").body["messages"].to_string();
    assert!(last.contains("It is sunny in Oslo."), "{last}");
    bench.is_refused(1, refused);
    bench.end();
}

#[test]
fn llamaindex_works_with_its_documented_settings() {
    assert_library_works("LlamaIndex", Sdks::LlamaIndex, "check_llamaindex.py", "python");
}

#[test]
fn pydantic_ai_works_with_its_documented_settings() {
    assert_library_works("Pydantic AI", Sdks::PydanticAi, "check_pydantic_ai.py", "python");
}

#[test]
fn vercels_ai_sdk_works_with_its_documented_settings() {
    assert_library_works("Vercel AI SDK", Sdks::Node, "check_vercel.mjs", "js");
}

#[test]
fn curl_works_with_its_documented_command() {
    let Some(mut bench) = Bench::of("curl", Sdks::Python) else { return };
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
    let Some(mut bench) = Bench::of("Python's requests", Sdks::Python) else { return };
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
