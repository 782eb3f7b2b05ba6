//! Reading the values of settings that have a form of their own. Each says what to write instead.

/// env_logger itself only warns of what it cannot read, and leaves it out.
pub(super) fn log_filter(text: &str) -> Result<String, String> {
    env_filter::Builder::new().try_parse(text).map_err(|error| error.to_string())?;
    Ok(text.to_owned())
}

pub(super) fn public_url(text: &str) -> Result<url::Url, String> {
    let url = url::Url::parse(text).map_err(|error| format!("{error}: give it as https://HOST"))?;
    if !matches!(url.scheme(), "http" | "https") || url.host().is_none() {
        return Err("give it as https://HOST or http://HOST:PORT".to_owned());
    }
    if url.path() != "/" || url.query().is_some() || url.fragment().is_some() {
        return Err("it must have no path: Tollgate serves at the root of its host".to_owned());
    }
    Ok(url)
}

pub(super) fn site_title(text: &str) -> Result<String, String> {
    let is_shown = (1..=60).contains(&text.trim().chars().count()) && !text.chars().any(char::is_control);
    if is_shown { Ok(text.trim().to_owned()) } else { Err("give one line of 1 to 60 characters".to_owned()) }
}

/// An origin as browsers send it. One that is written otherwise would never match, without a word. The empty text is
/// the only element of an empty list.
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

#[cfg(test)]
mod tests {
    use super::*;

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
}
