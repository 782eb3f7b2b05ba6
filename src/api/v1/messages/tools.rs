//! Tools, and how the model is to choose among them.

use serde_json::{Map, Value, json};

use super::super::fields::{flag, invalid};
use super::content::shown;
use crate::error::Result;

/// Translates the tools and the choice, and adds them to the options. Without tools, there is
/// nothing to choose.
///
/// # Errors
/// A tool or the choice has a wrong form, or is of a type that is not offered.
pub(super) fn add_tools(
    tools: Option<Value>,
    choice: Option<Value>,
    options: &mut Map<String, Value>,
) -> Result<()> {
    let tools = match tools {
        None | Some(Value::Null) => Vec::new(),
        Some(Value::Array(tools)) => tools,
        Some(_) => return Err(invalid("tools", "give a list of tools")),
    };
    let tools = tools.into_iter().map(tool).collect::<Result<Vec<_>>>()?;
    let choice = match choice {
        None | Some(Value::Null) => Map::new(),
        Some(Value::Object(choice)) => choice,
        Some(_) => return Err(invalid("tool_choice", "give an object with a \"type\"")),
    };
    let chosen = chosen(&choice)?;
    let is_one_at_a_time = flag(&choice, "disable_parallel_tool_use")
        .map_err(|_| invalid("tool_choice", "give \"disable_parallel_tool_use\" as true or false"))?;
    if tools.is_empty() {
        return Ok(());
    }
    options.insert("tools".to_owned(), Value::Array(tools));
    if let Some(chosen) = chosen {
        options.insert("tool_choice".to_owned(), chosen);
    }
    if is_one_at_a_time {
        options.insert("parallel_tool_calls".to_owned(), Value::Bool(false));
    }
    Ok(())
}

/// Translates a tool that the client runs.
fn tool(tool: Value) -> Result<Value> {
    let Value::Object(mut fields) = tool else { return Err(invalid("tools", "give each tool as an object")) };
    match fields.remove("type") {
        None | Some(Value::Null) => {}
        Some(Value::String(kind)) if kind == "custom" => {}
        // Tools that run at the upstream cost what no price here covers, and the other ones of
        // Anthropic's have no schema that another model could read.
        Some(kind) => {
            let kind = shown(kind.as_str().unwrap_or_default());
            let reason = format!(
                "the tool \"{kind}\" is not offered: give tools with \"name\" and \"input_schema\" only, \
                 which your program runs"
            );
            return Err(invalid("tools", &reason));
        }
    }
    let name = match fields.remove("name") {
        Some(Value::String(name)) if !name.is_empty() => name,
        _ => return Err(invalid("tools", "give each tool a \"name\"")),
    };
    let schema = match fields.remove("input_schema") {
        Some(schema @ Value::Object(_)) => schema,
        _ => return Err(invalid("tools", "give each tool an object as its \"input_schema\"")),
    };
    let mut function = json!({ "name": name });
    if let Some(description) = fields.remove("description").filter(Value::is_string) {
        function["description"] = description;
    }
    function["parameters"] = schema;
    if let Some(strict) = fields.remove("strict").filter(Value::is_boolean) {
        function["strict"] = strict;
    }
    Ok(json!({ "type": "function", "function": function }))
}

/// Translates the choice.
fn chosen(choice: &Map<String, Value>) -> Result<Option<Value>> {
    let kind = match choice.get("type") {
        None if choice.is_empty() => return Ok(None),
        kind => kind.and_then(Value::as_str),
    };
    Ok(Some(match (kind, choice.get("name").and_then(Value::as_str)) {
        (Some("auto"), _) => json!("auto"),
        (Some("any"), _) => json!("required"),
        (Some("none"), _) => json!("none"),
        (Some("tool"), Some(name)) => json!({ "type": "function", "function": { "name": name } }),
        (Some("tool"), None) => return Err(invalid("tool_choice", "name the tool")),
        _ => {
            let reason = "give the \"type\" \"auto\", \"any\", \"tool\" or \"none\"";
            return Err(invalid("tool_choice", reason));
        }
    }))
}
