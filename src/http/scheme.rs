//! Whether a request came over https, and the address that it came to.

use actix_web::HttpRequest;
use actix_web::http::header;
use actix_web::web::Data;

use super::site::Site;
use crate::client_address::TrustedProxies;

/// Returns whether the client used https: as the settings say, or else as a trusted proxy says.
///
/// With `--public-url`, the settings decide alone. A client can send `X-Forwarded-Proto`, too, so
/// it counts only from a trusted proxy, and only if it has one value.
pub fn is_https(request: &HttpRequest, site: &Site) -> bool {
    site.is_https || site.public_origin.is_none() && proxy_says_https(request)
}

fn proxy_says_https(request: &HttpRequest) -> bool {
    let mut values = request.headers().get_all("x-forwarded-proto");
    let (Some(value), None) = (values.next(), values.next()) else { return false };
    if !value.as_bytes().eq_ignore_ascii_case(b"https") {
        return false;
    }
    let proxies = request.app_data::<Data<TrustedProxies>>();
    let peer = request.peer_addr().map(|peer| peer.ip());
    proxies.zip(peer).is_some_and(|(proxies, peer)| proxies.networks().contain(peer))
}

impl Site {
    /// Returns the address that clients use, without a slash at its end: that of `--public-url`, or
    /// the one that this request came to.
    pub fn address(&self, request: &HttpRequest) -> String {
        if let Some(origin) = &self.public_origin {
            return origin.clone();
        }
        let host = request.headers().get(header::HOST).and_then(|host| host.to_str().ok());
        let host = host.filter(|host| is_plain_host(host)).unwrap_or("127.0.0.1:8000");
        format!("{}://{host}", if is_https(request, self) { "https" } else { "http" })
    }
}

/// Returns whether a host has only characters of names, addresses and ports. People paste it into a
/// shell, where others would mean something: a browser takes `$(…)` for a part of a name.
fn is_plain_host(host: &str) -> bool {
    !host.is_empty() && host.bytes().all(|byte| byte.is_ascii_alphanumeric() || b".-:[]".contains(&byte))
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;

    use super::*;

    /// Whether a request from this peer with these values of `X-Forwarded-Proto` came over https.
    fn came_over_https(site: &Site, peer: &str, values: &[&str]) -> bool {
        let proxies: TrustedProxies = "10.0.0.0/8".parse().unwrap();
        let request = TestRequest::default()
            .peer_addr(format!("{peer}:40000").parse().unwrap())
            .app_data(Data::new(proxies));
        let request = values
            .iter()
            .fold(request, |request, value| request.append_header(("x-forwarded-proto", *value)));
        is_https(&request.to_http_request(), site)
    }

    #[test]
    fn a_trusted_proxy_says_whether_the_client_used_https() {
        let site = Site::default();
        for (peer, values, expected) in [
            ("10.1.2.3", &["https"][..], true),
            ("10.1.2.3", &["HTTPS"], true),
            ("10.1.2.3", &["http"], false),
            ("10.1.2.3", &[], false),
            ("10.1.2.3", &["https, http"], false),
            ("10.1.2.3", &["https", "http"], false),
            ("10.1.2.3", &["https", "https"], false),
            ("192.0.2.1", &["https"], false),
        ] {
            assert_eq!(came_over_https(&site, peer, values), expected, "{peer} {values:?}");
        }
    }

    #[test]
    fn settings_come_before_what_a_proxy_says() {
        let plain = Site { public_origin: Some("http://chat.example".to_owned()), ..Site::default() };
        assert!(!came_over_https(&plain, "10.1.2.3", &["https"]));
        let origin = Some("https://chat.example".to_owned());
        let secure = Site { public_origin: origin, is_https: true, ..Site::default() };
        assert!(came_over_https(&secure, "10.1.2.3", &["http"]));
        let own_tls = Site { is_https: true, ..Site::default() };
        assert!(came_over_https(&own_tls, "192.0.2.1", &[]));
    }

    #[test]
    fn the_address_is_that_of_the_public_url_or_of_the_request() {
        let request =
            |host: &str| TestRequest::default().insert_header((header::HOST, host)).to_http_request();
        let site = Site::default();
        for host in ["127.0.0.1:8000", "chat.example", "[2001:db8::1]:8000", "nas:80"] {
            assert_eq!(site.address(&request(host)), format!("http://{host}"));
        }
        for host in ["$(id).example", "a;b", "a`b`", "a b", "a'b", "a\"b", "a|b", "a&b", "user@a", ""] {
            assert_eq!(site.address(&request(host)), "http://127.0.0.1:8000", "{host}");
        }
        let site = Site { public_origin: Some("https://chat.example".to_owned()), ..site };
        assert_eq!(site.address(&request("other.example")), "https://chat.example");
    }
}
