//! The tools of a request, and which of them the model may or must call.

use std::collections::{BTreeSet, HashSet};

use serde_json::{Map, Value, json};

use super::super::fields::{invalid, may_be_strict};
use super::custom;
use super::names::{Joined, ToolName};
use crate::domain::Invalid;
use crate::error::{Error, Result};

/// The tools of a request.
#[derive(Debug, Default)]
pub(super) struct Tools {
    /// Those that are offered, as the response repeats them.
    pub repeated: Vec<Value>,
    /// The same, as the upstream gets them.
    passed: Vec<Value>,
    /// What was left out.
    pub notes: Vec<String>,
    /// The types of those that were left out.
    skipped: Vec<String>,
    /// The tools of namespaces.
    pub joined: Joined,
    /// The names under which the upstream knows the custom tools.
    pub customs: BTreeSet<String>,
    /// The names that the upstream knows.
    names: HashSet<String>,
}

/// The kinds of tools that are offered.
const OFFERED: [&str; 2] = ["function", "custom"];

impl Tools {
    /// Parses the tools. Those of other kinds run at OpenAI and are left out, with a note.
    pub(super) fn parse(tools: Option<Value>) -> Result<Tools> {
        let tools = match tools {
            None | Some(Value::Null) => Vec::new(),
            Some(Value::Array(tools)) => tools,
            Some(_) => return Err(invalid("tools", "give a list of objects")),
        };
        let mut parsed = Tools::default();
        // Joined names avoid these.
        let names = tools.iter().filter_map(|tool| tool["name"].as_str().filter(|_| is_offered(tool)));
        parsed.names = names.map(str::to_owned).collect();
        for tool in tools {
            let Value::Object(tool) = tool else { return Err(invalid("tools", "give a list of objects")) };
            match tool.get("type").and_then(Value::as_str) {
                Some("namespace") => parsed.add_namespace(tool)?,
                _ => parsed.add(tool)?,
            }
        }
        Ok(parsed)
    }

    fn add(&mut self, tool: Map<String, Value>) -> Result<()> {
        if !self.pass(&tool, None)? {
            return Ok(());
        }
        let mut repeated = tool;
        if repeated.get("type").is_some_and(|kind| kind == "function") {
            for name in ["description", "parameters"] {
                repeated.entry(name).or_insert(Value::Null);
            }
            let is_strict = is_strict(&repeated);
            repeated.insert("strict".to_owned(), is_strict);
        }
        self.repeated.push(repeated.into());
        Ok(())
    }

    /// Adds the tools of a namespace, each under a name of its own.
    fn add_namespace(&mut self, namespace: Map<String, Value>) -> Result<()> {
        let name = name_of(&namespace)?;
        let Some(Value::Array(tools)) = namespace.get("tools") else {
            return Err(invalid("tools", "give each namespace its \"tools\" as a list"));
        };
        for tool in tools {
            let Value::Object(tool) = tool else { return Err(invalid("tools", "give a list of objects")) };
            self.pass(tool, Some(name))?;
        }
        self.repeated.push(namespace.into());
        Ok(())
    }

    /// Adds a tool to those that the upstream gets. Returns whether it is offered.
    fn pass(&mut self, tool: &Map<String, Value>, namespace: Option<&str>) -> Result<bool> {
        let kind = tool.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
        if !OFFERED.contains(&kind.as_str()) {
            if kind.is_empty() {
                return Err(invalid("tools", "give each tool a \"type\""));
            }
            self.notes.push(format!(
                "the tool of the type {kind:?} was left out: only function and custom tools are offered"
            ));
            self.skipped.push(kind);
            return Ok(false);
        }
        let name = name_of(tool)?;
        let passed_name = match namespace {
            Some(namespace) => self.join(ToolName::of(namespace, name))?,
            None => name.to_owned(),
        };
        if kind == "custom" {
            self.pass_custom(passed_name, tool)?;
            return Ok(true);
        }
        if self.customs.contains(&passed_name) {
            return Err(same_name());
        }
        let mut inner = Map::new();
        inner.insert("name".to_owned(), passed_name.into());
        for name in ["description", "parameters"] {
            if let Some(value) = tool.get(name).filter(|value| !value.is_null()) {
                inner.insert(name.to_owned(), value.clone());
            }
        }
        let is_strict = is_strict(tool);
        let is_default = is_strict == false && tool.get("strict").is_none_or(Value::is_null);
        inner.extend((!is_default).then(|| ("strict".to_owned(), is_strict)));
        self.passed.push(json!({ "type": "function", "function": inner }));
        Ok(true)
    }

    /// Adds a custom tool, which the upstream gets as a function.
    fn pass_custom(&mut self, name: String, tool: &Map<String, Value>) -> Result<()> {
        if self.passed.iter().any(|other| other["function"]["name"] == name.as_str()) {
            return Err(same_name());
        }
        self.passed.push(custom::as_function(&name, tool));
        self.customs.insert(name);
        Ok(())
    }

    /// Returns whether a tool is of this kind and has this name, as the upstream knows it.
    fn is_tool(&self, tool: &Value, kind: &str, name: &str) -> bool {
        let is_of_kind = match kind {
            "function" => !self.customs.contains(name),
            "custom" => self.customs.contains(name),
            _ => false,
        };
        is_of_kind && tool["function"]["name"] == name
    }

    /// Returns a free name for a tool of a namespace, and remembers it.
    fn join(&mut self, tool: ToolName) -> Result<String> {
        let joined = tool.join(|name| !self.names.contains(name));
        if !self.names.insert(joined.clone()) || self.joined.get(&tool.passed(&self.joined)) == Some(&tool) {
            return Err(invalid("tools", "give each tool of a namespace once"));
        }
        self.joined.insert(joined.clone(), tool);
        Ok(joined)
    }

    /// Returns the name under which the upstream knows a tool that a choice names.
    fn passed_name(&self, tool: &Map<String, Value>) -> String {
        let field = |name: &str| tool.get(name).and_then(Value::as_str);
        let namespace = field("namespace").map(str::to_owned);
        ToolName { namespace, name: field("name").unwrap_or_default().to_owned() }.passed(&self.joined)
    }

    /// Adds the fields that the upstream gets: the tools, and which of them to call.
    pub(super) fn write(mut self, choice: &Value, options: &mut Map<String, Value>) -> Result<()> {
        let choice = match choice {
            Value::Null => None,
            Value::String(mode) if ["auto", "none", "required"].contains(&mode.as_str()) => {
                Some(self.mode(mode)?)
            }
            Value::Object(fields) => Some(self.choice(fields)?),
            _ => return Err(unknown_choice()),
        };
        // Some upstreams reject a choice where there is nothing to choose.
        if !self.passed.is_empty() {
            options.insert("tools".to_owned(), self.passed.into());
            options.extend(choice.map(|choice| ("tool_choice".to_owned(), choice)));
        }
        Ok(())
    }

    fn mode(&self, mode: &str) -> Result<Value> {
        if mode == "required" && self.passed.is_empty() {
            return Err(invalid(
                "tool_choice",
                "give a tool that is offered, or \"auto\": there is no tool to call",
            ));
        }
        Ok(mode.into())
    }

    fn choice(&mut self, fields: &Map<String, Value>) -> Result<Value> {
        let kind = fields.get("type").and_then(Value::as_str).unwrap_or_default();
        match kind {
            "function" | "custom" => {
                let name = self.passed_name(fields);
                if !self.passed.iter().any(|tool| self.is_tool(tool, kind, &name)) {
                    return Err(no_such_tool(kind, &name));
                }
                Ok(json!({ "type": "function", "function": { "name": name } }))
            }
            "allowed_tools" => self.allow(fields),
            _ if kind.is_empty() => Err(unknown_choice()),
            _ => Err(no_such_tool(kind, kind)),
        }
    }

    /// Leaves out the tools that the request does not allow. The model cannot call what it does not
    /// know, whatever the upstream supports.
    fn allow(&mut self, fields: &Map<String, Value>) -> Result<Value> {
        let allowed = fields.get("tools").and_then(Value::as_array).ok_or_else(unknown_choice)?;
        let mut names = Vec::new();
        for tool in allowed.iter().filter_map(Value::as_object) {
            let kind = tool.get("type").and_then(Value::as_str).unwrap_or("function");
            let name = self.passed_name(tool);
            if kind == "namespace" {
                let inside = self.joined.iter().filter(|(_, tool)| tool.namespace.as_ref() == Some(&name));
                names.extend(inside.flat_map(|(name, _)| OFFERED.map(|kind| (kind, name.clone()))));
            } else if self.passed.iter().any(|tool| self.is_tool(tool, kind, &name)) {
                names.push((kind, name));
            } else if !self.skipped.iter().any(|skipped| skipped == kind) {
                return Err(no_such_tool(kind, &name));
            }
        }
        let mut passed = std::mem::take(&mut self.passed);
        passed.retain(|tool| names.iter().any(|(kind, name)| self.is_tool(tool, kind, name)));
        self.passed = passed;
        match fields.get("mode").and_then(Value::as_str).unwrap_or("auto") {
            mode @ ("auto" | "required" | "none") => self.mode(mode),
            _ => Err(unknown_choice()),
        }
    }
}

/// Returns whether the arguments of a function must follow its schema. The protocol's default is
/// that they must, where chat completions have the opposite. A schema that cannot be followed
/// strictly would be rejected by the upstream: for it, strictness must be asked for.
fn is_strict(function: &Map<String, Value>) -> Value {
    match function.get("strict") {
        Some(given) if !given.is_null() => given.clone(),
        _ => {
            let schema = function.get("parameters").filter(|schema| schema["type"] == "object");
            schema.is_some_and(may_be_strict).into()
        }
    }
}

/// Returns whether a tool of the request is of a kind that is offered.
fn is_offered(tool: &Value) -> bool {
    tool["type"].as_str().is_some_and(|kind| OFFERED.contains(&kind))
}

fn name_of(tool: &Map<String, Value>) -> Result<&str> {
    let name = tool.get("name").and_then(Value::as_str).filter(|name| !name.is_empty());
    name.ok_or_else(|| invalid("tools", "give each tool a \"name\""))
}

fn same_name() -> Error {
    invalid("tools", "give a custom tool a name that no other tool has")
}

fn unknown_choice() -> Error {
    invalid(
        "tool_choice",
        "give \"auto\", \"none\", \"required\", or an object of the type function, custom or allowed_tools",
    )
}

fn no_such_tool(kind: &str, name: &str) -> Error {
    let reason = format!("no {kind} tool {name:?} is offered: name a function or custom tool of \"tools\"");
    Error::Invalid(Invalid::new("tool_choice", reason))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn docs() -> Value {
        json!({ "type": "namespace", "name": "mcp__docs__", "description": "d", "tools": [
            { "type": "function", "name": "search", "description": "s", "strict": false, "parameters": {} },
            { "type": "function", "name": "read", "parameters": {} } ] })
    }

    fn names(options: &Map<String, Value>) -> Vec<&str> {
        let tools = options["tools"].as_array().unwrap();
        tools.iter().map(|tool| tool["function"]["name"].as_str().unwrap()).collect()
    }

    #[test]
    fn the_tools_of_a_namespace_become_functions() {
        let plain = json!({ "type": "function", "name": "mcp__docs__read" });
        let tools = Tools::parse(Some(json!([docs(), plain]))).unwrap();
        assert_eq!(tools.repeated[0], docs(), "they are repeated as they were sent");
        let (mut options, joined) = (Map::new(), tools.joined.clone());
        let choice = json!({ "type": "function", "namespace": "mcp__docs__", "name": "search" });
        tools.write(&choice, &mut options).unwrap();
        let [search, read, plain] = names(&options)[..] else { panic!("{options:?}") };
        assert_eq!((search, plain), ("mcp__docs__search", "mcp__docs__read"));
        assert_ne!(read, plain, "each name is one tool's");
        assert_eq!(joined[read], ToolName::of("mcp__docs__", "read"));
        assert_eq!(options["tool_choice"]["function"]["name"], search);
        assert_eq!(options["tools"][0]["function"]["description"], "s");
    }

    #[test]
    fn a_function_is_strict_unless_its_schema_cannot_be() {
        let closed = json!({ "type": "object", "properties": { "a": {} }, "required": ["a"],
            "additionalProperties": false });
        let open = json!({ "type": "object", "properties": { "a": {} } });
        for (parameters, strict, passed, repeated) in [
            (closed.clone(), Value::Null, json!(true), json!(true)),
            (closed, json!(false), json!(false), json!(false)),
            (open.clone(), Value::Null, Value::Null, json!(false)),
            (open, json!(true), json!(true), json!(true)),
            (json!({}), Value::Null, Value::Null, json!(false)),
            (Value::Null, Value::Null, Value::Null, json!(false)),
        ] {
            let tool = json!({ "type": "function", "name": "f", "parameters": parameters, "strict": strict });
            let tools = Tools::parse(Some(json!([tool]))).unwrap();
            assert_eq!(tools.repeated[0]["strict"], repeated, "{tool}");
            let mut options = Map::new();
            tools.write(&Value::Null, &mut options).unwrap();
            assert_eq!(options["tools"][0]["function"]["strict"], passed, "{tool}");
        }
    }

    #[test]
    fn a_namespace_can_be_allowed() {
        let tools = Tools::parse(Some(json!([docs(), { "type": "function", "name": "f" }]))).unwrap();
        let mut options = Map::new();
        let allowed = json!([{ "type": "namespace", "name": "mcp__docs__" }]);
        tools.write(&json!({ "type": "allowed_tools", "tools": allowed }), &mut options).unwrap();
        assert_eq!(names(&options), ["mcp__docs__search", "mcp__docs__read"]);
    }

    #[test]
    fn a_namespace_that_cannot_be_read_is_refused() {
        let twice = json!([{ "type": "function", "name": "a" }, { "type": "function", "name": "a" }]);
        for namespace in [
            json!({ "type": "namespace", "tools": [] }),
            json!({ "type": "namespace", "name": "n" }),
            json!({ "type": "namespace", "name": "n", "tools": [{ "type": "function" }] }),
            json!({ "type": "namespace", "name": "n", "tools": twice }),
        ] {
            assert!(Tools::parse(Some(json!([namespace]))).is_err(), "{namespace}");
        }
    }
}
