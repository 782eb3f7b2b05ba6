//! The cases of the compliance tests of Open Responses, and more, with the types of its OpenAPI
//! document.

use serde_json::json;

use super::{Bench, RESPONSES, tool_call};
use crate::sdk::programs::Sdks;
use crate::support::upstream::{Step, done, finish, head, role, text, usage};

/// The cases without tools, with the number of messages and what the upstream must get.
const CASES: [(&str, usize, &str); 6] = [
    ("basic text", 1, "Say hello."),
    ("streaming", 1, "Say hello."),
    ("system prompt", 1, r#""role":"system""#),
    ("image input", 1, r#"{"url":"data:image/png;base64,"#),
    ("several turns", 1, "Hello, Ada!"),
    ("a previous response", 2, "Say it again."),
];

#[test]
fn answers_are_what_open_responses_specifies() {
    let Some(mut bench) = Bench::of("Open Responses", RESPONSES, Sdks::Python) else { return };
    let prepare = |bench: &Bench, case: &str| {
        bench.with_variables(bench.program("check_open_responses.py", "")).argument(case)
    };
    for (case, messages, sent) in CASES {
        let program = prepare(&bench, case);
        let said = bench.costs(case, &["big"; 2][..messages], || program.run());
        assert_eq!(said.trim(), "Hello", "{case}");
        let last = bench.last_request()["messages"].to_string();
        assert!(last.contains(sent), "{case}: {last}");
    }
    for case in ["tool calling", "streamed tool calling"] {
        let program = prepare(&bench, case);
        bench.upstream.next(tool_call("weather", &json!({ "town": "Oslo" })));
        let said = bench.costs(case, &["big"], || program.run());
        assert_eq!(said.trim(), r#"weather {"town":"Oslo"}"#, "{case}");
    }

    let case = "an answer that is too long";
    let program = prepare(&bench, case);
    bench.upstream.next([head(), role(), text("Hel"), finish("length"), usage(3, 1), done(), Step::End]);
    assert_eq!(bench.costs(case, &["big"], || program.run()).trim(), "Hel");

    let program = prepare(&bench, "a stream that breaks off");
    let said = bench.breaks_off(1, || program.run());
    assert!(said.starts_with("failed: "), "{said}");
    let program = prepare(&bench, "refused");
    bench.is_refused(1, || program.run());
    bench.end();
}
