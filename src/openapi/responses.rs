//! The responses of a route: those of its description, and its errors, as [`Error`] renders them.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::body::MessageBody;
use actix_web::{HttpResponse, ResponseError};
use serde_json::{Value, json};

use crate::domain::Endpoint;
use crate::error::{AnthropicBody, ContractBody, Error, OpenAiBody, Problem, RetryContext};
use crate::http::operation::{Content, Example, JSON, Operation, Success};
use crate::http::{ALWAYS_SENT, ResponseHeader, SOMETIMES_SENT, Schema};

/// The media type of RFC 9457.
const PROBLEM: &str = "application/problem+json";

/// A response of a route.
#[derive(Clone, Debug)]
pub struct Response {
    /// The status.
    pub status: u16,
    /// What it means.
    pub meaning: String,
    /// The names of its headers, and whether it always has them.
    pub headers: BTreeMap<&'static str, bool>,
    /// The body, in each media type. Empty if there is none.
    pub contents: Vec<Content>,
    /// Whether it is an error.
    pub is_error: bool,
}

/// Returns all responses of a route, by status.
pub(super) fn of(path: &str, operation: &Operation) -> Vec<Response> {
    let successes = operation.successes.iter().map(|success| of_success(path, success));
    let mut all: Vec<Response> = successes.chain(of_errors(path, operation)).collect();
    all.sort_by_key(|response| response.status);
    all
}

/// Returns the headers that the middleware adds to the responses of a path.
fn common_headers(path: &str) -> BTreeMap<&'static str, bool> {
    let always = ALWAYS_SENT.into_iter().map(|name| (name, true));
    let mut headers: BTreeMap<_, _> = always.chain(SOMETIMES_SENT.map(|name| (name, false))).collect();
    match forms_of(path) {
        [Form::Anthropic] => headers.insert("Request-Id", true),
        [Form::OpenAi, ..] => headers.insert("Request-Id", false),
        _ => None,
    };
    headers
}

fn of_success(path: &str, success: &Success) -> Response {
    let mut headers = common_headers(path);
    headers.extend(success.further_headers.iter().map(|name| (*name, false)));
    headers.extend(success.headers.iter().map(|name| (*name, true)));
    let contents = success.contents.clone();
    Response {
        status: success.status,
        meaning: success.meaning.to_owned(),
        headers,
        contents,
        is_error: false,
    }
}

/// A form in which an error is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Form {
    /// That of the old contract.
    Contract,
    /// RFC 9457.
    Problem,
    /// OpenAI's protocol.
    OpenAi,
    /// Anthropic's protocol.
    Anthropic,
}

/// Returns the forms of the errors of a path. The middleware chooses among them by the path and by
/// the headers of the request.
fn forms_of(path: &str) -> &'static [Form] {
    if path.starts_with("/v1/messages") {
        &[Form::Anthropic]
    } else if path.starts_with("/v1/") {
        // With the header `anthropic-version`, every path speaks that protocol.
        &[Form::OpenAi, Form::Anthropic]
    } else {
        &[Form::Contract, Form::Problem]
    }
}

/// An error as it is sent.
struct Rendered {
    status: u16,
    /// The names of its headers. Those of clients that differ in whether they retry are apart.
    headers: Vec<BTreeSet<&'static str>>,
    body: Value,
}

impl Form {
    fn media_type(self) -> &'static str {
        if self == Form::Problem { PROBLEM } else { JSON }
    }

    fn schema(self) -> Schema {
        match self {
            Form::Contract => Schema::of::<ContractBody>(),
            Form::Problem => Schema::of::<Problem>(),
            Form::OpenAi => Schema::of::<OpenAiBody>(),
            Form::Anthropic => Schema::of::<AnthropicBody>(),
        }
    }

    /// Renders an error, as it is sent to clients of each kind.
    fn render(self, error: &Error, path: &str) -> Rendered {
        let usual = RetryContext { endpoint: Endpoint::of_path(path), ..RetryContext::default() };
        let contexts =
            [usual, RetryContext { has_key: true, ..usual }, RetryContext { is_retry: true, ..usual }];
        let responses: Vec<HttpResponse> = match self {
            Form::Contract => vec![error.error_response()],
            Form::Problem => vec![error.problem()],
            Form::OpenAi => contexts.map(|context| error.openai_response(context)).into(),
            Form::Anthropic => contexts.map(|context| error.anthropic_response(context)).into(),
        };
        let mut rendered = Rendered { status: 0, headers: Vec::new(), body: Value::Null };
        for response in responses {
            rendered.status = response.status().as_u16();
            let names = response.headers().keys().filter_map(|name| ResponseHeader::find(name.as_str()));
            rendered.headers.push(names.map(|header| header.name).collect());
            let body = response.into_body().try_into_bytes().unwrap_or_default();
            rendered.body = serde_json::from_slice(&body).unwrap_or_default();
        }
        rendered
    }
}

/// The errors of one status.
#[derive(Default)]
struct Group {
    titles: Vec<String>,
    headers: Vec<BTreeSet<&'static str>>,
    /// The forms of each media type, and the examples.
    contents: BTreeMap<&'static str, (Vec<Form>, Vec<Example>)>,
}

impl Group {
    fn add(&mut self, form: Form, error: &Error, rendered: Rendered) {
        let title = error.title();
        if !self.titles.contains(&title) {
            self.titles.push(title.clone());
        }
        self.headers.extend(rendered.headers);
        let (forms, examples) = self.contents.entry(form.media_type()).or_default();
        if !forms.contains(&form) {
            forms.push(form);
        }
        let name = match (form, forms.len()) {
            (Form::Anthropic, 2..) => format!("anthropic-{}", error.slug()),
            _ => error.slug().to_owned(),
        };
        let is_new = !examples.iter().any(|example| example.value == rendered.body);
        let same = examples.iter().filter(|example| example.name.starts_with(&name)).count();
        if is_new {
            let name = if same == 0 { name } else { format!("{name}-{}", same + 1) };
            examples.push(Example { name, summary: title, value: rendered.body });
        }
    }

    fn response(self, status: u16, path: &str, further: &[&'static str]) -> Response {
        let mut headers = common_headers(path);
        headers.extend(further.iter().map(|name| (*name, false)));
        let all: BTreeSet<&'static str> = self.headers.iter().flatten().copied().collect();
        headers.extend(all.into_iter().map(|name| (name, self.headers.iter().all(|own| own.contains(name)))));
        let content = |(media_type, (forms, examples)): (&'static str, (Vec<Form>, Vec<Example>))| Content {
            media_type,
            schema: any_of(&forms),
            examples,
        };
        let contents = self.contents.into_iter().map(content).collect();
        Response { status, meaning: self.titles.join("; "), headers, contents, is_error: true }
    }
}

fn any_of(forms: &[Form]) -> Schema {
    let schemas: Vec<Schema> = forms.iter().map(|form| form.schema()).collect();
    match <[Schema; 1]>::try_from(schemas) {
        Ok([schema]) => schema,
        Err(schemas) => {
            let json: Vec<Value> = schemas.iter().map(|schema| schema.json.clone()).collect();
            schemas.into_iter().fold(Schema::plain(json!({ "anyOf": json })), Schema::using)
        }
    }
}

fn of_errors(path: &str, operation: &Operation) -> Vec<Response> {
    let mut groups: BTreeMap<u16, Group> = BTreeMap::new();
    for error in &operation.errors {
        for form in forms_of(path) {
            let rendered = form.render(error, path);
            groups.entry(rendered.status).or_default().add(*form, error, rendered);
        }
    }
    let further = &operation.error_headers;
    groups.into_iter().map(|(status, group)| group.response(status, path, further)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::domain::Invalid;

    fn operation(errors: Vec<Error>) -> Operation {
        async fn nothing(_: actix_web::HttpRequest) -> &'static str {
            ""
        }
        Operation { errors, ..Operation::of(nothing) }
    }

    #[test]
    fn errors_have_the_status_headers_and_bodies_that_they_are_sent_with() {
        let empty = || Error::InsufficientTokens { balance: 3, price: 100, is_at_most: false, top_up: None };
        let errors = || operation(vec![Error::Unauthorized, empty(), Error::Busy(2)]);
        let contract = of("/chat/", &errors());
        assert_eq!(contract.iter().map(|response| response.status).collect::<Vec<_>>(), [400, 401, 503]);
        assert_eq!(contract[0].contents[0].examples[0].value, json!({ "error": "Insufficient tokens" }));
        assert_eq!(contract[0].contents[1].media_type, PROBLEM);
        assert_eq!(contract[1].headers.get("WWW-Authenticate"), Some(&true));
        assert_eq!(contract[2].headers.get("Retry-After"), Some(&true));
        let openai = of("/v1/chat/completions", &errors());
        assert_eq!(openai.iter().map(|response| response.status).collect::<Vec<_>>(), [401, 402, 503]);
        let names: Vec<&str> =
            openai[1].contents[0].examples.iter().map(|example| example.name.as_str()).collect();
        assert_eq!(names, ["insufficient-tokens", "anthropic-insufficient-tokens"]);
        assert_eq!(openai[1].headers.get("X-Should-Retry"), Some(&true));
    }

    #[test]
    fn several_errors_of_one_kind_are_several_examples() {
        let invalid = |field| Error::Invalid(Invalid::new(field, "give another one"));
        let responses =
            of("/chats/", &operation(vec![invalid("limit"), invalid("before"), invalid("limit")]));
        let names: Vec<&str> =
            responses[0].contents[0].examples.iter().map(|example| example.name.as_str()).collect();
        assert_eq!(names, ["invalid-field", "invalid-field-2"]);
    }

    /// A client under a key may retry what is not confirmed, so that the header is not always
    /// there.
    #[test]
    fn a_header_that_depends_on_the_client_may_be_missing() {
        let responses = of("/v1/embeddings", &operation(vec![Error::Unavailable(String::new())]));
        assert_eq!(responses[0].headers.get("X-Should-Retry"), Some(&false));
    }
}
