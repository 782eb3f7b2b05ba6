use super::*;

/// Adds parts, and returns the whole calls and the parts as clients get them.
fn added(parts: &[Value]) -> (Value, Vec<Value>) {
    let (mut calls, mut news) = (ToolCalls::default(), Vec::new());
    for part in parts {
        calls.add(ToolCall::parse(part.clone()).unwrap(), true, &mut news);
    }
    calls.end(&mut news);
    let whole: Vec<&ToolCall> = calls.iter().collect();
    (json!(whole), news.iter().map(|part| json!(part)).collect())
}

fn part(index: u32, id: &str, name: &str, arguments: &str) -> Value {
    json!({ "index": index, "id": id, "type": "function", "function": { "name": name, "arguments": arguments } })
}

fn call(index: u32, id: &str, name: &str, arguments: &str) -> Value {
    part(index, id, name, arguments)
}

#[test]
fn an_empty_id_never_replaces_an_id() {
    let (whole, news) =
        added(&[part(0, "call_a1", "f", ""), part(0, "", "", "{\"a\""), part(0, "", "", ":1}")]);
    assert_eq!(whole, json!([call(0, "call_a1", "f", "{\"a\":1}")]));
    let rest = json!({ "index": 0, "function": { "arguments": ":1}" } });
    assert_eq!(news, [call(0, "call_a1", "f", "{\"a\""), rest]);
}

#[test]
fn a_name_in_each_part_counts_once_and_a_name_in_pieces_is_joined() {
    let repeated = [part(0, "a", "read_file", "{"), part(0, "a", "read_file", "}")];
    assert_eq!(added(&repeated).0, json!([call(0, "a", "read_file", "{}")]));
    let pieces = [part(0, "a", "read_", ""), part(0, "", "file", ""), part(0, "", "", "{}")];
    let (whole, news) = added(&pieces);
    assert_eq!(whole, json!([call(0, "a", "read_file", "{}")]));
    assert_eq!(news.len(), 1, "the name is sent once, complete: {news:?}");
}

#[test]
fn a_signature_in_each_part_is_kept_once() {
    let signed = |arguments: &str| {
        let mut part = part(0, "a", "f", arguments);
        part["extra_content"] = json!({ "google": { "thought_signature": "abc" } });
        part
    };
    let (whole, news) = added(&[signed("{"), signed("}")]);
    assert_eq!(whole[0]["extra_content"]["google"]["thought_signature"], "abc");
    assert_eq!(news[1].get("extra_content"), None);
}

#[test]
fn calls_with_the_same_index_are_told_apart_by_their_ids() {
    for index in [Some(0), None] {
        let one = |id: &str, name: &str| {
            let mut part = part(0, id, name, "{}");
            match index {
                Some(index) => part["index"] = json!(index),
                None => drop(part.as_object_mut().unwrap().remove("index")),
            }
            part
        };
        let (whole, _) = added(&[one("a", "f"), one("b", "f"), one("c", "g")]);
        assert_eq!(whole, json!([call(0, "a", "f", "{}"), call(1, "b", "f", "{}"), call(2, "c", "g", "{}")]));
    }
}

#[test]
fn an_id_that_changes_with_each_part_begins_no_call() {
    let parts = [part(0, "a", "f", "{\"x\""), part(0, "b", "f", ":1"), part(0, "c", "", "}")];
    assert_eq!(added(&parts).0, json!([call(0, "a", "f", "{\"x\":1}")]));
}

#[test]
fn calls_without_ids_are_told_apart_by_their_names() {
    let (whole, _) = added(&[part(0, "", "f", "{\"x\":1}"), part(0, "", "g", "{}")]);
    assert_eq!(whole[0]["function"], json!({ "name": "f", "arguments": "{\"x\":1}" }));
    assert_eq!(whole[1]["function"], json!({ "name": "g", "arguments": "{}" }));
}

#[test]
fn a_tool_of_another_kind_is_in_the_field_of_functions() {
    let mut call = part(0, "a", "$web_search", "{}");
    call["type"] = json!("builtin_function");
    assert_eq!(added(&[call.clone()]).0, json!([call]));
}

#[test]
fn parts_of_two_calls_may_alternate() {
    let parts = [part(0, "a", "f", "{"), part(1, "b", "g", "["), part(0, "", "", "}"), part(1, "", "", "]")];
    assert_eq!(added(&parts).0, json!([call(0, "a", "f", "{}"), call(1, "b", "g", "[]")]));
}

#[test]
fn a_call_without_arguments_is_announced_at_the_end() {
    let (whole, news) = added(&[part(0, "a", "now", ""), json!({}), json!({ "index": 3 })]);
    assert_eq!(whole, json!([call(0, "a", "now", "")]));
    assert_eq!(news, [call(0, "a", "now", "")]);
}

#[test]
fn arguments_as_an_object_and_custom_tools_are_understood() {
    let object = json!({ "id": "a", "function": { "name": "f", "arguments": { "x": 1 } } });
    assert_eq!(added(&[object]).0, json!([call(0, "a", "f", "{\"x\":1}")]));
    let custom = |input: &str| json!({ "index": 0, "id": "c", "type": "custom", "custom": { "name": "sh", "input": input } });
    assert_eq!(added(&[custom("l"), custom("s")]).0, json!([custom("ls")]));
}

#[test]
fn arguments_may_be_cut_inside_a_character() {
    let high = part(0, "a", "f", "\"\u{10F03D}");
    let low = part(0, "", "", "\u{10F600}\"");
    let (whole, news) = added(&[high, low]);
    assert_eq!(whole[0]["function"]["arguments"], "\"😀\"");
    assert_eq!(news[1]["function"]["arguments"], "😀\"");
}
