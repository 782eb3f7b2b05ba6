//! Malformed requests of every kind get a clear 4xx in the contract's format and change nothing,
//! and the server goes on.

use rstest::rstest;
use serde_json::json;

use crate::support::http::{Answer, Broken};
use crate::support::server::{PASSWORD, Server, assert_verified};
use crate::support::{On, TestDatabase};

/// A server with one user, who has done nothing yet.
pub(super) struct Scene {
    database: TestDatabase,
    pub(super) server: Server,
    pub(super) token: String,
}

impl Scene {
    pub(super) fn new(on: On, flags: &[&str]) -> Option<Scene> {
        let database = TestDatabase::create(on)?;
        let server = Server::start(&database, flags);
        let token = server.user("ada");
        Some(Scene { database, server, token })
    }

    /// Sends a body to a path, with the user's auth token.
    fn post(&self, path: &str, more: &[(&str, &str)], body: &[u8]) -> Answer {
        let authorization = format!("Bearer {}", self.token);
        let mut headers = vec![("Authorization", authorization.as_str())];
        headers.extend(more);
        let answer = self.server.client().send("POST", path, &headers, body);
        answer.unwrap_or_else(|broken| panic!("{broken} to {} bytes at {path} with {more:?}", body.len()))
    }

    /// Returns a request for `POST /chat/` with these header lines and this body.
    pub(super) fn request(&self, lines: &str, body: &[u8]) -> Vec<u8> {
        let head = format!(
            "POST /chat/ HTTP/1.1\r\nHost: tollgate.test\r\nAuthorization: Bearer {}\r\n{lines}\r\n",
            self.token
        );
        [head.as_bytes(), body].concat()
    }

    /// Checks that nothing has changed and that the server goes on: the next chat is the user's
    /// first.
    pub(super) fn assert_unchanged(self) {
        assert_eq!(self.server.tokens(&self.token), 4000);
        assert!(self.server.history(&self.token).is_empty(), "a refused request made a chat");
        assert_eq!(self.server.chat(&self.token, "Hello").status, 201);
        assert_eq!(self.server.tokens(&self.token), 3900);
        let log = self.server.log();
        assert!(!log.contains("panicked") && !log.contains("ERROR"), "{log}");
        drop(self.server);
        assert_verified(&self.database);
    }
}

/// Checks the status, and that there is an error text.
#[track_caller]
pub(super) fn assert_refused(answer: &Answer, status: u16, what: &str) {
    assert_eq!(answer.status, status, "{what}: {answer:?}");
    assert!(!answer.error().is_empty(), "{what}: {answer:?}");
}

/// Bodies that no path accepts as a JSON object: other values, broken JSON, nesting that is too
/// deep.
fn not_objects() -> Vec<Vec<u8>> {
    let deep_object = [r#"{"a":"#.repeat(80_000), "1".to_owned(), "}".repeat(80_000)].concat();
    let deep_value = format!(r#"{{"message":"a","more":{}{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let mut bodies: Vec<Vec<u8>> =
        ["", " ", "{", "}", "nul", "null", "7", "true", "\"text\"", "[", "\u{feff}{}"]
            .map(|body| body.as_bytes().to_vec())
            .to_vec();
    bodies.push("[".repeat(100_000).into_bytes());
    bodies.push("{\"a\":".repeat(100_000).into_bytes());
    bodies.extend([deep_object.into_bytes(), deep_value.into_bytes()]);
    bodies
}

/// Invalid values for a text field, as raw JSON.
fn invalid_values() -> Vec<Vec<u8>> {
    let values: [&[u8]; 18] = [
        b"null",
        b"7",
        b"-0.5e9",
        b"true",
        b"[]",
        b"[\"a\"]",
        b"{}",
        b"{\"a\":\"b\"}",
        b"\"\"",
        b"'a'",
        b"NaN",
        br#""\ud800""#,
        br#""\udc00 \ud800""#,
        br#""a\u0000b""#,
        b"\"a\0b\"",
        b"\"\xff\xfe\"",
        b"\"\xc0\xaf\"",
        b"\"\xed\xa0\x80\"",
    ];
    values.iter().map(|value| value.to_vec()).collect()
}

#[rstest]
fn a_message_that_is_not_valid_text_in_valid_json_is_refused(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::new(on, &[]) else { return };
    let more: [&[u8]; 7] = [
        b"{}",
        br#"{"message":"   "}"#,
        br#"{"message":"a"} x"#,
        br#"{"message":"a","message":"b"}"#,
        br#"{"message":"a",}"#,
        br#"{"message":"a","more":"\ud800"}"#,
        br#"{"message":"a","more":[{"b":"\u0000"}]}"#,
    ];
    let mut bodies = not_objects();
    bodies.push(b"[]".to_vec());
    bodies.extend(more.map(<[u8]>::to_vec));
    bodies.extend(invalid_values().into_iter().map(|value| [b"{\"message\":", &value[..], b"}"].concat()));
    bodies.push(json!({ "message": "x".repeat(32_001) }).to_string().into_bytes());
    bodies.push("{\"message\":\"a\"}".encode_utf16().flat_map(u16::to_le_bytes).collect());
    for body in bodies {
        let answer = scene.post("/chat/", &[], &body);
        let what = String::from_utf8_lossy(&body[..body.len().min(60)]).into_owned();
        assert_refused(&answer, 400, &what);
        assert_eq!(answer.error(), "Invalid message", "{what}");
    }
    scene.assert_unchanged();
}

#[rstest]
fn every_other_path_with_a_body_refuses_invalid_values(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(scene) = Scene::new(on, &[]) else { return };
    let with = |before: &str, after: &str| -> Vec<Vec<u8>> {
        let around = |value: Vec<u8>| [before.as_bytes(), &value[..], after.as_bytes()].concat();
        invalid_values().into_iter().map(around).chain(not_objects()).collect()
    };
    let password = json!(PASSWORD).to_string();
    let cases = [
        ("/register/", with(r#"{"username":"#, r#","password":"sound and long"}"#)),
        ("/register/", with(r#"{"password":"#, r#","username":"grace"}"#)),
        ("/login/", with(r#"{"username":"#, &format!(r#","password":{password}}}"#))),
        ("/login/", with(r#"{"password":"#, r#","username":"ada"}"#)),
        ("/auth-tokens/", with(r#"{"name":"#, "}")),
        ("/password/", with(r#"{"old_password":"#, r#","new_password":"sound and long"}"#)),
        ("/password/", with(&format!(r#"{{"old_password":{password},"new_password":"#), "}")),
    ];
    for (path, bodies) in &cases {
        for body in bodies {
            let what = format!("{path} {}", String::from_utf8_lossy(&body[..body.len().min(80)]));
            assert_refused(&scene.post(path, &[], body), 400, &what);
        }
    }
    for body in [r#"{"everywhere":"yes"}"#, "[", r#"{"everywhere":null}"#, r#"{"everywhere":1}"#] {
        assert_refused(&scene.post("/logout/", &[], body.as_bytes()), 400, body);
    }
    let login = json!({"username": "grace", "password": "sound and long"});
    let nobody = scene.server.client().post("/login/", None, &login).unwrap();
    assert_eq!(nobody.error(), "Invalid username", "a refused registration created a user");
    scene.assert_unchanged();
}

#[test]
fn a_body_that_is_compressed_or_of_two_types_is_refused() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    let good = br#"{"message":"Hello"}"#;
    // The head of a gzip file, which is refused unread.
    let gzip: &[u8] = b"\x1f\x8b\x08\x00\x00\x00\x00\x00\x00\x03";
    let json = ("Content-Type", "application/json");
    type Headers<'a> = &'a [(&'a str, &'a str)];
    let cases: [(Headers, &[u8]); 4] = [
        (&[json, ("Content-Type", "text/plain")], good),
        (&[json, ("Content-Encoding", "gzip")], gzip),
        (&[json, ("Content-Encoding", "br")], good),
        (&[json, ("Content-Encoding", "identity, gzip")], good),
    ];
    for (headers, body) in cases {
        let answer = scene.post("/chat/", headers, body);
        assert_refused(&answer, 415, &format!("{headers:?}"));
    }
    let multipart: &[u8] =
        b"--x\r\nContent-Disposition: form-data; name=\"message\"; filename=\"a\"\r\n\r\nHello\r\n--x--";
    let forms: [(&str, &[u8]); 7] = [
        ("text/plain", b"message=Hello"),
        ("\u{e9}", b"message=Hello"),
        ("application/x-www-form-urlencoded", b"message=%ff"),
        ("application/x-www-form-urlencoded", b"message=Hello&x=%00"),
        ("application/x-www-form-urlencoded", br#"{"message":"Hello""#),
        ("multipart/form-data; boundary=x", b"message=Hello"),
        ("multipart/form-data; boundary=x", multipart),
    ];
    for (kind, body) in forms {
        let what = format!("{kind}: {}", String::from_utf8_lossy(body));
        assert_refused(&scene.post("/chat/", &[("Content-Type", kind)], body), 400, &what);
    }
    // Without the header it is invalid JSON: nothing decompresses it.
    assert_refused(&scene.post("/chat/", &[], gzip), 400, "gzip that does not say so");
    scene.assert_unchanged();
}

#[test]
fn a_body_that_is_too_long_is_refused_with_a_declared_length_and_in_chunks() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    let mebibyte = vec![b'x'; 1024 * 1024];
    for mebibytes in [1, 32] {
        let length = format!("Content-Length: {}\r\n", mebibytes * mebibyte.len());
        let head = scene.request(&length, b"{\"message\":\"");
        let parts = std::iter::once(&head[..]).chain(std::iter::repeat_n(&mebibyte[..], mebibytes));
        let answer = scene.server.client().raw_in_parts(parts).unwrap();
        assert_refused(&answer, 413, &format!("{mebibytes} MiB with a length"));

        let head = scene.request("Transfer-Encoding: chunked\r\n", b"");
        let chunk = [b"100000\r\n", &mebibyte[..], b"\r\n"].concat();
        let parts = std::iter::once(&head[..]).chain(std::iter::repeat_n(&chunk[..], mebibytes));
        let answer = scene.server.client().raw_in_parts(parts).unwrap();
        assert_refused(&answer, 413, &format!("{mebibytes} MiB in chunks"));
    }
    // The declared length suffices: nothing has to be sent.
    for length in ["524289", "33554432", "18446744073709551615"] {
        let request = scene.request(&format!("Content-Length: {length}\r\n"), b"");
        let answer = scene.server.client().raw(&request).unwrap();
        assert_refused(&answer, 413, length);
    }
    scene.assert_unchanged();
}

#[test]
fn a_body_in_broken_chunks_changes_nothing() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    let bodies: [&[u8]; 6] = [
        b"zz\r\n{\"message\":\"Hello\"}\r\n0\r\n\r\n",
        b"-13\r\n{\"message\":\"Hello\"}\r\n0\r\n\r\n",
        b"13\r\n{\"message\":\"Hello\"}0\r\n\r\n",
        b"fffffffffffffffff\r\n{\"message\":\"Hello\"}\r\n0\r\n\r\n",
        b"13 {\"message\":\"Hello\"}\r\n0\r\n\r\n",
        b"\r\n\r\n\r\n",
    ];
    for body in bodies {
        let request = scene.request("Transfer-Encoding: chunked\r\n", body);
        let what = String::from_utf8_lossy(body);
        // actix closes the connection at once, so a response is sent only if it takes no waiting.
        match scene.server.client().raw(&request) {
            Ok(answer) => assert_refused(&answer, 400, &what),
            Err(broken) => assert_eq!(broken, Broken::NoAnswer, "{what}"),
        }
        assert_eq!(scene.server.tokens(&scene.token), 4000, "{what}");
    }
    scene.assert_unchanged();
}

#[test]
fn a_length_together_with_chunks_never_smuggles_a_second_request() {
    let Some(scene) = Scene::new(On::Sqlite, &[]) else { return };
    // A proxy that goes by the length sees a body here. A server that goes by the chunks sees a
    // second request.
    let smuggled = format!(
        "POST /chat/ HTTP/1.1\r\nHost: a\r\nAuthorization: Bearer {}\r\nContent-Length: 19\r\n\r\n{{\"message\":\"Hello\"}}",
        scene.token
    );
    let hidden = format!("0\r\n\r\n{smuggled}");
    let lines = [
        format!("Content-Length: {}\r\nTransfer-Encoding: chunked\r\n", hidden.len()),
        format!("Transfer-Encoding: chunked\r\nContent-Length: {}\r\n", hidden.len()),
        format!("Content-Length: 5\r\nContent-Length: {}\r\n", hidden.len()),
        "Content-Length: 5, 5\r\n".to_owned(),
        "Content-Length: +5\r\n".to_owned(),
        "Transfer-Encoding: chunked, identity\r\n".to_owned(),
        "Transfer-Encoding: xchunked\r\n".to_owned(),
        "Transfer-Encoding : chunked\r\n".to_owned(),
    ];
    for lines in lines {
        match scene.server.client().raw(&scene.request(&lines, hidden.as_bytes())) {
            Ok(answer) => assert!((400..500).contains(&answer.status), "{lines}: {answer:?}"),
            Err(broken) => assert_eq!(broken, Broken::NoAnswer, "{lines}"),
        }
        assert_eq!(scene.server.tokens(&scene.token), 4000, "smuggled by {lines}");
    }
    scene.assert_unchanged();
}
