//! The examples of the document: they have the form that it prescribes, and a running server
//! accepts those of requests.

use serde_json::{Map, Value, json};

use crate::support::On;
use crate::support::app::{Answer, GUEST, TestApp};
use crate::support::documented::{DOCUMENT, faults, resolved};

/// Returns the examples of each media type of a body, with their names.
fn examples(
    contents: &'static Value,
) -> impl Iterator<Item = (&'static Value, &'static String, &'static Value)> {
    let contents = contents.as_object().into_iter().flat_map(Map::values);
    contents.flat_map(|content| {
        let examples = content["examples"].as_object().into_iter().flatten();
        examples.map(move |(name, example)| (&content["schema"], name, &example["value"]))
    })
}

#[test]
fn examples_have_the_form_of_their_schemas() {
    let mut count = 0;
    for (path, item) in DOCUMENT["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            let responses = operation["responses"].as_object().unwrap().values();
            let contents = responses.map(|response| &resolved(response)["content"]);
            for content in contents.chain([&operation["requestBody"]["content"]]) {
                for (schema, name, example) in examples(content) {
                    let faults = faults(schema, example);
                    assert!(faults.is_empty(), "{method} {path}, {name}: {faults:?}\n{example}");
                    count += 1;
                }
            }
            for parameter in operation["parameters"].as_array().into_iter().flatten() {
                if let Some(example) = parameter.get("example") {
                    let faults = faults(&parameter["schema"], example);
                    assert!(faults.is_empty(), "{method} {path}, {parameter}: {faults:?}");
                }
            }
        }
    }
    assert!(count > 300, "only {count} examples are checked");
}

/// There is no `security.txt` without a contact.
const FLAGS: [&str; 4] = ["--opening-tokens", "100000", "--security-contact", "security@chat.example"];

/// A server in which the ids of the examples exist.
struct World {
    app: TestApp,
    /// As the server sends it, with a model that it offers.
    document: Value,
    token: String,
    conversation: i64,
    chat: String,
    response: String,
}

impl World {
    async fn new(on: On) -> Option<World> {
        let app = TestApp::spawn_with(on, &FLAGS).await?;
        // The examples of accounts are of a user named ada.
        app.register("ada").await.assert_status(201);
        let token = app.token("ada").await;
        let chat = app.chat(&token, "Hello").await.header("x-chat-id").unwrap().to_owned();
        let conversation =
            app.post("/conversations/", &token, json!({})).await.json()["id"].as_i64().unwrap();
        let question = json!({ "model": "dummy", "input": "Hello" });
        let response =
            app.post("/v1/responses", &token, question).await.json()["id"].as_str().unwrap().to_owned();
        let document = app.get("/openapi.json", GUEST).await.json();
        Some(World { app, document, token, conversation, chat, response })
    }

    /// Puts an id that exists into a path.
    async fn target(&self, path: &str) -> String {
        let id = match path {
            _ if !path.contains("{id}") => String::new(),
            _ if path.starts_with("/v1/models/") => "dummy".to_owned(),
            _ if path.starts_with("/v1/responses/") => self.response.clone(),
            _ if path.starts_with("/conversations/") => self.conversation.to_string(),
            _ if path.starts_with("/chats/") => self.chat.clone(),
            _ if path.starts_with("/auth-tokens/") => {
                let made = self.app.post("/auth-tokens/", &self.token, json!({ "name": "Short" })).await;
                made.json()["id"].to_string()
            }
            _ => panic!("{path} has an id that this test does not know"),
        };
        path.replace("{id}", &id)
    }

    /// Sends a request with an example of a body, and checks that it succeeds. The answer has been
    /// compared with the document when this returns.
    async fn send(&self, method: &str, path: &str, body: Option<&Value>) -> Answer {
        let target = self.target(path).await;
        let request = self.app.request(&method.to_uppercase(), &target);
        // A registration and a log-in are a guest's.
        let is_guests = ["/register/", "/login/"].contains(&path);
        let request = if is_guests { request } else { request.bearer(&self.token) };
        let answer = match body {
            Some(body) => request.json(body).send().await,
            None => request.send().await,
        };
        let shown = body.map(Value::to_string).unwrap_or_default();
        assert!((200..300).contains(&answer.status), "{method} {target} {shown}: {}", answer.text());
        answer
    }
}

/// Requests after which others do not work: they come last, in this order.
const LAST: [&str; 6] = [
    "delete /v1/responses/{id}",
    "delete /conversations/{id}/",
    "delete /auth-tokens/{id}/",
    "post /register/",
    "post /password/",
    "post /logout/",
];

#[rstest::rstest]
#[actix_web::test]
async fn the_server_accepts_the_examples_of_requests(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::new(on).await else { return };
    let mut requests: Vec<(String, String, &Value)> = Vec::new();
    for (path, item) in world.document["paths"].as_object().unwrap() {
        for (method, operation) in item.as_object().unwrap() {
            requests.push((method.clone(), path.clone(), operation));
        }
    }
    let place = |method: &str, path: &str| {
        let name = format!("{method} {path}");
        LAST.iter().position(|last| *last == name).map_or(0, |place| place + 1)
    };
    requests.sort_by_key(|(method, path, _)| place(method, path));
    for (method, path, operation) in &requests {
        let content = &operation["requestBody"]["content"]["application/json"];
        let examples: Vec<&Value> =
            content["examples"].as_object().into_iter().flat_map(|examples| examples.values()).collect();
        if examples.is_empty() {
            world.send(method, path, None).await;
        }
        for example in examples {
            let mut body = example["value"].clone();
            if path == "/register/" {
                // Somebody has the name of the example already.
                body["username"] = "grace".into();
            }
            world.send(method, path, Some(&body)).await;
        }
    }
    assert!(requests.len() > 30, "only {} requests were sent", requests.len());
}

/// What is true of the examples of errors by their form is true of what the server sends.
#[actix_web::test]
async fn an_example_of_an_error_is_what_the_server_sends() {
    let Some(app) = TestApp::spawn(On::Sqlite).await else { return };
    let example = |path: &str, status: &str, media_type: &str, name: &str| {
        let response = resolved(&DOCUMENT["paths"][path]["post"]["responses"][status]);
        response["content"][media_type]["examples"][name]["value"].clone()
    };
    let problem = "application/problem+json";
    let sent = app.request("POST", "/chat/").json(&json!({ "message": "Hello" })).send().await;
    assert_eq!(sent.json(), example("/chat/", "401", "application/json", "unauthorized"));
    let sent = app.request("POST", "/chat/").header("Accept", problem).body("{}").send().await;
    assert_eq!(sent.json(), example("/chat/", "401", problem, "unauthorized"));
    let sent = app.request("POST", "/v1/chat/completions").body("{}").send().await;
    assert_eq!(sent.json(), example("/v1/chat/completions", "401", "application/json", "unauthorized"));
}
