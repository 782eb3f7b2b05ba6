//! Items of tools that run at OpenAI, or that this server does not offer. They come with a
//! conversation that began elsewhere, or under settings that asked for such tools.

use serde_json::{Map, Value};

use super::item::{text, wrong};
use crate::error::Result;

/// What an item is to the model.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Foreign {
    /// A call of a tool that the client runs.
    Call {
        /// The id by which its result is returned.
        call_id: String,
        /// The name of the tool.
        name: String,
        /// The arguments, as JSON.
        arguments: String,
    },
    /// What a call returned.
    Returned {
        /// The id of the call.
        call_id: String,
        /// What it returned.
        text: String,
    },
    /// A call with what it returned.
    Both {
        /// The id of the call.
        call_id: String,
        /// The name of the tool.
        name: String,
        /// The arguments, as JSON.
        arguments: String,
        /// What it returned.
        text: String,
    },
    /// Nothing: the answer that follows it has all that it says.
    Nothing,
}

/// Items that say nothing that the next answer does not say.
const SILENT: [&str; 7] = [
    "web_search_call",
    "file_search_call",
    "tool_search_call",
    "tool_search_output",
    "mcp_list_tools",
    "mcp_approval_request",
    "mcp_approval_response",
];

/// Items with contents that only OpenAI can read, or that are not text, and what to give instead.
const REFUSED: [(&str, &str); 7] = [
    ("compaction", "only OpenAI can read it: give the items that it stands for"),
    ("compaction_summary", "only OpenAI can read it: give the items that it stands for"),
    ("compaction_trigger", "nothing is compacted: leave it out, and give \"truncation\": \"auto\""),
    ("image_generation_call", "give its picture as an input_image of a message"),
    ("code_interpreter_call", "give its code and its outputs as a text of a message"),
    ("computer_call", "leave it out with its output, and give the screenshot as an input_image of a message"),
    ("computer_call_output", "give the screenshot as an input_image of a message"),
];

/// Reads an item.
///
/// # Errors
/// [`Error::Invalid`](crate::error::Error::Invalid), saying what to give instead, if the model
/// would miss what the item says.
pub(super) fn read(kind: &str, mut item: Map<String, Value>) -> Result<Foreign> {
    if SILENT.contains(&kind) {
        return Ok(Foreign::Nothing);
    }
    if let Some((_, instead)) = REFUSED.iter().find(|(refused, _)| *refused == kind) {
        return Err(wrong(&format!("an item of the type {kind:?} is not offered: {instead}")));
    }
    match kind {
        "local_shell_call" => call(&mut item, "local_shell", "action"),
        "shell_call" => call(&mut item, "shell", "action"),
        "apply_patch_call" => call(&mut item, "apply_patch", "operation"),
        "local_shell_call_output" | "shell_call_output" | "apply_patch_call_output" => {
            Ok(Foreign::Returned { call_id: call_id(&mut item)?, text: returned(&mut item) })
        }
        "mcp_call" => {
            let (server, name) = (text(&mut item, "server_label")?, text(&mut item, "name")?);
            let call_id = text(&mut item, "id")?;
            let arguments = text(&mut item, "arguments")?;
            let text = returned(&mut item);
            Ok(Foreign::Both { call_id, name: format!("{server}__{name}"), arguments, text })
        }
        other => Err(wrong(&format!("items of the type {other:?} are not offered: leave them out"))),
    }
}

fn call(item: &mut Map<String, Value>, name: &str, field: &str) -> Result<Foreign> {
    let call_id = call_id(item)?;
    match item.remove(field) {
        Some(arguments @ Value::Object(_)) => {
            Ok(Foreign::Call { call_id, name: name.to_owned(), arguments: arguments.to_string() })
        }
        _ => Err(wrong(&format!("give a {name} call its {field:?} as an object"))),
    }
}

/// Takes the id of a call. An output of `local_shell` has only an `id`, which is the call's.
fn call_id(item: &mut Map<String, Value>) -> Result<String> {
    let name = if item.get("call_id").is_some_and(Value::is_string) { "call_id" } else { "id" };
    text(item, name)
}

/// Takes what a call returned: its output or error, and whether it failed.
fn returned(item: &mut Map<String, Value>) -> String {
    let mut texts = Vec::new();
    if item.get("status").is_some_and(|status| status == "failed") {
        texts.push("failed".to_owned());
    }
    for name in ["error", "output"] {
        match item.remove(name) {
            None | Some(Value::Null) => {}
            Some(Value::String(text)) => texts.push(text),
            Some(other) => texts.push(other.to_string()),
        }
    }
    texts.join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn item(value: Value) -> Result<Foreign> {
        let Value::Object(item) = value else { panic!("{value}") };
        let kind = item["type"].clone();
        read(kind.as_str().unwrap_or_default(), item)
    }

    #[test]
    fn the_tools_of_a_client_are_called_like_functions() {
        for (kind, field, name) in [
            ("local_shell_call", "action", "local_shell"),
            ("shell_call", "action", "shell"),
            ("apply_patch_call", "operation", "apply_patch"),
        ] {
            let mut call = json!({ "type": kind, "id": "x", "call_id": "c", "status": "completed" });
            call[field] = json!({ "a": [1] });
            let (call_id, name, arguments) = ("c".to_owned(), name.to_owned(), "{\"a\":[1]}".to_owned());
            assert_eq!(item(call.clone()).unwrap(), Foreign::Call { call_id, name, arguments });
            call[field] = "a".into();
            assert!(item(call).is_err(), "{kind}");
        }
    }

    #[test]
    fn what_they_returned_is_text() {
        for (output, id, wanted) in [
            (json!({ "type": "local_shell_call_output", "id": "c", "output": "a" }), "c", "a"),
            (
                json!({ "type": "shell_call_output", "call_id": "c", "output": [{ "stdout": "a" }] }),
                "c",
                "[{\"stdout\":\"a\"}]",
            ),
            (
                json!({ "type": "apply_patch_call_output", "call_id": "c", "status": "failed", "output": "no" }),
                "c",
                "failed\nno",
            ),
            (json!({ "type": "apply_patch_call_output", "call_id": "c", "status": "completed" }), "c", ""),
        ] {
            let (call_id, text) = (id.to_owned(), wanted.to_owned());
            assert_eq!(item(output).unwrap(), Foreign::Returned { call_id, text });
        }
        let call = json!({ "type": "mcp_call", "id": "mcp_1", "server_label": "docs", "name": "search",
            "arguments": "{}", "error": null, "output": "found" });
        let wanted = Foreign::Both {
            call_id: "mcp_1".to_owned(),
            name: "docs__search".to_owned(),
            arguments: "{}".to_owned(),
            text: "found".to_owned(),
        };
        assert_eq!(item(call).unwrap(), wanted);
    }

    #[test]
    fn every_other_item_is_left_out_or_refused() {
        for kind in SILENT {
            assert_eq!(item(json!({ "type": kind, "id": "x" })).unwrap(), Foreign::Nothing);
        }
        let refused = REFUSED.map(|(kind, _)| kind);
        for kind in refused.into_iter().chain(["local_shell_call", "shell_call_output", "mcp_call", "dream"])
        {
            assert!(item(json!({ "type": kind })).is_err(), "{kind}");
        }
    }
}
