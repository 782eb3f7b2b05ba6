//! Blocks of content: texts, pictures and documents.

use serde_json::{Map, Value, json};

use super::super::fields::invalid;
use crate::error::{Error, Result};
use crate::responder::Part;

/// What stands between the texts of several blocks where the model reads one text.
pub(super) const BETWEEN_TEXTS: &str = "\n\n";

/// Returns the error of a message.
pub(super) fn wrong(reason: &str) -> Error {
    invalid("messages", reason)
}

/// Returns the error of a block of a kind that is not offered.
pub(super) fn not_offered(kind: &str, advice: &str) -> Error {
    wrong(&format!("blocks of the type \"{}\" are not offered: {advice}", shown(kind)))
}

/// Returns the beginning of a name that a client sent, for an error.
pub(super) fn shown(name: &str) -> String {
    name.chars().filter(|char| !char.is_control()).take(60).collect()
}

/// Returns a block's fields and its type.
pub(super) fn block(block: Value) -> Result<(Map<String, Value>, String)> {
    let Value::Object(mut fields) = block else {
        return Err(wrong("give each block of \"content\" as an object with a \"type\""));
    };
    match fields.remove("type") {
        Some(Value::String(kind)) => Ok((fields, kind)),
        _ => Err(wrong("give each block of \"content\" a \"type\"")),
    }
}

/// Takes a field that is a text.
pub(super) fn text(fields: &mut Map<String, Value>, name: &str, of: &str) -> Result<String> {
    match fields.remove(name) {
        Some(Value::String(text)) => Ok(text),
        _ => Err(wrong(&format!("give a block of the type \"{of}\" a text as its \"{name}\""))),
    }
}

/// Makes a part that is text.
pub(super) fn text_part(text: &str) -> Part {
    Part::parse(json!({ "type": "text", "text": text }))
}

/// Translates a block that the model reads: a text, a picture, a document or a search result.
/// Returns `None` for any other type, with the block as it was.
pub(super) fn readable(mut fields: Map<String, Value>, kind: &str) -> Result<Option<Vec<Part>>> {
    Ok(Some(match kind {
        "text" => vec![text_part(&text(&mut fields, "text", kind)?)],
        "image" => vec![image(source(&mut fields, kind)?)?],
        "document" => document(fields)?,
        "search_result" => vec![search_result(fields)?],
        _ => return Ok(None),
    }))
}

/// Takes the source of a picture or a document, and its type.
fn source(fields: &mut Map<String, Value>, of: &str) -> Result<(Map<String, Value>, String)> {
    let wanted = || wrong(&format!("give a block of the type \"{of}\" a \"source\" with a \"type\""));
    let Some(Value::Object(mut source)) = fields.remove("source") else { return Err(wanted()) };
    match source.remove("type") {
        Some(Value::String(kind)) => Ok((source, kind)),
        _ => Err(wanted()),
    }
}

/// Translates a picture.
fn image((mut source, kind): (Map<String, Value>, String)) -> Result<Part> {
    let url = match kind.as_str() {
        "base64" => {
            let media_type = text(&mut source, "media_type", "base64")?;
            if !media_type.starts_with("image/") {
                return Err(wrong("give an image a \"media_type\" such as \"image/png\""));
            }
            data_url(&media_type, &text(&mut source, "data", "base64")?)
        }
        "url" => text(&mut source, "url", "url")?,
        other => {
            return Err(wrong(&format!(
                "images by \"{}\" are not offered: give \"base64\" or \"url\"",
                shown(other)
            )));
        }
    };
    Ok(Part::parse(json!({ "type": "image_url", "image_url": { "url": url } })))
}

fn data_url(media_type: &str, data: &str) -> String {
    format!("data:{media_type};base64,{data}")
}

/// Translates a document. A text becomes text, below its title.
fn document(mut fields: Map<String, Value>) -> Result<Vec<Part>> {
    check_citations(&fields)?;
    let (mut source, kind) = source(&mut fields, "document")?;
    let mut note = |name: &str| match fields.remove(name) {
        Some(Value::String(text)) if !text.trim().is_empty() => Some(text),
        _ => None,
    };
    let (title, context) = (note("title"), note("context"));
    let heading = || [title.as_deref(), context.as_deref()].into_iter().flatten();
    Ok(match kind.as_str() {
        "base64" => {
            let media_type = text(&mut source, "media_type", "base64")?;
            if media_type != "application/pdf" {
                return Err(wrong(
                    "give a document the \"media_type\" \"application/pdf\", or send its text",
                ));
            }
            let data = data_url(&media_type, &text(&mut source, "data", "base64")?);
            let name = title.as_deref().unwrap_or("document.pdf");
            let file = json!({ "type": "file", "file": { "filename": name, "file_data": data } });
            let mut parts: Vec<Part> = context.as_deref().map(text_part).into_iter().collect();
            parts.push(Part::parse(file));
            parts
        }
        "text" => {
            let data = text(&mut source, "data", "text")?;
            let texts: Vec<&str> = heading().chain([data.as_str()]).collect();
            vec![text_part(&texts.join(BETWEEN_TEXTS))]
        }
        "content" => {
            let parts = parts(source.remove("content"))?;
            heading().map(text_part).chain(parts).collect()
        }
        other => {
            return Err(wrong(&format!(
                "documents by \"{}\" are not offered: give \"base64\" or \"text\"",
                shown(other)
            )));
        }
    })
}

/// Translates the content of a document: a text, or blocks that the model reads.
fn parts(content: Option<Value>) -> Result<Vec<Part>> {
    match content {
        Some(Value::String(text)) => Ok(vec![text_part(&text)]),
        Some(Value::Array(blocks)) => {
            let mut parts = Vec::new();
            for value in blocks {
                let (mut fields, kind) = block(value)?;
                match kind.as_str() {
                    "text" => parts.push(text_part(&text(&mut fields, "text", "text")?)),
                    "image" => parts.push(image(source(&mut fields, "image")?)?),
                    other => return Err(not_offered(other, "give a document texts and images")),
                }
            }
            Ok(parts)
        }
        _ => Err(wrong("give a document's \"content\" as a text or a list of blocks")),
    }
}

/// Translates a search result into text: title, source and texts.
fn search_result(mut fields: Map<String, Value>) -> Result<Part> {
    check_citations(&fields)?;
    let kind = "search_result";
    let mut texts = vec![text(&mut fields, "title", kind)?, text(&mut fields, "source", kind)?];
    for part in parts(fields.remove("content"))? {
        match part {
            Part::Text(part) => texts.extend(part["text"].as_str().map(str::to_owned)),
            Part::Medium(..) => return Err(wrong("give a search result texts only")),
        }
    }
    Ok(text_part(&texts.join(BETWEEN_TEXTS)))
}

/// Rejects citations, which no model here can give.
fn check_citations(fields: &Map<String, Value>) -> Result<()> {
    let wants = fields.get("citations").and_then(|citations| citations.get("enabled"));
    match wants {
        Some(Value::Bool(true)) => Err(wrong("citations are not offered: leave \"citations\" out")),
        _ => Ok(()),
    }
}
