//! What a route takes, returns and rejects. Each route of the API has its description in the table
//! of routes, beside its handler. The document at `/openapi.json` and the reference at `/docs/` are
//! made of these, and the tests compare every answer that they see with them.
//!
//! Nothing is written down twice: who may ask comes from the handler's arguments, statuses and
//! bodies of errors from [`Error`] itself, and schemas from the types that serde reads and writes.

mod arguments;

use actix_web::Handler;
use serde_json::{Value, json};

use super::schema::Schema;
use crate::error::Error;

pub use arguments::Describe;

/// The part of the API that a route belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Tag {
    /// Registration, log-in, auth tokens.
    Accounts,
    /// Chats, conversations, balances.
    Chats,
    /// OpenAI's protocol.
    OpenAi,
    /// Anthropic's protocol.
    Anthropic,
    /// Health checks, and this description.
    Server,
}

impl Tag {
    /// All tags, in the order of the document.
    pub const ALL: [Tag; 5] = [Tag::Accounts, Tag::Chats, Tag::OpenAi, Tag::Anthropic, Tag::Server];

    /// Returns the name.
    pub const fn name(self) -> &'static str {
        match self {
            Tag::Accounts => "Accounts",
            Tag::Chats => "Chats and balances",
            Tag::OpenAi => "OpenAI's protocol",
            Tag::Anthropic => "Anthropic's protocol",
            Tag::Server => "Server",
        }
    }

    /// Returns the id of its section on a page.
    pub const fn id(self) -> &'static str {
        match self {
            Tag::Accounts => "accounts",
            Tag::Chats => "chats",
            Tag::OpenAi => "openai",
            Tag::Anthropic => "anthropic",
            Tag::Server => "server",
        }
    }

    /// Returns what its routes are for.
    pub const fn description(self) -> &'static str {
        match self {
            Tag::Accounts => "Users, their passwords and their auth tokens.",
            Tag::Chats => "Messages and their answers, your history, your balance and its statement.",
            Tag::OpenAi => {
                "For programs made for OpenAI: the base URL ends in /v1, and an auth token is the API key. \
                 Fields that this server passes on are not checked here: the model's upstream may reject \
                 them."
            }
            Tag::Anthropic => {
                "For programs made for Anthropic: the base URL is the server's, and an auth token is the key."
            }
            Tag::Server => "Whether the server is alive and ready, and what its API looks like.",
        }
    }
}

/// Who may ask.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Access {
    /// Everybody.
    Open,
    /// Everybody, and a valid auth token shows more.
    Optional,
    /// The user of an auth token, in a header.
    Token,
    /// The user of an auth token, in a header or in the body.
    TokenOrBody,
}

/// Where a parameter is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Place {
    /// In the path.
    Path,
    /// In the query string.
    Query,
    /// A header.
    Header,
}

impl Place {
    /// Returns the name in documents.
    pub const fn name(self) -> &'static str {
        match self {
            Place::Path => "path",
            Place::Query => "query",
            Place::Header => "header",
        }
    }
}

/// A parameter of a request.
#[derive(Clone, Debug)]
pub struct Parameter {
    /// Where it is.
    pub place: Place,
    /// Its name.
    pub name: &'static str,
    /// What it means.
    pub meaning: &'static str,
    /// Its schema.
    pub schema: Value,
    /// A value that works. `Value::Null` if it is better left out.
    pub example: Value,
}

impl Parameter {
    /// Makes a part of the path.
    pub fn path(name: &'static str, meaning: &'static str, schema: Value, example: Value) -> Parameter {
        Parameter { place: Place::Path, name, meaning, schema, example }
    }

    /// Makes the path's `{id}` that is a number.
    pub fn id(meaning: &'static str) -> Parameter {
        let schema = json!({ "type": "integer", "format": "int64", "minimum": 1, "maximum": i64::MAX });
        Parameter::path("id", meaning, schema, 1.into())
    }

    /// Makes a parameter of the query string, which may be missing.
    pub fn query(name: &'static str, meaning: &'static str, schema: Value) -> Parameter {
        Parameter { place: Place::Query, name, meaning, schema, example: Value::Null }
    }

    /// Makes a header, which may be missing.
    pub fn header(name: &'static str, meaning: &'static str, schema: Value) -> Parameter {
        Parameter { place: Place::Header, name, meaning, schema, example: Value::Null }
    }
}

/// An example of a body.
#[derive(Clone, Debug)]
pub struct Example {
    /// A short name, of letters, digits and hyphens.
    pub name: String,
    /// What it shows.
    pub summary: String,
    /// The body. A text is shown as it is: a body that is not JSON.
    pub value: Value,
}

impl Example {
    /// Makes an example.
    pub fn new(name: &str, summary: &str, value: Value) -> Example {
        Example { name: name.to_owned(), summary: summary.to_owned(), value }
    }
}

/// Stands for the name of a model on offer in examples, until a document is sent.
pub const A_MODEL: &str = "a-model-on-offer";

/// The media type of JSON.
pub const JSON: &str = "application/json";
/// The media type of server-sent events.
pub const EVENTS: &str = "text/event-stream";
/// The type of a server-sent event that names none.
pub const MESSAGE: &str = "message";

/// A body in one media type.
#[derive(Clone, Debug)]
pub struct Content {
    /// The media type, without parameters.
    pub media_type: &'static str,
    /// The schema.
    pub schema: Schema,
    /// Examples.
    pub examples: Vec<Example>,
}

impl Content {
    /// Makes a body of JSON.
    pub fn json(schema: Schema, examples: impl IntoIterator<Item = Example>) -> Content {
        Content { media_type: JSON, schema, examples: examples.into_iter().collect() }
    }

    /// Makes a stream of server-sent events. `meaning` says which there are. The examples are all
    /// events of a short answer, and those that end one that broke off: each has a type, in most
    /// protocols [`MESSAGE`], and data.
    ///
    /// OpenAPI 3.1 does not say what the schema of a stream describes. Its tools read it as that of
    /// one event, as the HTML standard parses it.
    pub fn events(meaning: &str, whole: &[(&str, String)], broken: &[(&str, String)]) -> Content {
        let schema = Schema::plain(json!({
            "type": "object",
            "description": meaning,
            "required": ["data"],
            "properties": { "event": { "type": "string" }, "data": { "type": "string" } },
        }));
        let named = |start: &'static str, summary: &'static str| {
            move |(place, (event, data)): (usize, &(&str, String))| {
                let name = format!("{start}-{}", place + 1);
                Example::new(&name, summary, json!({ "event": event, "data": data }))
            }
        };
        let whole = whole.iter().enumerate().map(named("event", "The events of a short answer."));
        let broken = broken.iter().enumerate().map(named("broken", "The end of a stream that broke off."));
        Content { media_type: EVENTS, schema, examples: whole.chain(broken).collect() }
    }
}

/// The body of a request.
#[derive(Clone, Debug)]
pub struct Body {
    /// Whether it must be there.
    pub is_required: bool,
    /// The media types in which it may be sent; the first is the usual one.
    pub media_types: &'static [&'static str],
    /// The schema.
    pub schema: Schema,
    /// Examples that the server accepts.
    pub examples: Vec<Example>,
}

impl Body {
    /// Makes a body of JSON.
    pub fn json(schema: Schema, examples: impl IntoIterator<Item = Example>) -> Body {
        Body { is_required: true, media_types: &[JSON], schema, examples: examples.into_iter().collect() }
    }

    /// Allows the body to be missing.
    pub fn or_none(self) -> Body {
        Body { is_required: false, ..self }
    }

    /// Allows other media types.
    pub fn also_as(self, media_types: &'static [&'static str]) -> Body {
        Body { media_types, ..self }
    }
}

/// A response that is no error.
#[derive(Clone, Debug)]
pub struct Success {
    /// The status.
    pub status: u16,
    /// What it means.
    pub meaning: &'static str,
    /// The body, in each media type. Empty if there is none.
    pub contents: Vec<Content>,
    /// The names of headers that it has.
    pub headers: Vec<&'static str>,
    /// The names of headers that it may have.
    pub further_headers: Vec<&'static str>,
}

impl Success {
    /// Makes a response with JSON.
    pub fn json(status: u16, meaning: &'static str, schema: Schema, example: Value) -> Success {
        let example = Example::new("answer", meaning, example);
        Success { contents: vec![Content::json(schema, [example])], ..Success::empty(status, meaning) }
    }

    /// Makes a response without a body.
    pub fn empty(status: u16, meaning: &'static str) -> Success {
        Success { status, meaning, contents: Vec::new(), headers: Vec::new(), further_headers: Vec::new() }
    }

    /// Adds the body in another media type.
    pub fn or(mut self, content: Content) -> Success {
        self.contents.push(content);
        self
    }

    /// Adds headers that it always has.
    pub fn with(mut self, headers: &[&'static str]) -> Success {
        self.headers.extend_from_slice(headers);
        self
    }

    /// Adds headers that it may have.
    pub fn perhaps_with(mut self, headers: &[&'static str]) -> Success {
        self.further_headers.extend_from_slice(headers);
        self
    }
}

/// What a method of a path takes, returns and rejects.
#[derive(Debug)]
pub struct Operation {
    /// The part of the API.
    pub tag: Tag,
    /// What it does, in a few words.
    pub summary: &'static str,
    /// What else a caller has to know. May be empty.
    pub description: &'static str,
    /// Who may ask.
    pub access: Access,
    /// The parameters.
    pub parameters: Vec<Parameter>,
    /// The body of a request, if there is one.
    pub body: Option<Body>,
    /// The responses that are no errors.
    pub successes: Vec<Success>,
    /// The errors: each stands for all of its variant.
    pub errors: Vec<Error>,
    /// The names of headers that an error may have, besides its own.
    pub error_headers: Vec<&'static str>,
}

impl Operation {
    /// Begins the description of a handler, with what its arguments say about it.
    pub fn of<H, Arguments>(_: H) -> Operation
    where
        H: Handler<Arguments>,
        Arguments: Describe,
    {
        let mut operation = Operation {
            tag: Tag::Server,
            summary: "",
            description: "",
            access: Access::Open,
            parameters: Vec::new(),
            body: None,
            successes: Vec::new(),
            // Of any route: the middleware's, and a defect.
            errors: vec![Error::UnknownHost, Error::HeadTooLarge, Error::Internal(String::new())],
            error_headers: Vec::new(),
        };
        Arguments::describe(&mut operation);
        operation
    }

    /// Says what it does.
    pub fn titled(self, tag: Tag, summary: &'static str) -> Operation {
        Operation { tag, summary, ..self }
    }

    /// Says what else a caller has to know.
    pub fn about(self, description: &'static str) -> Operation {
        Operation { description, ..self }
    }

    /// Says who may ask, where the arguments do not.
    pub fn open_to(self, access: Access) -> Operation {
        Operation { access, ..self }
    }

    /// Adds parameters.
    pub fn with(mut self, parameters: impl IntoIterator<Item = Parameter>) -> Operation {
        self.parameters.extend(parameters);
        self
    }

    /// Adds the body of a request.
    pub fn takes(self, body: Body) -> Operation {
        Operation { body: Some(body), ..self }
    }

    /// Adds a response.
    pub fn returns(mut self, success: Success) -> Operation {
        self.successes.push(success);
        self
    }

    /// Adds errors.
    pub fn fails(mut self, errors: impl IntoIterator<Item = Error>) -> Operation {
        self.errors.extend(errors);
        self
    }

    /// Replaces the errors of the same kind by this one, which has another text.
    pub fn fails_instead(mut self, error: Error) -> Operation {
        self.errors.retain(|other| other.slug() != error.slug());
        self.errors.push(error);
        self
    }

    /// Adds headers that any response may have.
    pub fn perhaps_with(mut self, headers: &[&'static str]) -> Operation {
        for success in &mut self.successes {
            success.further_headers.extend_from_slice(headers);
        }
        self.error_headers.extend_from_slice(headers);
        self
    }

    /// Returns the status of the first response that is no error, for a usual request.
    pub fn usual_status(&self) -> u16 {
        self.successes.first().map_or(200, |success| success.status)
    }
}
