//! Which host names pages may use for this server. The owner of a page can point the page's own
//! name at this server's address, even one that only its visitors can reach. The browser then takes
//! both for the same site, and the page can read what it should not (DNS rebinding).

use actix_web::HttpRequest;
use actix_web::http::{Method, header};
use url::Host;

use super::scheme::is_https;
use super::site::Site;
use crate::error::{Error, Result};

/// Checks the host name of a page's request. Requests of programs pass: they have no `Origin`.
///
/// # Errors
/// [`Error::UnknownHost`].
pub fn check_host(request: &HttpRequest, site: &Site) -> Result<()> {
    let headers = request.headers();
    let origin = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null"));
    // Reading without an `Origin` is harmless: such a request has neither an auth token nor a
    // cookie. And browsers send `Sec-Fetch-Site` only over TLS or to this machine's own names.
    let reads = matches!(*request.method(), Method::GET | Method::HEAD);
    if origin.is_none() && (reads || !headers.contains_key("sec-fetch-site")) {
        return Ok(());
    }
    // Every browser names a host.
    let Some(host) = headers.get(header::HOST).map(|host| host.to_str().unwrap_or_default()) else {
        return Ok(());
    };
    if is_known(host, site) || origin.is_some_and(|origin| is_trusted(origin, host, site)) {
        Ok(())
    } else {
        Err(Error::UnknownHost)
    }
}

/// Returns whether a host is one whose address nobody else determines: this machine, an IP address,
/// a name of the local network without a dot, or the host of `--public-url`.
fn is_known(host: &str, site: &Site) -> bool {
    let Some((host, _)) = authority(host) else { return false };
    match host {
        Host::Ipv4(_) | Host::Ipv6(_) => true,
        Host::Domain(name) => {
            let name = name.strip_suffix('.').unwrap_or(&name);
            let is_local = !name.contains('.') || name.ends_with(".localhost");
            is_local || site.public_host().is_some_and(|public| public == name)
        }
    }
}

/// Returns whether the page's origin shows that the page is none that rebinds names.
fn is_trusted(origin: &str, host: &str, site: &Site) -> bool {
    if site.public_origin.as_deref() == Some(origin) || site.cors_origins.iter().any(|named| named == origin)
    {
        return true;
    }
    // A page that uses its own name is not what `*` means.
    let is_own = || origin.split_once("://").is_some_and(|(_, own)| authority(own) == authority(host));
    if site.cors_origins.iter().any(|named| named == "*") && !is_own() {
        return true;
    }
    // Behind a proxy whose operator did not say by which name: a page that came over https, or is
    // part of an extension, can reach only servers that have a certificate for their name.
    let is_plain = |scheme: &str| scheme.eq_ignore_ascii_case("http");
    site.public_origin.is_none() && origin.split_once("://").is_some_and(|(scheme, _)| !is_plain(scheme))
}

/// Returns whether a request is from a page of another site that the operator did not name. Such a
/// page may send a form to any server without asking.
pub fn is_from_foreign_page(request: &HttpRequest, site: &Site) -> bool {
    let headers = request.headers();
    let Some(origin) = headers.get(header::ORIGIN).map(|origin| origin.to_str().unwrap_or("null")) else {
        return headers.get("sec-fetch-site").is_some_and(|site| site == "cross-site");
    };
    let is_named = site.cors_origins.iter().any(|named| named == origin || named == "*");
    let host = headers.get(header::HOST).and_then(|host| host.to_str().ok()).unwrap_or_default();
    // Somebody in between can change a page that came over plain http, whatever its host.
    let is_as_safe = |scheme: &str| scheme.eq_ignore_ascii_case("https") || !is_https(request, site);
    let is_own = origin
        .split_once("://")
        .is_some_and(|(scheme, own)| authority(own) == authority(host) && is_as_safe(scheme));
    !is_named && !is_own && site.public_origin.as_deref() != Some(origin)
}

/// Parses a host and its port. `None` if there is more in it.
fn authority(text: &str) -> Option<(Host, Option<u16>)> {
    let url = url::Url::parse(&format!("http://{text}")).ok()?;
    let is_bare =
        url.username().is_empty() && url.password().is_none() && !text.contains(['/', '?', '#', '\\']);
    let host = url.host().filter(|_| is_bare)?;
    Some((host.to_owned(), url.port()))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    fn is_served(site: &Site, method: Method, host: &str, headers: &[(&str, &str)]) -> bool {
        let request = TestRequest::default().method(method).insert_header((header::HOST, host));
        let request = headers.iter().fold(request, |request, header| request.insert_header(*header));
        check_host(&request.to_http_request(), site).is_ok()
    }

    fn site(public_origin: Option<&str>, cors_origins: &[&str]) -> Site {
        let cors_origins = cors_origins.iter().map(|origin| (*origin).to_owned()).collect();
        Site { public_origin: public_origin.map(str::to_owned), cors_origins, ..Site::default() }
    }

    const CHAT: Option<&str> = Some("https://chat.example:8443");

    #[test]
    fn a_page_may_use_names_that_nobody_else_can_point_here() {
        for public_url in [None, CHAT] {
            let site = site(public_url, &[]);
            for host in [
                "localhost",
                "LOCALHOST:8000",
                "localhost.",
                "app.localhost:8000",
                "127.0.0.1:8000",
                "127.9.9.9",
                "[::1]:8000",
                "192.168.1.7:8000",
                "203.0.113.9",
                "[2001:db8::1]",
                "nas:8000",
            ] {
                let origin = format!("http://{host}");
                assert!(is_served(&site, Method::POST, host, &[("Origin", &origin)]), "{host}");
                assert!(is_served(&site, Method::POST, host, &[("Sec-Fetch-Site", "same-origin")]), "{host}");
            }
        }
    }

    #[test]
    fn a_page_may_not_use_a_name_of_its_own() {
        for public_url in [None, CHAT] {
            let site = site(public_url, &[]);
            for host in [
                "evil.example",
                "evil.example:8000",
                "EVIL.example.",
                "localhost.evil.example",
                "127.0.0.1.evil.example",
                "chat.example.evil",
                "xchat.example",
                "localhost@evil.example",
                "evil.example@localhost",
                "localhost/",
                "",
                "evil.example:x",
                "local host",
            ] {
                for origin in
                    ["http://evil.example", "http://evil.example:8000", "http://other.example", "null", ""]
                {
                    for method in [Method::GET, Method::POST, Method::OPTIONS, Method::DELETE] {
                        let is_served = is_served(&site, method.clone(), host, &[("Origin", origin)]);
                        assert!(!is_served, "{method} {host} from {origin}");
                    }
                }
                for fetched in ["same-origin", "same-site", "cross-site", "none"] {
                    assert!(!is_served(&site, Method::POST, host, &[("Sec-Fetch-Site", fetched)]), "{host}");
                }
            }
        }
    }

    #[test]
    fn programs_and_pages_that_are_only_opened_may_use_any_name() {
        for public_url in [None, CHAT] {
            let site = site(public_url, &[]);
            for method in [Method::GET, Method::POST] {
                assert!(is_served(&site, method, "any.example", &[("User-Agent", "Mozilla/5.0")]));
            }
            for method in [Method::GET, Method::HEAD] {
                assert!(is_served(&site, method, "any.example", &[("Sec-Fetch-Site", "none")]));
            }
        }
    }

    #[test]
    fn the_public_url_is_the_only_name_of_its_pages() {
        let site = site(CHAT, &[]);
        let served = |host: &str, origin: &str| is_served(&site, Method::POST, host, &[("Origin", origin)]);
        // A proxy may pass the name on with or without the port, or replace it by an internal one.
        for host in ["chat.example", "chat.example:8443", "Chat.Example.", "tollgate.internal"] {
            assert!(served(host, "https://chat.example:8443"), "{host}");
        }
        assert!(
            served("chat.example", "https://other.example"),
            "an answer without CORS headers is not read"
        );
        for origin in ["https://other.example", "chrome-extension://abc", "https://chat.example"] {
            assert!(!served("other.example", origin), "{origin}");
        }
    }

    #[test]
    fn over_https_a_page_that_came_over_plain_http_is_foreign() {
        let is_foreign = |is_https: bool, origin: &str| {
            let request = TestRequest::default().insert_header((header::HOST, "chat.example"));
            let request = request.insert_header((header::ORIGIN, origin.to_owned())).to_http_request();
            is_from_foreign_page(&request, &Site { is_https, ..Site::default() })
        };
        for (is_https, origin, expected) in [
            (true, "https://chat.example", false),
            (true, "http://chat.example", true),
            (false, "http://chat.example", false),
            // A proxy may speak TLS without anybody having said so.
            (false, "https://chat.example", false),
        ] {
            assert_eq!(is_foreign(is_https, origin), expected, "{is_https} {origin}");
        }
    }

    #[test]
    fn without_a_public_url_pages_that_came_over_https_may_use_any_name() {
        let site = site(None, &[]);
        for origin in ["https://chat.example", "https://other.example", "chrome-extension://abc"] {
            assert!(is_served(&site, Method::POST, "chat.example", &[("Origin", origin)]), "{origin}");
        }
    }

    #[test]
    fn an_origin_that_the_settings_name_may_use_any_name() {
        let app = "http://app.example:5173";
        for public_url in [None, CHAT] {
            for (cors, origin, is_ok) in [
                (app, app, true),
                (app, "http://app.example", false),
                (app, "http://evil.example:8000", false),
                ("*", "http://other.example", true),
                ("*", "null", true),
                ("*", "http://evil.example:8000", false),
                ("", "http://other.example", false),
            ] {
                let site = site(public_url, &[cors]);
                let headers = [("Origin", origin)];
                assert_eq!(
                    is_served(&site, Method::POST, "evil.example:8000", &headers),
                    is_ok,
                    "{cors} {origin}"
                );
            }
        }
    }
}
