//! `multipart/form-data` (RFC 7578) with fields of text only. The body is in memory already, within
//! its limits, so no library has to read it in pieces.

use super::fields::{Fields, text};
use super::parameter::parameter;
use crate::api::body::unreadable;
use crate::domain::Invalid;

/// Adds the fields of a body.
///
/// # Errors
/// Says why the body cannot be parsed, or that it contains a file.
pub(super) fn parse(bytes: &[u8], boundary: &str, fields: &mut Fields) -> Result<(), Invalid> {
    let cut_short = || unreadable("it has no end: the last line of its boundary is missing");
    let line = format!("\r\n--{boundary}");
    let line = line.as_bytes();
    // The first line of the boundary may be the first of the body. Text before it means nothing.
    let mut rest = match bytes.strip_prefix(&line[2..]) {
        Some(rest) => rest,
        None => split_at(bytes, line).ok_or_else(cut_short)?.1,
    };
    while !rest.starts_with(b"--") {
        let part = after_line(rest).ok_or_else(|| unreadable("its boundary is part of a longer line"))?;
        let (head, after) = split_at(part, b"\r\n\r\n").ok_or_else(cut_short)?;
        let (content, after) = split_at(after, line).ok_or_else(cut_short)?;
        let (name, charset) = read_head(head)?;
        fields.insert(name, text(content.to_vec(), charset.as_deref())?)?;
        rest = after;
    }
    Ok(())
}

/// Returns what follows the end of the current line, which may only have spaces left.
fn after_line(bytes: &[u8]) -> Option<&[u8]> {
    let spaces = bytes.iter().take_while(|byte| matches!(byte, b' ' | b'\t')).count();
    bytes[spaces..].strip_prefix(b"\r\n")
}

/// Splits bytes at the first `mark`, which begins with a CR.
fn split_at<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let mut from = 0;
    loop {
        let at = from + bytes[from..].iter().position(|byte| *byte == b'\r')?;
        if bytes[at..].starts_with(mark) {
            return Some((&bytes[..at], &bytes[at + mark.len()..]));
        }
        from = at + 1;
    }
}

/// Returns the name of a field, and the character set of its text if the head names one.
fn read_head(head: &[u8]) -> Result<(String, Option<String>), Invalid> {
    let head = std::str::from_utf8(head).map_err(|_| unreadable("the head of a field is not UTF-8"))?;
    let (mut name, mut charset) = (None, None);
    for line in head.split("\r\n") {
        let Some((header, value)) = line.split_once(':') else {
            return Err(unreadable("a line in the head of a field has no colon"));
        };
        match header.trim().to_ascii_lowercase().as_str() {
            "content-disposition" => {
                if parameter(value, "filename").or_else(|| parameter(value, "filename*")).is_some() {
                    return Err(unreadable("it contains a file: send only fields of text"));
                }
                name = parameter(value, "name");
            }
            "content-type" => charset = parameter(value, "charset"),
            "content-transfer-encoding" => {
                let is_plain =
                    ["7bit", "8bit", "binary"].iter().any(|coding| value.trim().eq_ignore_ascii_case(coding));
                if !is_plain {
                    return Err(unreadable(
                        "a field has a Content-Transfer-Encoding: send its text as it is",
                    ));
                }
            }
            _ => {}
        }
    }
    let name = name.filter(|name| !name.contains('\0')).ok_or_else(|| unreadable("a field has no name"))?;
    Ok((name, charset))
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value, json};

    use super::*;

    fn read(body: &[u8]) -> Result<Map<String, Value>, Invalid> {
        let mut fields = Fields::default();
        parse(body, "line", &mut fields).map(|()| fields.into_map())
    }

    const HELLO: &str = "--line\r\nContent-Disposition: form-data; name=\"message\"\r\n\r\nHello\r\n";

    #[test]
    fn fields_are_read_as_browsers_curl_and_java_write_them() {
        for (body, fields) in [
            (format!("{HELLO}--line--\r\n"), json!({ "message": "Hello" })),
            (format!("{HELLO}--line--"), json!({ "message": "Hello" })),
            (format!("a preamble\r\n{HELLO}--line--\r\nan epilogue"), json!({ "message": "Hello" })),
            (HELLO.replace("Hello", "") + "--line--", json!({ "message": "" })),
            (HELLO.replace("Hello", "\r\nGrüße\r\n--lin\r\n") + "--line--", json!({ "message": "\r\nGrüße\r\n--lin\r\n" })),
            (HELLO.replace("--line\r", "--line \t\r") + "--line--", json!({ "message": "Hello" })),
            (format!("{HELLO}{}--line--", HELLO.replace("Hello", "last")), json!({ "message": "last" })),
            (HELLO.replace("; name=\"message\"", ";name=message") + "--line--", json!({ "message": "Hello" })),
            (HELLO.replace("\"message\"", "\"a\\\"b\"") + "--line--", json!({ "a\"b": "Hello" })),
            (
                HELLO.replace("\r\n\r\n", "\r\nContent-Type: text/plain; charset=ISO-8859-1\r\nContent-Transfer-Encoding: 8bit\r\n\r\n")
                    + "--line--",
                json!({ "message": "Hello" }),
            ),
            ("--line--\r\n".to_owned(), json!({})),
        ] {
            assert_eq!(Value::from(read(body.as_bytes()).unwrap()), fields, "{body:?}");
        }
    }

    #[test]
    fn what_is_not_a_form_of_texts_is_rejected() {
        let end = "--line--";
        for body in [
            String::new(),
            "Hello".to_owned(),
            HELLO.to_owned(),
            format!("{HELLO}--line"),
            HELLO.replace("\r\n", "\n") + end,
            HELLO.to_owned() + &HELLO.replace("--line", "--linear") + end,
            HELLO.replace("name", "filename") + end,
            HELLO.replace("; name", "; filename*=UTF-8''a.txt; name") + end,
            HELLO.replace("; name=\"message\"", "") + end,
            HELLO.replace("Content-Disposition: ", "") + end,
            HELLO.replace("Hello", "Hel\0lo") + end,
            HELLO.replace("\r\n\r\n", "\r\nContent-Transfer-Encoding: base64\r\n\r\n") + end,
            HELLO.replace("\r\n\r\n", "\r\nContent-Type: text/plain; charset=latin1\r\n\r\nü") + end,
            HELLO.repeat(1001) + end,
        ] {
            assert_eq!(read(body.as_bytes()).unwrap_err().field, "body", "{body:.200?}");
        }
        let not_utf8 = [HELLO.replace("Hello\r\n", "").as_bytes(), b"\xff\r\n--line--"].concat();
        assert!(read(&not_utf8).is_err());
    }
}
