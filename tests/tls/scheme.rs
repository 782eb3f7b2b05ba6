//! What a request that came over https means: HSTS, cookies, origins and addresses.

use rstest::rstest;

use crate::support::app::{GUEST, TestApp};
use crate::support::certificates::Certificates;
use crate::support::panel::{Browser, encoded};
use crate::support::{On, TestDatabase};

const PUBLIC: [&str; 2] = ["--public-url", "https://chat.example"];
const PROXY: [&str; 2] = ["--trusted-proxies", "127.0.0.1"];
const A_YEAR: &str = "max-age=31536000";

/// By which way a request came.
#[derive(Clone, Copy, Debug)]
enum Way {
    Http,
    /// The server itself speaks TLS.
    Tls,
    /// A proxy says that the client used this scheme.
    Proxy(&'static str),
}

async fn spawn(on: On, way: Way, flags: &[&str]) -> Option<(TestApp, Certificates)> {
    let certificates = Certificates::new();
    let flags = match way {
        Way::Tls => [flags, &certificates.flags()].concat(),
        Way::Http | Way::Proxy(_) => flags.to_vec(),
    };
    let app = TestApp::spawn_on(TestDatabase::create(on)?, &flags).await;
    Some((app, certificates))
}

#[actix_web::test]
async fn hsts_is_sent_over_https_as_the_settings_say() {
    let subdomains = ["--hsts-include-subdomains", "on"];
    for (way, flags, expected) in [
        (Way::Http, &[][..], None),
        (Way::Http, &["--hsts", "300"], None),
        (Way::Http, &PUBLIC, Some(A_YEAR)),
        (Way::Http, &[&PUBLIC[..], &["--hsts", "300"]].concat(), Some("max-age=300")),
        (Way::Http, &[&PUBLIC[..], &["--hsts", "off"]].concat(), None),
        (Way::Tls, &[], None),
        (Way::Tls, &["--hsts", "off"], None),
        (Way::Tls, &["--hsts", "300"], Some("max-age=300")),
        (Way::Tls, &["--hsts", "0"], Some("max-age=0")),
        (Way::Tls, &[&subdomains[..], &["--hsts", "300"]].concat(), Some("max-age=300; includeSubDomains")),
        (Way::Tls, &subdomains, None),
        (Way::Tls, &PUBLIC, Some(A_YEAR)),
        (Way::Tls, &["--hsts", "300", "--public-url", "http://chat.example"], None),
        (Way::Proxy("https"), &[&PROXY[..], &["--hsts", "300"]].concat(), Some("max-age=300")),
        (Way::Proxy("http"), &[&PROXY[..], &["--hsts", "300"]].concat(), None),
        (Way::Proxy("https"), &["--trusted-proxies", "192.0.2.1", "--hsts", "300"], None),
        (Way::Proxy("https"), &["--hsts", "300"], None),
        (Way::Proxy("https"), &PROXY, None),
        (Way::Proxy("https"), &[&PROXY[..], &PUBLIC].concat(), Some(A_YEAR)),
    ] {
        let Some((app, _certificates)) = spawn(On::Sqlite, way, flags).await else { return };
        for path in ["/", "/balance/", "/nothing", "/admin/sign-in/"] {
            let request = app.request("GET", path).bearer(GUEST);
            let request = match way {
                Way::Proxy(scheme) => request.header("X-Forwarded-Proto", scheme),
                Way::Http | Way::Tls => request,
            };
            let answer = request.send().await;
            assert_eq!(answer.header("strict-transport-security"), expected, "{way:?} {flags:?} {path}");
        }
    }
}

#[rstest]
#[actix_web::test]
async fn over_tls_cookies_are_secure_and_forms_come_from_an_https_page(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some((app, _certificates)) = spawn(on, Way::Tls, &[]).await else { return };
    app.register("root").await.assert_status(201);
    app.sql("UPDATE users SET is_superuser = TRUE");
    let browser = Browser::at(&app, "https://localhost:8000");
    let page = browser.sign_in("root").await;
    page.assert_status(303);
    let cookie = page.answer.header("set-cookie").unwrap().to_owned();
    assert!(cookie.starts_with("__Host-tollgate_session_") && cookie.contains("; Secure"), "{cookie}");
    let form = browser.bare_form("/admin/verify/").await;
    for (origin, status) in [
        ("http://localhost:8000", 403),
        ("https://localhost", 403),
        ("https://localhost:8001", 403),
        ("https://localhost:8000", 303),
    ] {
        let request = browser.request("POST", &form.action).header("Origin", origin);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        let answer = request.body(encoded(&form.fields)).send().await;
        assert_eq!(answer.status, status, "{origin}: {}", answer.text());
    }
}

#[rstest]
#[actix_web::test]
async fn a_trusted_proxy_says_that_the_browser_used_https(#[values(On::Sqlite, On::Postgres)] on: On) {
    for (flags, scheme, is_secure) in [
        (&PROXY[..], "https", true),
        (&PROXY, "http", false),
        (&[], "https", false),
        (&["--trusted-proxies", "192.0.2.1"], "https", false),
    ] {
        let Some((app, _certificates)) = spawn(on, Way::Proxy(scheme), flags).await else { return };
        app.register("root").await.assert_status(201);
        app.sql("UPDATE users SET is_superuser = TRUE");
        let get = app.request("GET", "/admin/sign-in/").header("Host", "chat.example");
        let answer = get.header("X-Forwarded-Proto", scheme).send().await;
        let cookie = answer.header("set-cookie").unwrap();
        assert_eq!(cookie.starts_with("__Host-"), is_secure, "{flags:?} {scheme}: {cookie}");
        assert_eq!(cookie.contains("; Secure"), is_secure, "{flags:?} {scheme}: {cookie}");
        // Without the setting, an origin of plain http is none that is known (DNS rebinding).
        let post = app.request("POST", "/admin/sign-in/").header("Host", "chat.example");
        let post = post.header("X-Forwarded-Proto", scheme).header("Origin", "https://chat.example");
        let post = post.header("Content-Type", "application/x-www-form-urlencoded").body("username=root");
        let answer = post.send().await;
        let is_ours = !answer.text().contains("came from another site");
        assert_eq!(is_ours, is_secure, "{flags:?} {scheme}: {}", answer.text());
        let get = app.request("GET", "/").header("Host", "chat.example");
        let start = get.header("X-Forwarded-Proto", scheme).send().await.text();
        assert_eq!(start.contains("https://chat.example/"), is_secure, "{flags:?} {scheme}");
        assert_eq!(start.contains("http://chat.example/"), !is_secure, "{flags:?} {scheme}");
    }
}

#[actix_web::test]
async fn over_tls_the_start_page_shows_https_and_a_plain_page_is_foreign() {
    let Some((app, _certificates)) = spawn(On::Sqlite, Way::Tls, &[]).await else { return };
    let start = app.request("GET", "/").header("Host", "localhost:8000").send().await.text();
    assert!(start.contains("https://localhost:8000/register/"), "{start}");
    assert!(!start.contains("http://localhost:8000"), "{start}");
    let register = |origin: &str| {
        let request = app.request("POST", "/register/").header("Host", "localhost:8000");
        let request = request.header("Origin", origin);
        let request = request.header("Content-Type", "application/x-www-form-urlencoded");
        request.body("username=ada&password=correct+horse+battery").send()
    };
    register("http://localhost:8000").await.assert_status(415);
    assert_eq!(app.count("users"), 0);
    register("https://localhost:8000").await.assert_status(201);
}
