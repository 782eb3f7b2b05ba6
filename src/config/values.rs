//! Parses the values of settings that have a form of their own. Each error says what to write
//! instead.

use std::net::SocketAddr;

use crate::domain::single_line;

/// Parses a filter for the log. env_logger itself only warns of what it cannot parse, and ignores
/// it.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    let parsed = env_filter::Builder::new().try_parse(text).map(|_| ());
    parsed.map_err(|error| {
        format!("{error}: give a level (error, warn, info, debug, trace), or MODULE=LEVEL, comma-separated")
    })?;
    Ok(text.to_owned())
}

/// Parses an address to listen on.
pub(super) fn socket_address(text: &str) -> Result<SocketAddr, String> {
    text.parse().map_err(|_| {
        "give an IP address and a port, for example 127.0.0.1:8000, 0.0.0.0:8000 or [::]:8000".to_owned()
    })
}

/// Parses an address for clients: http or https, with a host and without a path.
pub(super) fn public_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{error}: give it as https://HOST"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("give it as https://HOST or http://HOST:PORT".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("it must hold no user name and no password: it is shown to people".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no path: Tollgate serves at the root of its host".to_owned());
    }
    Ok(url)
}

/// Parses the panel's name: one line of 1 to 60 characters.
pub(super) fn site_title(text: &str) -> Result<String, String> {
    single_line(text, 60).map_err(|_| "give one line of 1 to 60 characters".to_owned())
}

/// Parses the label of an environment: one line of 1 to 30 characters.
pub(super) fn environment_label(text: &str) -> Result<String, String> {
    single_line(text, 30).map_err(|_| "give one line of 1 to 30 characters".to_owned())
}

/// Parses the text about top-ups: one line of 1 to 300 characters.
pub(super) fn top_up(text: &str) -> Result<String, String> {
    single_line(text, 300).map_err(|_| "give one line of 1 to 300 characters".to_owned())
}

/// Parses the operator's line on the start page: one line of 1 to 300 characters.
pub(super) fn site_notice(text: &str) -> Result<String, String> {
    single_line(text, 300).map_err(|_| "give one line of 1 to 300 characters".to_owned())
}

/// Parses where vulnerabilities are reported. Returns it as the URI that RFC 9116 wants, so that a
/// mail address becomes `mailto:…`.
pub(super) fn security_contact(text: &str) -> Result<String, String> {
    let wrong = || {
        "give a mail address (security@chat.example), or an https URL without a user name and a password"
            .to_owned()
    };
    if let Some(address) = text.strip_prefix("mailto:").or(Some(text).filter(|text| !text.contains(':'))) {
        return if is_mail_address(address) { Ok(format!("mailto:{address}")) } else { Err(wrong()) };
    }
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let is_sound = url.scheme() == "https" && url.has_host();
    let is_anonymous = url.username().is_empty() && url.password().is_none();
    if is_sound && is_anonymous { Ok(url.into()) } else { Err(wrong()) }
}

/// Returns whether a text is a plain mail address, with only characters that a URI may contain as
/// they are.
fn is_mail_address(text: &str) -> bool {
    let Some((local, domain)) = text.split_once('@') else { return false };
    let is_local = |byte: u8| byte.is_ascii_alphanumeric() || b"._+-".contains(&byte);
    let is_label = |label: &str| {
        let is_allowed = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
        !label.is_empty() && label.bytes().all(is_allowed) && !label.starts_with('-') && !label.ends_with('-')
    };
    text.len() <= 254 && !local.is_empty() && local.bytes().all(is_local) && domain.split('.').all(is_label)
}

/// Parses an origin. It must be written as browsers send it, because it would otherwise never
/// match, without any error. The empty text is the only element of an empty list.
pub(super) fn cors_origin(text: &str) -> Result<String, String> {
    let wrong = || "give each as https://HOST or http://HOST:PORT, without a path, or * for all".to_owned();
    if matches!(text, "" | "*") {
        return Ok(text.to_owned());
    }
    let url = url::Url::parse(text).map_err(|_| wrong())?;
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    let origin = format!("{}://{}{port}", url.scheme(), url.host_str().unwrap_or_default());
    if origin == text && url.has_host() { Ok(origin) } else { Err(wrong()) }
}

/// Parses the base URL of an upstream. A missing `/v1` is an error here, because otherwise every
/// call would fail.
pub(super) fn upstream_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{error}: give it as http://HOST:PORT/v1"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("give it as http://HOST:PORT/v1 or https://HOST/v1".to_owned());
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err("give the key by --upstream-key-file, not in the URL".to_owned());
    }
    if url.query().is_some() || url.fragment().is_some() || !url.path().trim_end_matches('/').ends_with("/v1")
    {
        return Err("it must end in /v1".to_owned());
    }
    Ok(url)
}

/// Parses the name of a model. The empty text is the only element of an empty list.
pub(super) fn model_name(text: &str) -> Result<String, String> {
    let name = text.trim();
    let is_sound = name.len() <= 200 && name.chars().all(|c| c.is_ascii_graphic() && c != ',');
    if is_sound {
        Ok(name.to_owned())
    } else {
        Err("give names of up to 200 visible ASCII characters".to_owned())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_url_of_an_upstream_ends_in_v1_and_holds_no_key() {
        for good in ["http://127.0.0.1:8081/v1", "https://llm.example/v1/", "https://llm.example/api/v1"] {
            assert!(upstream_url(good).is_ok(), "{good}");
        }
        for bad in ["http://127.0.0.1:8081", "ftp://a/v1", "https://a/v1?key=b", "https://u:p@a/v1", "/v1"] {
            assert!(upstream_url(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn an_origin_is_written_as_browsers_send_it() {
        for good in ["", "*", "https://app.example", "http://localhost:5173", "tauri://localhost"] {
            assert_eq!(cors_origin(good), Ok(good.to_owned()));
        }
        for bad in
            ["app.example", "https://app.example/", "https://APP.example", "https://a.example:443", "null"]
        {
            assert!(cors_origin(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_security_contact_is_a_mail_address_or_an_https_url() {
        for (good, uri) in [
            ("security@chat.example", "mailto:security@chat.example"),
            ("mailto:ada+reports@chat.example", "mailto:ada+reports@chat.example"),
            ("root@localhost", "mailto:root@localhost"),
            ("https://chat.example/report?by=form", "https://chat.example/report?by=form"),
            ("https://chat.example", "https://chat.example/"),
        ] {
            assert_eq!(security_contact(good), Ok(uri.to_owned()));
        }
        for bad in [
            "",
            "ada",
            "@chat.example",
            "ada@",
            "ada@chat..example",
            "ada@-chat.example",
            "ada@chat.example,eve@chat.example",
            "ada@chat.example\nContact: mailto:eve@chat.example",
            "Ada <ada@chat.example>",
            "http://chat.example/report",
            "https://ada:secret@chat.example/",
            "ftp://chat.example",
            "javascript:alert(1)",
        ] {
            assert!(security_contact(bad).is_err(), "{bad}");
        }
    }
}
