//! The metrics of the real server, as Prometheus reads them.

use std::collections::BTreeSet;
use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use rstest::rstest;
use serde_json::json;

use crate::docs::operating::queries_as_rules;
use crate::faults::ask::Way;
use crate::faults::world::World;
use crate::support::http::Client;
use crate::support::ledger::raw;
use crate::support::scrape::{Scrape, WITH_METRICS, address};
use crate::support::server::{PASSWORD, Server};
use crate::support::upstream::{Signal, answer, in_time, status};
use crate::support::{On, TestDatabase, require, temporary, wait};

const PATIENCE: Duration = Duration::from_secs(20);

fn flags<'a>(more: &[&'a str]) -> Vec<&'a str> {
    [&WITH_METRICS[..], more].concat()
}

#[rstest]
fn requests_refusals_and_money_are_counted(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &flags(&["--opening-tokens", "250"]));
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "one").status, 201);
    assert_eq!(server.chat(&token, "two").status, 201);
    assert_eq!(server.chat(&token, "three").status, 400);
    assert_eq!(server.chat("tg_nobody", "four").status, 401);
    let wrong = json!({"username": "ada", "password": "not this one"});
    assert_eq!(server.client().post("/login/", None, &wrong).unwrap().status, 400);
    for _ in 0..3 {
        assert_eq!(server.client().get("/nothing/at/all", &token).unwrap().status, 404);
    }
    let scrape = Scrape::of(&server);
    let requests = |route: &str, method: &str, status: u16| {
        let labels = format!("route=\"{route}\",method=\"{method}\",status=\"{status}\"");
        scrape.get(&format!("tollgate_http_requests_total{{{labels}}}"))
    };
    assert_eq!([201, 400, 401].map(|status| requests("/chat", "POST", status)), [2.0, 1.0, 1.0]);
    assert_eq!([200, 400].map(|status| requests("/login", "POST", status)), [1.0, 1.0]);
    assert_eq!(requests("other", "GET", 404), 3.0);
    let durations = "tollgate_http_request_duration_seconds_count{route=\"/chat\",method=\"POST\"}";
    assert_eq!(scrape.value(durations), 4.0);
    let refusals = |reason: &str| scrape.value(&format!("tollgate_refusals_total{{reason=\"{reason}\"}}"));
    let counted = ["insufficient-tokens", "unauthorized", "invalid-password", "not-found"].map(refusals);
    assert_eq!(counted, [1.0, 1.0, 1.0, 3.0]);
    assert_eq!((refusals("too-many-requests"), refusals("other")), (0.0, 0.0));
    let tokens = |kind: &str| scrape.value(&format!("tollgate_ledger_tokens_total{{kind=\"{kind}\"}}"));
    assert_eq!(["opening", "charge", "refund"].map(tokens), [250.0, 200.0, 0.0]);
    assert_eq!(scrape.value("tollgate_chats_total{outcome=\"complete\"}"), 2.0);
    assert!(scrape.value("tollgate_writer_batch_jobs_count") >= 3.0);
    let commits = scrape.value("tollgate_writer_commit_duration_seconds_count");
    assert_eq!(commits, scrape.value("tollgate_writer_batch_jobs_count"));
    assert_eq!(scrape.value("tollgate_writer_failed_transactions_total"), 0.0);
    // The registration, the log-in and the wrong password.
    assert_eq!(scrape.value("tollgate_password_hash_duration_seconds_count"), 3.0);
    assert!(scrape.value("tollgate_reader_connections") >= 1.0);
    assert_eq!(scrape.value("tollgate_database_readable"), 1.0);
    let kind = if on == On::Sqlite { "sqlite" } else { "postgresql" };
    let info =
        format!("tollgate_build_info{{version=\"{}\",database=\"{kind}\"}}", env!("CARGO_PKG_VERSION"));
    assert_eq!(scrape.value(&info), 1.0);
    for name in ["cpu_seconds_total", "resident_memory_bytes", "open_fds", "max_fds", "threads"] {
        assert!(scrape.value(&format!("process_{name}")) > 0.0, "{name}");
    }
    let counted = scrape.value("process_open_fds");
    let really = std::fs::read_dir(format!("/proc/{}/fd", server.pid())).unwrap().count() as f64;
    assert!((counted - really).abs() <= 5.0, "{counted} open files, and really {really}");
}

#[rstest]
fn holds_and_the_upstream_are_measured_by_model(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &WITH_METRICS) else { return };
    let token = world.server.user("ada");
    let ask = || {
        let mut client = world.server.client();
        client.post(Way::V1.path(), Some(&token), &Way::V1.body()).unwrap().status
    };
    world.upstream.next(answer("Hello there", 9, 2));
    assert_eq!(ask(), 200);
    world.upstream.next(status(500, &[("content-type", "application/json")], "{}"));
    assert_eq!(ask(), 502);
    let signal = Signal::default();
    world.upstream.next([signal.step()].into_iter().chain(answer("Late", 9, 1)));
    std::thread::scope(|scope| {
        let late = scope.spawn(ask);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(in_time("the call", signal.reached()));
        let held = wait::until("the hold in a scrape", PATIENCE, || {
            let scrape = Scrape::of(&world.server);
            (scrape.value("tollgate_open_holds") == 1.0).then_some(scrape)
        });
        assert_eq!(held.value("tollgate_held_tokens"), 100.0);
        assert!(held.value("tollgate_oldest_hold_age_seconds") < 60.0);
        assert_eq!(held.value("tollgate_overdue_holds"), 0.0);
        assert_eq!(held.value("tollgate_upstream_calls_in_flight"), 1.0);
        signal.release();
        assert_eq!(late.join().unwrap(), 200);
    });
    let scrape = Scrape::of(&world.server);
    let calls = |outcome: &str| {
        scrape.value(&format!("tollgate_upstream_calls_total{{model=\"m\",outcome=\"{outcome}\"}}"))
    };
    assert_eq!(["complete", "failed", "cancelled", "refused"].map(calls), [2.0, 1.0, 0.0, 0.0]);
    let failed = "tollgate_upstream_failures_total{model=\"m\",reason=\"server_error\"}";
    assert_eq!(scrape.value(failed), 1.0);
    let count = |name: &str| scrape.value(&format!("tollgate_upstream_{name}_count{{model=\"m\"}}"));
    assert_eq!((count("time_to_first_token_seconds"), count("call_duration_seconds")), (2.0, 3.0));
    assert_eq!(scrape.value("tollgate_upstream_breaker_state{model=\"m\",state=\"closed\"}"), 1.0);
    assert_eq!(scrape.value("tollgate_chats_total{outcome=\"failed\"}"), 1.0);
    assert_eq!(scrape.value("tollgate_chat_failures_total{reason=\"server_error\"}"), 1.0);
    assert_eq!(scrape.value("tollgate_ledger_tokens_total{kind=\"refund\"}"), 100.0);
    world.close();
}

/// Whatever clients send, it makes no further series.
#[test]
fn clients_cannot_make_series() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &flags(&[]));
    let token = server.user("ada");
    let mut client = server.client();
    for number in 0..50 {
        let paths = [
            format!("/nothing/{number}"),
            format!("/chats/{number}/"),
            format!("/v1/models/model-{number}"),
            format!("/admin/{number}/"),
            format!("/static/{number}"),
        ];
        for path in paths {
            client.send("GET", &path, &[("Authorization", &token)], b"").unwrap();
            client.send(&format!("M{number}"), &path, &[], b"").unwrap();
        }
    }
    let scrape = Scrape::of(&server);
    let series = scrape.series("tollgate_http_requests_total");
    let routes: BTreeSet<&str> =
        series.iter().map(|series| series.split('"').nth(1).expect("a route")).collect();
    let known =
        ["/chats/{id}", "/login", "/readyz", "/register", "/static/{file}", "/v1/models/{id}", "other"];
    assert_eq!(routes, BTreeSet::from(known));
    assert!(series.len() < 25, "{series:#?}");
    assert!(!scrape.text.contains("model-7"), "{}", scrape.text);
}

#[test]
fn the_listener_has_one_page_and_the_server_itself_has_none() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &flags(&[]));
    let mut client = Client::new(address(&server));
    for (method, path) in [
        ("GET", "/"),
        ("GET", "/metrics/"),
        ("GET", "/metrics/x"),
        ("GET", "/chat/"),
        ("POST", "/metrics"),
        ("DELETE", "/metrics"),
        ("OPTIONS", "/metrics"),
    ] {
        let answer = client.send(method, path, &[], b"").unwrap();
        assert_eq!(answer.status, 404, "{method} {path}: {answer:?}");
    }
    let answer = client.send("GET", "/metrics?x=y", &[], b"").unwrap();
    assert_eq!((answer.status, answer.header("cache-control")), (200, Some("no-store")));
    assert_eq!(server.client().send("GET", "/metrics", &[], b"").unwrap().status, 404);
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    assert!(!Server::start(&database, &[]).log().contains("metrics"), "they are off by default");
}

#[test]
fn an_address_that_is_taken_prevents_the_start_and_the_setting_is_named() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let taken = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let bind = taken.local_addr().unwrap().to_string();
    let words = ["serve", "--bind", "127.0.0.1:0", "--database-url", database.url(), "--metrics-bind", &bind];
    let output = crate::support::server::tollgate(&words);
    let said = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.status.code(), Some(1), "{said}");
    assert!(said.contains("--metrics-bind") && said.contains(&bind), "{said}");
}

/// A client that sends its head slowly, or none, has as little time as one of the API.
#[test]
fn a_slow_client_of_the_listener_is_disconnected() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let server = Server::start(&database, &flags(&["--head-timeout", "1"]));
    let mut slow: Vec<TcpStream> = (0..40).map(|_| TcpStream::connect(address(&server)).unwrap()).collect();
    for stream in &mut slow {
        // Those beyond the limit are closed already.
        let _ = stream.write_all(b"GET /metrics HTT");
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
    }
    let began = Instant::now();
    for mut stream in slow {
        let mut rest = Vec::new();
        let ended = stream.read_to_end(&mut rest);
        let is_late = ended.is_err_and(|error| error.kind() == std::io::ErrorKind::WouldBlock);
        assert!(!is_late, "a connection stays open");
    }
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
    assert_eq!(Scrape::of(&server).value("tollgate_database_readable"), 1.0);
}

/// While the database does not answer, a scrape has everything else, and does not wait again.
#[test]
fn a_database_that_hangs_does_not_hold_up_scrapes() {
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let server = Server::start(&database, &flags(&[]));
    let mut locking = raw(database.on(), database.url());
    locking.batch_execute("BEGIN; LOCK TABLE chats IN ACCESS EXCLUSIVE MODE").unwrap();
    let began = Instant::now();
    let scrape = Scrape::of(&server);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
    assert_eq!(scrape.value("tollgate_database_readable"), 0.0);
    assert!(scrape.series("tollgate_open_holds").is_empty());
    assert!(scrape.value("process_threads") > 0.0);
    let began = Instant::now();
    (0..20).for_each(|_| drop(Scrape::of(&server)));
    assert!(began.elapsed() < Duration::from_secs(1), "{:?}", began.elapsed());
    locking.batch_execute("ROLLBACK").unwrap();
    let is_back = || Scrape::of(&server).get("tollgate_database_readable") == 1.0;
    wait::until("a reading", Duration::from_secs(40), || is_back().then_some(()));
}

/// However many scrapes there are, the database is read once in a few seconds.
#[rstest]
fn many_scrapes_read_the_database_once(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let server = Server::start(&database, &flags(&["--dummy-delay", "60000"]));
    let token = server.user("ada");
    let holds = || Scrape::of(&server).value("tollgate_open_holds");
    let began = Instant::now();
    assert_eq!(holds(), 0.0);
    let (address, bearer) = (server.address(), token.clone());
    let chat = std::thread::spawn(move || {
        let _ = Client::new(address).post("/chat/", Some(&bearer), &json!({"message": "slow"}));
    });
    wait::until("the hold", PATIENCE, || (!server.history(&token).is_empty()).then_some(()));
    let scraped: Vec<f64> = (0..20).map(|_| holds()).collect();
    if began.elapsed() < Duration::from_secs(4) {
        assert_eq!(scraped, [0.0; 20], "they show the same reading");
    }
    wait::until("another reading", PATIENCE, || (holds() == 1.0).then_some(()));
    drop(server);
    chat.join().unwrap();
}

/// Returns the output of `promtool`, which must succeed.
#[track_caller]
fn promtool(words: &[&str], input: &str) -> Option<String> {
    let Some(program) = require::program("promtool") else {
        require::missing("promtool", "on Debian: apt-get install prometheus");
        return None;
    };
    let mut child = Command::new(program)
        .args(words)
        .current_dir(crate::house::source::root().join("deploy"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
    assert!(output.status.success(), "promtool {words:?} says:\n{said}");
    Some(said)
}

#[rstest]
fn promtool_finds_nothing_wrong_with_the_metrics(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(world) = World::start(on, &WITH_METRICS) else { return };
    let token = world.server.user("ada");
    world.upstream.next(status(500, &[], "{}"));
    assert_eq!(world.server.chat(&token, "hi").status, 502);
    let body = json!({"username": "ada", "password": PASSWORD});
    assert_eq!(world.server.client().post("/register/", None, &body).unwrap().status, 400);
    let said = promtool(&["check", "metrics"], &Scrape::of(&world.server).text);
    // Without a word: it warns of bad names, and still succeeds.
    assert_eq!(said.unwrap_or_default().trim(), "");
    world.close();
}

#[test]
fn promtool_finds_nothing_wrong_with_the_alerts() {
    let Some(said) = promtool(&["check", "rules", "alerts.yaml"], "") else { return };
    assert!(said.contains("SUCCESS"), "{said}");
    promtool(&["test", "rules", "alerts.test.yaml"], "");
}

#[test]
fn promtool_understands_the_dashboards_queries() {
    let directory = temporary::directory();
    let file = directory.path().join("dashboard.yaml");
    std::fs::write(&file, queries_as_rules()).unwrap();
    let Some(said) = promtool(&["check", "rules", file.to_str().unwrap()], "") else { return };
    assert!(said.contains("SUCCESS"), "{said}");
}
