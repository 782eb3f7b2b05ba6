//! `application/x-www-form-urlencoded`.

use super::fields::{Fields, text};
use crate::domain::Invalid;

/// Adds the fields of a body in this character set, `None` if its type names none.
///
/// # Errors
/// Says why the body cannot be parsed.
pub(super) fn parse(bytes: &[u8], charset: Option<&str>, fields: &mut Fields) -> Result<(), Invalid> {
    for pair in bytes.split(|byte| *byte == b'&').filter(|pair| !pair.is_empty()) {
        let mut halves = pair.splitn(2, |byte| *byte == b'=');
        let mut half = || text(decode(halves.next().unwrap_or_default()), charset);
        let (name, value) = (half()?, half()?);
        fields.insert(name, value)?;
    }
    Ok(())
}

/// Decodes `+` and `%XX`. A `%` without two hexadecimal digits is a percent sign, as for Django and
/// in the URL standard.
fn decode(bytes: &[u8]) -> Vec<u8> {
    let mut decoded = Vec::with_capacity(bytes.len());
    let mut rest = bytes;
    while let Some((byte, after)) = rest.split_first() {
        rest = after;
        let digit = |at: usize| char::from(*after.get(at)?).to_digit(16);
        match (byte, digit(0), digit(1)) {
            (b'+', ..) => decoded.push(b' '),
            (b'%', Some(high), Some(low)) => {
                // Two hexadecimal digits always fit.
                decoded.push(u8::try_from(high * 16 + low).unwrap_or_default());
                rest = &after[2..];
            }
            (byte, ..) => decoded.push(*byte),
        }
    }
    decoded
}

#[cfg(test)]
mod tests {
    use serde_json::{Map, Value};

    use super::*;

    fn read_as(body: &[u8], charset: Option<&str>) -> Result<Map<String, Value>, Invalid> {
        let mut fields = Fields::default();
        parse(body, charset, &mut fields).map(|()| fields.into_map())
    }

    fn read(body: &[u8]) -> Result<Map<String, Value>, Invalid> {
        read_as(body, None)
    }

    #[test]
    fn a_form_is_read_as_browsers_write_it() {
        for (body, name, value) in [
            ("message=Hello", "message", "Hello"),
            ("message=a+b%20c%2Bd%26e%3Df", "message", "a b c+d&e=f"),
            ("message=Gr%C3%BC%c3%9Fe", "message", "Grüße"),
            ("message=Grüße", "message", "Grüße"),
            ("message=a=b", "message", "a=b"),
            ("message", "message", ""),
            ("&&message=x&", "message", "x"),
            ("message=first&message=last", "message", "last"),
            ("%6dessage=x", "message", "x"),
            ("message=100% sure", "message", "100% sure"),
            ("message=50%off%", "message", "50%off%"),
            ("message=%2", "message", "%2"),
            ("message=%%41", "message", "%A"),
        ] {
            assert_eq!(read(body.as_bytes()).unwrap()[name], value, "{body}");
        }
        assert!(read(b"").unwrap().is_empty());
    }

    #[test]
    fn what_json_may_not_contain_a_form_may_not_contain_either() {
        for body in ["m=%00", "%00=m", "m=%ff", "m=%ED%A0%80"] {
            assert_eq!(read(body.as_bytes()).unwrap_err().field, "body", "{body}");
        }
        for body in [b"message=a\0b".as_slice(), b"message=\xff"] {
            assert!(read(body).is_err(), "{body:?}");
        }
    }

    #[test]
    fn a_form_has_at_most_1000_fields() {
        let form = |fields: usize| vec!["a=b"; fields].join("&");
        assert!(read(form(1000).as_bytes()).is_ok());
        assert!(read(form(1001).as_bytes()).is_err());
    }

    #[test]
    fn another_charset_is_accepted_for_ascii_only() {
        assert_eq!(read_as(b"message=Hello", Some("ISO-8859-1")).unwrap()["message"], "Hello");
        assert!(read_as(b"message=Gr%C3%BC", Some("ISO-8859-1")).is_err());
        assert_eq!(read_as(b"message=%C3%BC", Some("UTF-8")).unwrap()["message"], "ü");
    }
}
