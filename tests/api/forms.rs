//! The paths of the old contract take forms, and JSON under any content type, as the old services
//! did.

use rstest::rstest;
use serde_json::{Value, json};
use url::form_urlencoded;

use crate::support::On;
use crate::support::app::{Answer, GUEST, Request, TestApp};
use crate::support::server::PASSWORD;

/// The ways in which programs send fields.
#[derive(Clone, Copy, Debug)]
enum Encoding {
    Json,
    /// `curl -d '{…}'`.
    JsonAsForm,
    JsonAsText,
    JsonOfNoType,
    UrlEncoded,
    Multipart,
}

const ALL: [Encoding; 6] = [
    Encoding::Json,
    Encoding::JsonAsForm,
    Encoding::JsonAsText,
    Encoding::JsonOfNoType,
    Encoding::UrlEncoded,
    Encoding::Multipart,
];

const FORM: &str = "application/x-www-form-urlencoded";
const MULTIPART: &str = "multipart/form-data; boundary=\"a line\"";

fn multipart(fields: &[(&str, &str)]) -> String {
    let part = |(name, value): &(&str, &str)| {
        format!("--a line\r\nContent-Disposition: form-data; name=\"{name}\"\r\n\r\n{value}\r\n")
    };
    fields.iter().map(part).collect::<String>() + "--a line--\r\n"
}

fn url_encoded(fields: &[(&str, &str)]) -> String {
    form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish()
}

impl Encoding {
    fn put<'a>(self, request: Request<'a>, fields: &[(&str, &str)]) -> Request<'a> {
        let object: serde_json::Map<_, _> =
            fields.iter().map(|(name, value)| ((*name).to_owned(), Value::from(*value))).collect();
        let json = Value::Object(object).to_string();
        match self {
            Encoding::Json => request.header("Content-Type", "application/json").body(json),
            Encoding::JsonAsForm => request.header("Content-Type", FORM).body(json),
            Encoding::JsonAsText => request.header("Content-Type", "text/plain;charset=UTF-8").body(json),
            Encoding::JsonOfNoType => request.body(json),
            Encoding::UrlEncoded => request.header("Content-Type", FORM).body(url_encoded(fields)),
            Encoding::Multipart => request.header("Content-Type", MULTIPART).body(multipart(fields)),
        }
    }

    async fn send(self, app: &TestApp, path: &str, token: &str, fields: &[(&str, &str)]) -> Answer {
        self.put(app.request("POST", path).bearer(token), fields).send().await
    }
}

#[rstest]
#[actix_web::test]
async fn a_user_registers_logs_in_and_chats_in_any_encoding(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let message = "Grüße & a=b+c, 100%\r\n\"x\" {}";
    for (number, encoding) in ALL.into_iter().enumerate() {
        let name = format!("user-{number}");
        let user = [("username", name.as_str()), ("password", PASSWORD)];
        for slash in ["/", ""] {
            let answer = encoding.send(&app, &format!("/register{slash}"), GUEST, &user).await;
            match slash {
                "/" => answer.assert(201, r#"{"message":"User created successfully"}"#),
                _ => answer.assert_error(400, "Username already exists"),
            };
        }
        let answer = encoding.send(&app, "/login/", GUEST, &user).await;
        assert_eq!(answer.status, 200, "{encoding:?}: {}", answer.text());
        let token = answer.json()["token"].as_str().unwrap().to_owned();
        let wrong = [("username", name.as_str()), ("password", "wrong")];
        encoding.send(&app, "/login", GUEST, &wrong).await.assert_error(400, "Invalid password");

        let answer = encoding.send(&app, "/chat/", &token, &[("message", message)]).await;
        assert_eq!(answer.status, 201, "{encoding:?}: {}", answer.text());
        assert_eq!(answer.json()["message"], message, "{encoding:?}");
        let in_body = [("message", message), ("token", &token)];
        encoding.send(&app, "/chat", GUEST, &in_body).await.assert_status(201);
        encoding.send(&app, "/chat/", &token, &[("message", " ")]).await.assert_error(400, "Invalid message");
        encoding.send(&app, "/chat/", &token, &[("text", "x")]).await.assert_error(400, "Invalid message");
        for stranger in ["", "tg_nobody"] {
            let answer = encoding.send(&app, "/chat/", GUEST, &[("message", ""), ("token", stranger)]).await;
            answer.assert_error(401, "Unauthorized");
        }
        assert_eq!(app.balance(&token).await, 3800, "{encoding:?}");
    }
    assert_eq!(app.count("users"), ALL.len() as i64);
}

/// An invalid auth token in the header is not replaced by the one in the form, as in JSON.
#[actix_web::test]
async fn the_header_has_precedence_over_the_token_of_a_form() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for encoding in ALL {
        let fields = [("message", "Hello"), ("token", token.as_str())];
        encoding.send(&app, "/chat/", "tg_nobody", &fields).await.assert_error(401, "Unauthorized");
    }
    assert_eq!(app.balance(&token).await, 4000);
}

#[rstest]
#[actix_web::test]
async fn the_values_of_a_form_have_the_types_of_json(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let made = app.post("/conversations/", &token, json!({ "title": "a form" })).await;
    let id = made.json()["id"].to_string();
    for encoding in [Encoding::UrlEncoded, Encoding::Multipart] {
        let send = async |name: &str, value: &str| {
            encoding.send(&app, "/chat/", &token, &[("message", "Hello"), (name, value)]).await
        };
        for stream in ["true", "True", "1", "on"] {
            let answer = send("stream", stream).await;
            answer.assert_status(200).assert_header("content-type", "text/event-stream; charset=utf-8");
        }
        for stream in ["false", "False", "0", "off", ""] {
            send("stream", stream).await.assert_status(201).assert_header("content-type", "application/json");
        }
        for stream in ["yes please", "2", "null"] {
            send("stream", stream).await.assert_error(400, "Invalid stream");
        }
        send("conversation_id", &id).await.assert_status(201);
        send("conversation_id", "").await.assert_status(201);
        for other in ["x", "1.5", "99999999999999999999"] {
            send("conversation_id", other).await.assert_error(400, "Invalid conversation_id");
        }
    }
    let shown = app.get(&format!("/conversations/{id}/"), &token).await.json();
    assert_eq!(shown["chats"].as_array().unwrap().len(), 2);
    // Texts stay texts where the client wrote JSON.
    for encoding in [Encoding::Json, Encoding::JsonAsForm] {
        for (name, value) in [("stream", "true"), ("conversation_id", id.as_str())] {
            let answer = encoding.send(&app, "/chat/", &token, &[("message", "Hello"), (name, value)]).await;
            answer.assert_error(400, &format!("Invalid {name}"));
        }
    }
}

#[rstest]
#[actix_web::test]
async fn a_retry_is_recognised_in_any_encoding(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let made = app.post("/conversations/", &token, json!({})).await.json()["id"].clone();
    for (key, conversation) in [("alone", None), ("in-one", Some(made.to_string()))] {
        let mut body = json!({ "message": "Grüße" });
        if conversation.is_some() {
            body["conversation_id"] = made.clone();
        }
        let keyed = || app.request("POST", "/chat/").bearer(&token).header("Idempotency-Key", key);
        let first = keyed().json(&body).send().await;
        first.assert_status(201);
        let mut fields = vec![("message", "Grüße"), ("stream", "false")];
        fields.extend(conversation.as_deref().map(|id| ("conversation_id", id)));
        for encoding in [Encoding::UrlEncoded, Encoding::Multipart] {
            let again = encoding.put(keyed(), &fields).send().await;
            again.assert(201, &first.text()).assert_header("idempotency-replayed", "true");
            let other = encoding.put(keyed(), &[("message", "Other")]).send().await;
            assert_eq!(other.status, 422, "{}", other.text());
        }
    }
    assert_eq!((app.balance(&token).await, app.count("chats")), (3800, 2));
}

#[actix_web::test]
async fn the_last_of_a_forms_equal_fields_counts() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    for encoding in [Encoding::UrlEncoded, Encoding::Multipart] {
        let fields = [("message", "first"), ("message", "last"), ("more", "x")];
        let answer = encoding.send(&app, "/chat/", &token, &fields).await;
        assert_eq!(answer.json()["message"], "last", "{encoding:?}");
    }
}

/// Each would be a valid message without its fault, and none is charged.
#[rstest]
#[actix_web::test]
async fn a_form_that_cannot_be_read_is_refused_like_unreadable_json(
    #[values(On::Sqlite, On::Postgres)] on: On,
) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let fields = "message=Hello&username=bob&password=correct+horse+battery";
    let part = |name: &str, head: &str, text: &[u8]| {
        let start = format!("--a line\r\nContent-Disposition: form-data; name=\"{name}\"{head}\r\n\r\n");
        [start.as_bytes(), text, b"\r\n"].concat()
    };
    let parts = [
        part("message", "", b"Hello"),
        part("username", "", b"bob"),
        part("password", "", b"correct horse battery"),
    ]
    .concat();
    let with = |more: &[u8]| [parts.as_slice(), more, b"--a line--"].concat();
    let bodies = [
        (FORM, Vec::new()),
        (FORM, format!("{fields}&more=%ff").into_bytes()),
        (FORM, format!("{fields}&more=%ed%a0%80").into_bytes()),
        (FORM, format!("{fields}&more=%00").into_bytes()),
        (FORM, format!("{fields}&%00=more").into_bytes()),
        (FORM, [fields.as_bytes(), b"&more=\xff"].concat()),
        (FORM, fields.to_owned().into_bytes().into_iter().chain("&a=b".repeat(1000).into_bytes()).collect()),
        (FORM, format!("{{{fields}").into_bytes()),
        ("application/x-www-form-urlencoded; charset=latin1", format!("{fields}&a=%C3%BC").into_bytes()),
        ("text/plain", fields.as_bytes().to_vec()),
        ("application/json", fields.as_bytes().to_vec()),
        (MULTIPART, Vec::new()),
        (MULTIPART, fields.as_bytes().to_vec()),
        (MULTIPART, parts.clone()),
        (MULTIPART, with(&part("file", "; filename=\"a.txt\"", b"text"))),
        (MULTIPART, with(&part("more", "", b"\xff"))),
        (MULTIPART, with(&part("more", "", b"\0"))),
        (MULTIPART, with(&part("more", "\r\nContent-Transfer-Encoding: base64", b"SGk="))),
        (MULTIPART, with(&part("more", "", b"x").repeat(1000))),
        ("multipart/form-data", with(b"")),
        ("multipart/form-data; boundary=another", with(b"")),
    ];
    for (kind, body) in bodies {
        let shown: String = String::from_utf8_lossy(&body).chars().take(300).collect();
        for (path, error) in [
            ("/chat/", "Invalid message"),
            ("/register/", "Invalid username or password"),
            ("/login/", "Invalid username"),
        ] {
            let request = app.request("POST", path).bearer(&token).header("Content-Type", kind);
            let answer = request.body(body.clone()).send().await;
            assert_eq!((answer.status, answer.error().as_str()), (400, error), "{path} {kind} {shown}");
        }
    }
    let sound = app.request("POST", "/chat/").bearer(&token).header("Content-Type", MULTIPART);
    sound.body(with(&part("more", "", b"x").repeat(997))).send().await.assert_status(201);
    assert_eq!((app.count("users"), app.count("chats")), (1, 1));
}

#[actix_web::test]
async fn a_form_has_the_same_limit_on_its_size() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let longest = "x".repeat(512 * 1024);
    for encoding in [Encoding::UrlEncoded, Encoding::Multipart] {
        let answer = encoding.send(&app, "/chat/", &token, &[("message", "Hello"), ("x", &longest)]).await;
        answer.assert_error(413, "Request body too large");
        let answer = encoding.send(&app, "/chat/", &token, &[("message", &longest[..32_001])]).await;
        answer.assert_error(400, "Invalid message");
        let answer = encoding.send(&app, "/chat/", &token, &[("message", &longest[..32_000])]).await;
        answer.assert_status(201);
    }
}

/// The newer paths and `/v1` take JSON only, and say so.
#[rstest]
#[actix_web::test]
async fn all_other_paths_refuse_forms_and_say_what_they_take(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(app) = TestApp::spawn(on).await else { return };
    let token = app.user("ada").await;
    let id = app.post("/conversations/", &token, json!({ "title": "one" })).await.json()["id"].clone();
    let conversation = format!("/conversations/{id}/");
    for (method, path) in [
        ("POST", "/logout/"),
        ("POST", "/password/"),
        ("POST", "/auth-tokens/"),
        ("POST", "/conversations/"),
        ("PATCH", conversation.as_str()),
        ("POST", "/v1/chat/completions"),
    ] {
        for encoding in
            [Encoding::JsonAsForm, Encoding::JsonAsText, Encoding::UrlEncoded, Encoding::Multipart]
        {
            let request = app.request(method, path).bearer(&token);
            let answer = encoding.put(request, &[("title", "two"), ("name", "n"), ("everywhere", "true")]);
            let answer = answer.send().await;
            assert_eq!(answer.status, 415, "{path} {encoding:?}: {}", answer.text());
            answer.assert_header("accept", "application/json");
        }
    }
    let shown = app.get(&conversation, &token).await.json();
    assert_eq!((&shown["title"], app.balance(&token).await), (&json!("one"), 4000));
}

/// `curl -X POST -d ''` names the type of a form.
#[actix_web::test]
async fn an_empty_body_is_of_no_type() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let token = app.user("ada").await;
    let send = |path: &str| {
        let request = app.request("POST", path).bearer(&token).header("Content-Type", FORM);
        request.header("Content-Length", "0").body("").send()
    };
    send("/conversations/").await.assert_status(201);
    send("/password/").await.assert_error(400, "Invalid body");
    send("/logout/").await.assert_status(200);
}

/// A page may send forms and texts anywhere without asking, and JSON only after a preflight.
#[actix_web::test]
async fn a_page_of_another_site_can_send_only_json() {
    let Some(app) = TestApp::spawn_with(On::Sqlite, &["--cors-origins", "https://app.example"]).await else {
        return;
    };
    let body = "username=ada&password=correct+horse+battery";
    let from = |origin: &str, content_type: &str, body: &str| {
        let request =
            app.request("POST", "/register/").header("Host", "localhost:8000").header("Origin", origin);
        request.header("Content-Type", content_type).body(body).send()
    };
    for origin in ["https://evil.example", "null", "http://localhost:9999"] {
        for content_type in [FORM, "text/plain", "multipart/form-data; boundary=x"] {
            from(origin, content_type, body).await.assert_status(415);
        }
    }
    assert_eq!(app.count("users"), 0);
    from("https://app.example", FORM, body).await.assert_status(201);
    from("http://localhost:8000", FORM, &body.replace("ada", "bob")).await.assert_status(201);
}
