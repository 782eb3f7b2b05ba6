//! The server behind proxies that speak TLS to clients, and TLS to the server. They run with the
//! files in `deploy/`.

use std::sync::Arc;
use std::time::Duration;

use rstest::rstest;
use serde_json::json;

use crate::support::balancer::{Balancer, Kind, free_port};
use crate::support::certificates::Certificates;
use crate::support::http::Client;
use crate::support::server::{Launch, Server};
use crate::support::{On, TestDatabase, temporary, wait};

const FLAGS: [&str; 4] = ["--trusted-proxies", "127.0.0.1", "--public-url", "https://chat.example"];

/// Starts a proxy for a server at this port. Clients trust `site`, and the proxy trusts `nodes`.
fn proxy(kind: Kind, server: u16, site: &Certificates, nodes: &Certificates) -> Option<Balancer> {
    let folder = temporary::directory();
    let file = |name: &str, content: String| {
        let path = folder.path().join(name);
        std::fs::write(&path, content).unwrap();
        path.to_str().unwrap().to_owned()
    };
    let issued = site.issue(30);
    let authority = nodes.authority_file().to_str().unwrap().to_owned();
    let port = free_port();
    let ports = [(8001, server), (8443, port)];
    let ports = ports.map(|(example, port)| (format!("127.0.0.1:{example}"), format!("127.0.0.1:{port}")));
    let authority = ("/etc/tollgate/authority.pem".to_owned(), authority);
    let (text, own) = match kind {
        Kind::Haproxy => {
            let both = file("both.pem", issued.certificate + issued.key.as_str());
            (include_str!("../../deploy/haproxy-tls.cfg"), vec![("/etc/tollgate/site.pem".to_owned(), both)])
        }
        Kind::Nginx => {
            let (certificate, key) = (file("site.pem", issued.certificate), file("key.pem", issued.key));
            let own = vec![
                ("/etc/tollgate/site.pem".to_owned(), certificate),
                ("/etc/tollgate/site-key.pem".to_owned(), key),
            ];
            (include_str!("../../deploy/nginx-tls.conf"), own)
        }
        Kind::Caddy => unreachable!("its file has no example of this"),
    };
    let changes: Vec<(String, String)> = ports.into_iter().chain([authority]).chain(own).collect();
    let balancer = Balancer::start(kind, port, text, &changes)?;
    // It reads its files at the start.
    let mut client = Client::over(balancer.address(), site.connector());
    wait::until("the proxy", Duration::from_secs(20), || client.send("GET", "/healthz", &[], b"").ok());
    Some(balancer)
}

#[rstest]
fn a_proxy_speaks_tls_on_both_sides(#[values(Kind::Haproxy, Kind::Nginx)] kind: Kind) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let (site, nodes) = (Certificates::new(), Arc::new(Certificates::new()));
    let server = Launch::on(&database).flags(&FLAGS).with(&nodes).start();
    let Some(balancer) = proxy(kind, server.address().port(), &site, &nodes) else { return };
    let mut client = Client::over(balancer.address(), site.connector());
    let token = server.user("ada");
    for length in [1, 32_000] {
        let message = "\u{1f422}".repeat(length);
        let answer = client.post("/chat/", Some(&token), &json!({ "message": message })).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        assert_eq!(answer.json()["response"], format!("Response to {message}"));
    }
    let stream = client.post("/chat/", Some(&token), &json!({ "message": "Hello", "stream": true })).unwrap();
    assert!(stream.text().contains("event: done"), "{stream:?}");
    let page = client.send("GET", "/admin/sign-in/", &[], b"").unwrap();
    assert_eq!(page.header("strict-transport-security"), Some("max-age=31536000"));
    let cookie = page.header("set-cookie").unwrap();
    assert!(cookie.starts_with("__Host-") && cookie.contains("; Secure"), "{cookie}");
}

/// A proxy must not send auth tokens to a server that only claims to be Tollgate.
#[rstest]
fn a_proxy_refuses_a_server_of_another_authority(#[values(Kind::Haproxy, Kind::Nginx)] kind: Kind) {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let (site, nodes) = (Certificates::new(), Certificates::new());
    let server = Launch::on(&database).flags(&FLAGS).with(&Arc::new(Certificates::new())).start();
    let Some(balancer) = proxy(kind, server.address().port(), &site, &nodes) else { return };
    let answer = Client::over(balancer.address(), site.connector()).get("/tokens/", "a-token").unwrap();
    let expected = if kind == Kind::Nginx { 502 } else { 503 };
    assert_eq!(answer.status, expected, "{answer:?}");
}

/// Caddy is tested where it is installed.
#[test]
fn caddy_passes_requests_on_and_says_how_they_came() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &["--trusted-proxies", "127.0.0.1"]);
    let port = free_port();
    // Without a public name there is no certificate, and Caddy's port for commands may be in use.
    let site = format!("{{\n\tauto_https off\n\tadmin off\n}}\nhttp://127.0.0.1:{port} {{");
    let own = |example: u16| (format!("127.0.0.1:{example}"), server.address().to_string());
    let mut changes = vec![("chat.example {".to_owned(), site)];
    changes.extend([8001, 8002, 8003].map(own));
    let text = include_str!("../../deploy/Caddyfile");
    let Some(balancer) = Balancer::start(Kind::Caddy, port, text, &changes) else { return };
    let mut client = Client::new(balancer.address());
    wait::until("the proxy", Duration::from_secs(20), || {
        client.send("GET", "/healthz", &[], b"").is_ok_and(|answer| answer.status == 200).then_some(())
    });
    let forged = [("X-Forwarded-Proto", "https"), ("X-Forwarded-For", "192.0.2.7")];
    let page = client.send("GET", "/admin/sign-in/", &forged, b"").unwrap();
    let cookie = page.header("set-cookie").unwrap();
    assert!(!cookie.contains("Secure"), "Caddy must not pass on what clients say: {cookie}");
    assert!(!server.log().contains("192.0.2.7"), "{}", server.log());
}
