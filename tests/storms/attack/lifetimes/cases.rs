//! The ways in which hostile clients use a connection.

use std::time::Duration;

use super::{BODY, Case, HEAD, KEEP_ALIVE, LINGER, Then, WRITE};

const GET: &str = "GET /healthz HTTP/1.1\r\nHost: a\r\n\r\n";

fn case(what: &str, first: &str, then: Then, at_least: f64, at_most: f64) -> Case {
    Case { what: what.to_owned(), first: first.into(), then, is_deaf: false, at_least, at_most }
}

fn drip(bytes: &str) -> Then {
    Then::Drip(bytes.into())
}

/// Returns all cases. The token belongs to a user with a history of 2 MB.
pub(super) fn all(token: &str) -> Vec<Case> {
    let mut cases = heads();
    cases.extend(between_requests());
    for (request, name) in requests(token) {
        cases.extend(bodies(&request, &name));
    }
    cases.extend(odd_bodies(token));
    cases.extend(unread(token));
    cases
}

fn heads() -> Vec<Case> {
    let half = "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ";
    let many = format!("GET /healthz HTTP/1.1\r\nHost: a\r\n{}", "X-Slow: x\r\n".repeat(50));
    let long = format!("{half}{}", "x".repeat(100_000));
    vec![
        case("nothing", "", Then::Nothing, HEAD, HEAD),
        case("one byte", "G", Then::Nothing, HEAD, HEAD),
        case("half a head", half, Then::Nothing, HEAD, HEAD),
        case("a long half head", &long, Then::Nothing, HEAD, HEAD),
        case("a head without its end", &many, Then::Nothing, HEAD, HEAD),
        case("a dripped head", half, drip("x"), HEAD, HEAD),
        case("dripped header lines", half, drip("x\r\nX: "), HEAD, HEAD),
        case("dripped empty lines", "", drip("\r\n"), HEAD, HEAD),
        case("a flooded head", half, Then::Flood(vec![b'x'; 4096]), 0.0, HEAD),
        case("half a head, half closed", half, Then::HalfClose, 0.0, HEAD),
        case("half closed at once", "", Then::HalfClose, 0.0, HEAD),
        case("TLS", "\x16\x03\x01\x02\0\x01\0\x01\u{7c}\x03\x03", Then::Nothing, 0.0, HEAD),
        case("HTTP/2", "PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", drip("x"), 0.0, HEAD + LINGER),
        case("not HTTP", "what?\r\n\r\n", drip("x"), 0.0, HEAD + LINGER),
    ]
}

fn between_requests() -> Vec<Case> {
    let half = "GET /healthz HTTP/1.1\r\nHost: a\r\nX-Slow: ";
    let close = "GET /healthz HTTP/1.1\r\nHost: a\r\nConnection: close\r\n\r\n";
    let old = "GET /healthz HTTP/1.0\r\n\r\n";
    let head_of_get = GET.replace("GET", "HEAD");
    let later = |bytes: &str| Then::Later(Duration::from_secs(2), bytes.into());
    vec![
        case("one request", GET, Then::Nothing, KEEP_ALIVE, KEEP_ALIVE),
        case("a HEAD request", &head_of_get, Then::Nothing, KEEP_ALIVE, KEEP_ALIVE),
        case("three requests at once", &GET.repeat(3), Then::Nothing, KEEP_ALIVE, KEEP_ALIVE),
        case("twenty requests at once", &GET.repeat(20), Then::Nothing, KEEP_ALIVE, KEEP_ALIVE),
        case("a request and empty lines", GET, drip("\r\n"), KEEP_ALIVE, KEEP_ALIVE),
        case("a request every 100 ms", GET, drip(GET), f64::INFINITY, f64::INFINITY),
        case("a second request in time", GET, later(GET), 2.0 + KEEP_ALIVE, 2.0 + KEEP_ALIVE),
        case("a second head that drips", GET, drip("x"), HEAD, HEAD),
        case("half a second head at once", &format!("{GET}{half}"), Then::Nothing, HEAD, HEAD),
        case("half a second head later", GET, later(half), 2.0 + HEAD, 2.0 + HEAD),
        case("half a third head at once", &format!("{GET}{GET}{half}"), Then::Nothing, HEAD, HEAD),
        case("half closed after a request", GET, Then::HalfClose, 0.0, HEAD),
        case("Connection: close", close, Then::Nothing, 0.0, LINGER),
        case("bytes after Connection: close", close, drip(GET), 0.0, LINGER),
        case("a flood after Connection: close", close, Then::Flood(GET.into()), 0.0, LINGER),
        case("two requests, the first closes", &format!("{close}{GET}"), drip(GET), 0.0, LINGER),
        case("HTTP/1.0", old, Then::Nothing, 0.0, LINGER),
    ]
}

/// Returns heads without the headers for their bodies, and names for them. The server responds
/// before it reads the body (200, 401, 404, 405, 403), or after it (408).
fn requests(token: &str) -> Vec<(String, String)> {
    let by = |path: &str, method: &str, more: &str| format!("{method} {path} HTTP/1.1\r\nHost: a\r\n{more}");
    let signed = format!("Authorization: Bearer {token}\r\n");
    [
        ("200", by("/healthz", "GET", "")),
        ("200 to HEAD", by("/healthz", "HEAD", "")),
        ("401", by("/tokens/", "GET", "")),
        ("404", by("/nowhere", "POST", "")),
        ("405", by("/tokens/", "DELETE", "")),
        ("403", by("/admin/sign-in/", "POST", "")),
        ("a log-in", by("/login/", "POST", "")),
        ("a chat", by("/chat/", "POST", &signed)),
        ("a chat of nobody", by("/chat/", "POST", "")),
        ("a completion", by("/v1/chat/completions", "POST", &signed)),
        ("a form", by("/admin/sign-in/", "POST", "Origin: http://a\r\n")),
    ]
    .map(|(name, request)| (request, name.to_owned()))
    .to_vec()
}

/// Returns a request with bodies that never arrive, or arrive slowly.
fn bodies(request: &str, name: &str) -> Vec<Case> {
    let chunked = format!("{request}Transfer-Encoding: chunked\r\n\r\n");
    let length = format!("{request}Content-Length: 100000\r\n\r\n");
    let most = BODY + LINGER;
    let case =
        |what: &str, first: &str, then: Then| self::case(&format!("{name} {what}"), first, then, 0.0, most);
    vec![
        case("in chunks that never arrive", &chunked, Then::Nothing),
        case("with half a chunk", &format!("{chunked}ff\r\nxx"), Then::Nothing),
        case("in chunks that drip", &chunked, drip("1\r\nx\r\n")),
        case("with a chunk that drips", &format!("{chunked}ffff\r\n"), drip("x")),
        case("with an extension that drips", &format!("{chunked}1;"), drip("x")),
        case("with trailers that drip", &format!("{chunked}0\r\n"), drip("A: b\r\n")),
        case("with a length that never arrives", &length, Then::Nothing),
        case("with a length that drips", &length, drip("x")),
        case("half closed", &chunked, Then::HalfClose),
    ]
}

fn odd_bodies(token: &str) -> Vec<Case> {
    let post = |lines: &str| {
        format!("POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n{lines}\r\n")
    };
    let chunked = post("Transfer-Encoding: chunked\r\n");
    let whole = format!("{}{{}}", post("Content-Length: 2\r\n"));
    let whole_in_chunks = format!("{chunked}2\r\n{{}}\r\n0\r\n\r\n");
    let flood = |bytes: &str| Then::Flood(bytes.repeat(100).into());
    let most = BODY + LINGER;
    vec![
        case(
            "expecting 100",
            &post("Expect: 100-continue\r\nContent-Length: 9\r\n"),
            Then::Nothing,
            0.0,
            most,
        ),
        case("an upgrade", &post("Connection: upgrade\r\nUpgrade: websocket\r\n"), drip("x"), 0.0, most),
        case("another upgrade", &post("Connection: upgrade\r\nUpgrade: h2c\r\n"), drip("x"), 0.0, most),
        case("CONNECT", "CONNECT a:1 HTTP/1.1\r\nHost: a\r\n\r\n", drip("x"), 0.0, most),
        case("endless chunks", &chunked, flood("1\r\nx\r\n"), 0.0, 8.0 + most),
        case("an endless extension", &format!("{chunked}1;"), flood("x"), 0.0, 60.0),
        case("too long a length", &post("Content-Length: 99999999\r\n"), flood("x"), 0.0, most),
        case("a body and half a head", &format!("{whole}GET"), Then::Nothing, HEAD, HEAD),
        case("a body in chunks and half a head", &format!("{whole_in_chunks}GET"), Then::Nothing, HEAD, HEAD),
        case("a whole body", &whole, Then::Nothing, KEEP_ALIVE, KEEP_ALIVE),
        case("a whole body in chunks", &whole_in_chunks, Then::Nothing, KEEP_ALIVE, KEEP_ALIVE),
        case("broken chunks", &format!("{chunked}x"), drip("x"), 0.0, most),
    ]
}

fn unread(token: &str) -> Vec<Case> {
    let get = |path: &str| format!("GET {path} HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {token}\r\n\r\n");
    let page = get("/chats/?limit=200");
    let deaf = |what: &str, first: &str, then: Then, at_least: f64| Case {
        is_deaf: true,
        ..case(what, first, then, at_least, WRITE)
    };
    vec![
        deaf("a long response that is not read", &page, Then::Nothing, WRITE),
        deaf("a long response, a byte a second", &page, Then::Sip, 0.0),
        deaf("long responses that are not read", &page.repeat(50), drip(&page), 0.0),
        deaf("short responses that are not read", &get("/chats/?limit=1").repeat(20), drip(GET), 0.0),
    ]
}
