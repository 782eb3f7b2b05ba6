//! The whole server in the test's own process: the real routes and middleware, on a database of its
//! own. Functions are named as in the contract, so that a test reads like its name.

use std::cell::Cell;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::Path;
use std::str::FromStr;
use std::time::Instant;

use actix_web::body::{BoxBody, to_bytes};
use actix_web::dev::{Service, ServiceResponse};
use actix_web::http::Method;
use actix_web::http::header::HeaderValue;
use actix_web::middleware::from_fn;
use actix_web::test::{TestRequest, init_service};
use actix_web::{App, Error};
use clap::{CommandFactory, FromArgMatches, Parser};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};
use futures_util::future::LocalBoxFuture;
use serde_json::{Value, json};
use tokio::runtime::Handle;
use tollgate::config::Config;
use tollgate::db::{Db, attach_index};
use tollgate::metering::verify::verify_at_rest;
use tollgate::server::{self, Services, middleware};

pub use super::http::Answer;
use super::server::PASSWORD;
use super::{On, TestDatabase, documented};

/// Passed instead of an auth token, for a request without one.
pub const GUEST: &str = "";

/// Parses flags into a [`Config`], without the environment variables of the caller.
#[derive(Parser)]
struct Flags {
    #[command(flatten)]
    config: Config,
}

type Routes = Box<dyn Fn(TestRequest) -> LocalBoxFuture<'static, Result<ServiceResponse<BoxBody>, Error>>>;

/// A server without a socket. When it is dropped, its books must be sound. The database is declared
/// last, so that it is dropped after everything that uses it.
pub struct TestApp {
    routes: Routes,
    pub services: Services,
    books_are_damaged: Cell<bool>,
    database: TestDatabase,
}

impl TestApp {
    /// Starts a server with cheap hashes, no throttles, and otherwise the defaults. `None` if this
    /// machine does not have the database.
    pub async fn spawn(on: On) -> Option<TestApp> {
        TestApp::spawn_with(on, &[]).await
    }

    pub async fn spawn_with(on: On, flags: &[&str]) -> Option<TestApp> {
        Some(TestApp::spawn_on(TestDatabase::create(on)?, flags).await)
    }

    /// Starts a server on a database that the test has prepared.
    pub async fn spawn_on(database: TestDatabase, flags: &[&str]) -> TestApp {
        // A failed test shows the server's warnings.
        let _ = env_logger::builder().is_test(true).filter_level(log::LevelFilter::Warn).try_init();
        let config = config(database.url(), flags);
        let db = Db::open(&config.db_options()).unwrap();
        db.migrate().unwrap();
        let services = Services::new(&config, db, Handle::current()).unwrap();
        let app = App::new()
            .wrap(server::cors(&config.listen.cors_origins))
            .wrap(from_fn(middleware))
            .configure(server::routes(services.clone()));
        let service = init_service(app).await;
        let routes: Routes =
            Box::new(move |request: TestRequest| Box::pin(service.call(request.to_request())));
        TestApp { routes, services, books_are_damaged: Cell::new(false), database }
    }

    pub fn request(&self, method: &str, path: &str) -> Request<'_> {
        let inner = TestRequest::with_uri(path)
            .method(Method::from_str(method).unwrap())
            .peer_addr(SocketAddr::from((Ipv4Addr::LOCALHOST, 40_000)));
        Request { app: self, inner, method: method.to_owned(), target: path.to_owned() }
    }

    pub async fn get(&self, path: &str, token: &str) -> Answer {
        self.request("GET", path).bearer(token).send().await
    }

    pub async fn post(&self, path: &str, token: &str, body: Value) -> Answer {
        self.request("POST", path).bearer(token).json(&body).send().await
    }

    pub async fn delete(&self, path: &str, token: &str) -> Answer {
        self.request("DELETE", path).bearer(token).send().await
    }

    /// Registers a user with [`PASSWORD`].
    pub async fn register(&self, name: &str) -> Answer {
        self.post("/register/", GUEST, json!({ "username": name, "password": PASSWORD })).await
    }

    pub async fn log_in(&self, name: &str, password: &str) -> Answer {
        self.post("/login/", GUEST, json!({ "username": name, "password": password })).await
    }

    /// Logs a registered user in. Returns the new auth token.
    pub async fn token(&self, name: &str) -> String {
        let answer = self.log_in(name, PASSWORD).await;
        answer.json()["token"].as_str().unwrap_or_else(|| panic!("no token in {}", answer.text())).to_owned()
    }

    /// Registers a user and logs in. Returns the auth token.
    pub async fn user(&self, name: &str) -> String {
        let answer = self.register(name).await;
        assert_eq!(answer.status, 201, "{}", answer.text());
        self.token(name).await
    }

    pub async fn chat(&self, token: &str, message: &str) -> Answer {
        self.post("/chat/", token, json!({ "message": message })).await
    }

    pub async fn chat_with_key(&self, token: &str, message: &str, key: &str) -> Answer {
        self.keyed_chat(token, message, key).send().await
    }

    /// Makes a chat request with an idempotency key, without sending it.
    pub fn keyed_chat(&self, token: &str, message: &str, key: &str) -> Request<'_> {
        let request = self.request("POST", "/chat/").bearer(token).header("Idempotency-Key", key);
        request.json(&json!({ "message": message }))
    }

    /// Returns the balance, as the user sees it.
    pub async fn balance(&self, token: &str) -> i64 {
        let answer = self.get("/balance/", token).await;
        answer.json()["tokens"].as_i64().unwrap_or_else(|| panic!("no balance in {}", answer.text()))
    }

    /// Changes the database directly, as an import or the passing of time would.
    #[track_caller]
    pub fn sql(&self, statement: &str) {
        match self.database.on() {
            On::Sqlite => self.sqlite().batch_execute(statement).unwrap(),
            On::Postgres => self.postgres().batch_execute(statement).unwrap(),
        }
    }

    /// Returns the one text of a query's result, in a column named `value`.
    #[track_caller]
    pub fn text(&self, query: &str) -> Option<String> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Nullable<Text>)]
            value: Option<String>,
        }
        let query = diesel::sql_query(query);
        let row: Row = match self.database.on() {
            On::Sqlite => query.get_result(&mut self.sqlite()).unwrap(),
            On::Postgres => query.get_result(&mut self.postgres()).unwrap(),
        };
        row.value
    }

    /// Returns the number of rows of `FROM …`.
    #[track_caller]
    pub fn count(&self, from: &str) -> i64 {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = BigInt)]
            value: i64,
        }
        let query = diesel::sql_query(format!("SELECT count(*) AS value FROM {from}"));
        let row: Row = match self.database.on() {
            On::Sqlite => query.get_result(&mut self.sqlite()).unwrap(),
            On::Postgres => query.get_result(&mut self.postgres()).unwrap(),
        };
        row.value
    }

    /// Declares that the test damages the books on purpose, or closes the database, so that they
    /// are not verified at its end.
    pub fn damages_its_books(&self) {
        self.books_are_damaged.set(true);
    }

    pub fn database(&self) -> &TestDatabase {
        &self.database
    }

    fn sqlite(&self) -> SqliteConnection {
        let mut connection = SqliteConnection::establish(self.database.url()).unwrap();
        connection.batch_execute("PRAGMA busy_timeout = 10000").unwrap();
        attach_index(&mut connection, Path::new(self.database.url())).unwrap();
        connection
    }

    fn postgres(&self) -> PgConnection {
        PgConnection::establish(self.database.url()).unwrap()
    }
}

impl Drop for TestApp {
    fn drop(&mut self) {
        if self.books_are_damaged.get() || std::thread::panicking() {
            return;
        }
        // There is no sweeper here, so a hold may be overdue.
        let findings = verify_at_rest(&self.services.db).expect("the books cannot be verified");
        let wrong: Vec<_> = findings.iter().filter(|finding| !finding.faults.is_empty()).collect();
        assert!(wrong.is_empty(), "the test left unsound books: {wrong:#?}");
    }
}

/// Returns the settings of a test's server.
pub fn config(database_url: &str, flags: &[&str]) -> Config {
    let defaults = ["--database-url", database_url, "--bcrypt-cost", "4", "--throttle", "off"];
    // A flag of the test replaces the default: clap accepts no flag twice.
    let defaults = defaults.chunks(2).filter(|pair| !flags.contains(&pair[0])).flatten();
    let arguments = ["tollgate"].iter().chain(defaults).chain(flags);
    let command = Flags::command().mut_args(|argument| argument.env(None::<&str>));
    let matches = command.try_get_matches_from(arguments).unwrap();
    Flags::from_arg_matches(&matches).unwrap().config
}

/// A request that is being built.
#[must_use = "it is sent by send()"]
pub struct Request<'a> {
    app: &'a TestApp,
    inner: TestRequest,
    method: String,
    target: String,
}

impl Request<'_> {
    /// The auth token, if it is not [`GUEST`].
    pub fn bearer(self, token: &str) -> Self {
        if token.is_empty() { self } else { self.header("Authorization", &format!("Bearer {token}")) }
    }

    /// Adds a header, also a second one of the same name.
    pub fn header(self, name: &str, value: &str) -> Self {
        Request { inner: self.inner.append_header((name, value)), ..self }
    }

    /// Adds a header whose value need not be valid text.
    pub fn bytes(self, name: &str, value: &[u8]) -> Self {
        let value = HeaderValue::from_bytes(value).unwrap();
        Request { inner: self.inner.append_header((name, value)), ..self }
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("Content-Type", "application/json").body(body.to_string())
    }

    /// Sets the body, without a content type.
    pub fn body(self, body: impl Into<Vec<u8>>) -> Self {
        Request { inner: self.inner.set_payload(body.into()), ..self }
    }

    /// Sets the address that the connection comes from.
    pub fn from(self, peer: &str) -> Self {
        let address: IpAddr = peer.parse().unwrap();
        Request { inner: self.inner.peer_addr(SocketAddr::from((address, 40_000))), ..self }
    }

    /// Sends it, and compares the answer with the document of the API. The future does not borrow
    /// the app, so that it can be awaited on a task of its own.
    pub fn send(self) -> LocalBoxFuture<'static, Answer> {
        let Request { app, inner, method, target } = self;
        let response = (app.routes)(inner);
        Box::pin(async move {
            let (_, response) = response.await.unwrap().into_parts();
            let status = response.status().as_u16();
            let text = |value: &[u8]| String::from_utf8_lossy(value).into_owned();
            let headers = response.headers().iter();
            let headers = headers.map(|(name, value)| (name.to_string(), text(value.as_bytes()))).collect();
            let body = to_bytes(response.into_body()).await.unwrap().to_vec();
            let answer = Answer { status, headers, body };
            documented::check(&method, &target, answer.seen());
            answer
        })
    }
}

impl Answer {
    /// Checks the status, and the body to the byte.
    #[track_caller]
    pub fn assert(&self, status: u16, body: &str) -> &Self {
        assert_eq!((self.status, self.text().as_str()), (status, body));
        self
    }

    /// Checks the status, and the contract's `{"error": …}` to the byte.
    #[track_caller]
    pub fn assert_error(&self, status: u16, error: &str) -> &Self {
        self.assert(status, &json!({ "error": error }).to_string());
        assert_eq!(self.header("content-type"), Some("application/json"));
        self
    }

    #[track_caller]
    pub fn assert_status(&self, status: u16) -> &Self {
        assert_eq!(self.status, status, "{}", self.text());
        self
    }

    #[track_caller]
    pub fn assert_header(&self, name: &str, value: &str) -> &Self {
        assert_eq!(self.header(name), Some(value), "{name}");
        self
    }
}

/// Waits until another task has met a condition. Fails after 30 s.
pub async fn eventually(what: &str, mut condition: impl AsyncFnMut() -> bool) {
    let began = Instant::now();
    while !condition().await {
        assert!(began.elapsed().as_secs() < 30, "waited in vain for {what}");
        tokio::task::yield_now().await;
    }
}
