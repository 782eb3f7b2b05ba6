//! SIGHUP reloads the settings while the server runs.

use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::time::Duration;

use rstest::rstest;
use rustix::process::Signal;
use serde_json::json;

use crate::support::server::{Launch, Server, assert_verified};
use crate::support::upstream::ScriptedUpstream;
use crate::support::{On, TestDatabase, temporary, wait};

const PATIENCE: Duration = Duration::from_secs(20);

fn write(file: &Path, content: &str) {
    std::fs::write(file, content).unwrap();
    std::fs::set_permissions(file, std::fs::Permissions::from_mode(0o600)).unwrap();
}

/// A server with a settings file.
struct Reloading {
    server: Server,
    file: PathBuf,
    _directory: tempfile::TempDir,
}

impl Reloading {
    fn start(database: &TestDatabase, content: &str, flags: &[&str]) -> Reloading {
        let directory = temporary::directory();
        let file = directory.path().join("t.toml");
        write(&file, content);
        let config = ["--config", file.to_str().unwrap()];
        let server = Launch::on(database).flags(&[&config, flags].concat()).start();
        Reloading { server, file, _directory: directory }
    }

    /// Writes other settings, sends SIGHUP, and returns what the server then logs.
    fn reload(&self, content: &str) -> String {
        write(&self.file, content);
        self.hang_up()
    }

    /// Sends SIGHUP, and returns what the server then logs.
    fn hang_up(&self) -> String {
        let before = self.server.log().len();
        self.server.signal(Signal::HUP);
        wait::until("a line on the reload", PATIENCE, || {
            let log = self.server.log()[before..].to_owned();
            (log.contains("the settings were") && log.ends_with('\n')).then_some(log)
        })
    }

    fn start_page(&self) -> String {
        self.server.client().send("GET", "/", &[], b"").unwrap().text()
    }
}

#[rstest]
fn prices_limits_and_titles_change_without_a_restart(#[values(On::Sqlite, On::Postgres)] on: On) {
    let Some(database) = TestDatabase::create(on) else { return };
    let reloading = Reloading::start(&database, "chat-price = 100\n", &[]);
    let server = &reloading.server;
    let token = server.user("ada");
    assert_eq!(server.chat(&token, "hi").status, 201);
    let log = reloading.reload(
        "chat-price = 7\nopening-tokens = 50\nregistration = 'open'\nlogin-errors = 'unified'\n\
         top-up = 'Ask Ada for tokens'\nsite-title = 'Chats of Ada'\n",
    );
    assert!(
        log.contains("the settings were reloaded: site-title, opening-tokens, chat-price, top-up"),
        "{log}"
    );
    assert!(log.contains("login-errors") && !log.contains("registration"), "{log}");
    assert!(!log.contains("needs a restart"), "{log}");
    assert_eq!(server.chat(&token, "hi").status, 201);
    assert_eq!(server.tokens(&token), 4000 - 100 - 7);
    let grace = server.user("grace");
    assert_eq!(server.tokens(&grace), 50);
    let wrong = json!({"username": "ada", "password": "not that one"});
    let answer = server.client().post("/login/", None, &wrong).unwrap();
    assert_eq!(answer.error(), "Invalid username or password");
    let me = server.client().get("/me/", &token).unwrap().json();
    assert_eq!(me["top_up"], "Ask Ada for tokens");
    let sign_in = server.client().send("GET", "/admin/sign-in/", &[], b"").unwrap().text();
    assert!(sign_in.contains("Chats of Ada"), "{sign_in}");
    // What is no longer in the file has its default again.
    reloading.reload("registration = 'closed'\n");
    let account = json!({"username": "eve", "password": "a plain pass phrase 7"});
    assert_eq!(server.client().post("/register/", None, &account).unwrap().error(), "Registration is closed");
    assert_eq!(server.chat(&token, "hi").status, 201);
    assert_eq!(server.tokens(&token), 4000 - 100 - 7 - 100);
    assert!(!reloading.start_page().contains("Ask Ada"));
    drop(reloading);
    assert_verified(&database);
}

#[test]
fn what_needs_a_restart_is_named_each_time_and_does_not_change() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "", &[]);
    let content = "drain-delay = 7\nupstream-calls = 3\nmax-connections = 77\nchat-price = 5\n";
    for _ in 0..2 {
        let log = reloading.reload(content);
        assert!(log.contains("needs a restart: max-connections, drain-delay, upstream-calls"), "{log}");
    }
    let token = reloading.server.user("ada");
    assert_eq!(reloading.server.chat(&token, "hi").status, 201);
    assert_eq!(reloading.server.tokens(&token), 3995);
    let log = reloading.reload("chat-price = 5\n");
    assert!(log.contains("none that a reload changes has another value"), "{log}");
    assert!(!log.contains("needs a restart"), "{log}");
}

#[test]
fn a_wrong_file_changes_nothing_and_is_logged() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "chat-price = 7\n", &[]);
    let token = reloading.server.user("ada");
    for (content, why) in [
        ("chat-price = 9\nworkers = 0\n", ":2: workers is \"0\": give a whole number from 1 to 256"),
        ("chat-price = 9\nchat-prise = 9\n", ":2: chat-prise is not a setting"),
        ("chat-price = \n", ":1: "),
        ("chat-price = 9\nlog = 'loud=x=y'\n", "give a level"),
    ] {
        let log = reloading.reload(content);
        assert!(log.contains("the settings were not reloaded, and nothing was changed: "), "{log}");
        assert!(log.contains(why), "{why:?} is not in {log}");
    }
    std::fs::remove_file(&reloading.file).unwrap();
    assert!(reloading.hang_up().contains("the file cannot be read"));
    assert_eq!(reloading.server.chat(&token, "hi").status, 201);
    assert_eq!(reloading.server.tokens(&token), 3993);
    let log = reloading.reload("chat-price = 3\n");
    assert!(log.contains("the settings were reloaded: chat-price"), "{log}");
}

#[test]
fn flags_and_variables_still_come_before_the_file() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "chat-price = 7\n", &["--chat-price", "11"]);
    let log = reloading.reload("chat-price = 9\nopening-tokens = 60\n");
    assert!(log.contains("the settings were reloaded: opening-tokens\n"), "{log}");
    let token = reloading.server.user("ada");
    assert_eq!(reloading.server.chat(&token, "hi").status, 201);
    assert_eq!(reloading.server.tokens(&token), 49);
}

#[test]
fn the_level_of_the_log_changes_without_a_restart() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "log = 'info'\n", &[]);
    let server = &reloading.server;
    // The log comes through a pipe, so a line may arrive after the response.
    let is_logged = |within: Duration| {
        let (before, began) = (server.log().len(), std::time::Instant::now());
        server.client().send("GET", "/healthz", &[], b"").unwrap();
        while began.elapsed() < within {
            if server.log()[before..].contains("GET /healthz") {
                return true;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        false
    };
    assert!(is_logged(PATIENCE));
    write(&reloading.file, "log = 'warn'\n");
    server.signal(Signal::HUP);
    wait::until("a quiet log", PATIENCE, || (!is_logged(Duration::from_millis(500))).then_some(()));
    reloading.reload("log = 'info'\n");
    assert!(is_logged(PATIENCE));
}

#[test]
fn a_level_that_a_signal_has_raised_outlives_a_reload() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "log = 'info'\n", &[]);
    let server = &reloading.server;
    let signal = |signal: Signal, says: &str| {
        server.signal(signal);
        wait::until(says, PATIENCE, || server.log().contains(says).then_some(()));
    };
    signal(Signal::USR1, "the level of the log is now debug");
    let log = reloading.reload("log = 'warn'\n");
    assert!(log.contains("the settings were reloaded: log\n"), "{log}");
    signal(Signal::USR2, "is that of --log again, by SIGUSR2: warn");
}

#[test]
fn hsts_and_the_notice_of_the_start_page_change_without_a_restart() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let start = "public-url = 'https://chat.example'\n";
    let reloading = Reloading::start(&database, start, &[]);
    let hsts = || {
        let answer = reloading.server.client().send("GET", "/", &[], b"").unwrap();
        answer.header("strict-transport-security").map(str::to_owned)
    };
    assert_eq!(hsts().as_deref(), Some("max-age=31536000"));
    let more = "hsts = 300\nhsts-include-subdomains = true\nsite-notice = 'Ada gives accounts'\n";
    let log = reloading.reload(&format!("{start}{more}"));
    assert!(log.contains("the settings were reloaded: ") && !log.contains("needs a restart"), "{log}");
    assert_eq!(hsts().as_deref(), Some("max-age=300; includeSubDomains"));
    assert!(reloading.start_page().contains("Ada gives accounts"));
}

#[test]
fn the_security_contact_changes_without_a_restart() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "security-contact = 'ada@chat.example'\n", &[]);
    let served = || reloading.server.client().send("GET", "/.well-known/security.txt", &[], b"").unwrap();
    assert!(served().text().starts_with("Contact: mailto:ada@chat.example\n"), "{:?}", served());
    let log = reloading.reload("security-contact = 'https://chat.example/report'\n");
    assert!(log.contains("the settings were reloaded: security-contact\n"), "{log}");
    assert!(served().text().starts_with("Contact: https://chat.example/report\n"), "{:?}", served());
    reloading.reload("");
    assert_eq!(served().status, 404);
}

#[test]
fn the_schedule_of_backups_changes_and_their_folder_does_not() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let folder = temporary::directory();
    let settings = |every: &str, folder: &Path| {
        format!("backup-dir = '{}'\nbackup-every = '{every}'\nmin-free-disk = 0\n", folder.display())
    };
    let reloading = Reloading::start(&database, &settings("0", folder.path()), &[]);
    let other = folder.path().join("other");
    let log = reloading.reload(&settings("1h", &other));
    assert!(log.contains("a changed setting needs a restart: backup-dir"), "{log}");
    wait::until("a backup", PATIENCE, || reloading.server.log().contains("made the backup").then_some(()));
    assert!(!other.exists() && std::fs::read_dir(folder.path()).unwrap().count() == 1);
}

#[test]
fn another_key_and_other_models_reach_the_upstream() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let (upstream, directory) = (ScriptedUpstream::start(), temporary::directory());
    let key = directory.path().join("key");
    write(&key, "sk-first\n");
    let settings = |models: &str| {
        format!(
            "responder = 'openai'\nupstream-url = '{}'\nupstream-models = {models}\nupstream-key-file = '{}'\n",
            upstream.url(),
            key.display()
        )
    };
    let reloading = Reloading::start(&database, &settings("['m']"), &[]);
    let (server, token) = (&reloading.server, reloading.server.user("ada"));
    assert_eq!(server.chat(&token, "hi").status, 201);
    // Another key in the same file.
    write(&key, "sk-second\n");
    let log = reloading.hang_up();
    assert!(log.contains("the settings were reloaded: upstream-key-file") && !log.contains("sk-"), "{log}");
    assert_eq!(server.chat(&token, "hi").status, 201);
    reloading.reload(&settings("['n', 'm']"));
    assert_eq!(server.chat(&token, "hi").status, 201);
    let requests = upstream.requests();
    let keys: Vec<_> = requests.iter().map(|request| request.header("authorization").unwrap()).collect();
    assert_eq!(keys, ["Bearer sk-first", "Bearer sk-second", "Bearer sk-second"]);
    let models = server.client().get("/v1/models", &token).unwrap().text();
    assert!(models.contains("\"n\""), "{models}");
    // An incomplete upstream changes nothing.
    let log = reloading.reload("responder = 'openai'\n");
    assert!(log.contains("not reloaded") && log.contains("--upstream-url"), "{log}");
    assert_eq!(server.chat(&token, "hi").status, 201);
    drop(reloading);
    assert_verified(&database);
}

/// A chat that has begun ends with the settings that it began with.
#[test]
fn chats_in_flight_are_answered_and_charged_as_they_began() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let reloading = Reloading::start(&database, "chat-price = 100\ndummy-delay = 1500\n", &[]);
    let server = &reloading.server;
    let token = server.user("ada");
    std::thread::scope(|scope| {
        let chat = scope.spawn(|| server.chat(&token, "hi"));
        wait::until("the hold", PATIENCE, || (server.tokens(&token) == 3900).then_some(()));
        reloading.reload("chat-price = 7\ndummy-delay = 1500\n");
        assert_eq!(chat.join().unwrap().status, 201);
    });
    assert_eq!(server.tokens(&token), 3900);
    assert_eq!(server.chat(&token, "hi").status, 201);
    assert_eq!(server.tokens(&token), 3893);
    drop(reloading);
    assert_verified(&database);
}

#[test]
fn throttles_can_be_switched_on_and_off() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let file = directory.path().join("t.toml");
    write(&file, "throttle = false\n");
    let launch = Launch::on(&database).without("--throttle").flags(&["--config", file.to_str().unwrap()]);
    let server = launch.start();
    let reloading = Reloading { server, file, _directory: directory };
    let token = reloading.server.user("ada");
    let reads = || {
        let mut client = reloading.server.client();
        (0..20)
            .map(|_| client.get("/tokens/", &token).unwrap().status)
            .filter(|status| *status == 429)
            .count()
    };
    assert_eq!(reads(), 0);
    reloading.reload("throttle = true\nreads-per-minute = 5\n");
    assert!(reads() >= 10);
    reloading.reload("throttle = false\n");
    assert_eq!(reads(), 0);
}

/// A terminal sends SIGHUP when it is closed. A server on it stops, as it does by default.
#[test]
fn a_server_stops_with_its_terminal() {
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    if crate::support::require::program("script").is_none() {
        crate::support::require::missing("script", "install util-linux, on Debian: apt-get install bsdutils");
        return;
    }
    let directory = temporary::directory();
    let (pid_file, log) = (directory.path().join("pid"), directory.path().join("log"));
    let binary = env!("CARGO_BIN_EXE_tollgate");
    let command = format!(
        "echo $$ >'{}'; exec '{binary}' --bind 127.0.0.1:0 --database-url '{}'",
        pid_file.display(),
        database.url()
    );
    let mut terminal = std::process::Command::new("script")
        .args(["--quiet", "--flush", "--command", &command])
        .arg(&log)
        .env("SHELL", "/bin/sh")
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .stderr(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let pid: u32 = wait::until("the server's process", PATIENCE, || {
        std::fs::read_to_string(&pid_file).ok()?.trim().parse().ok()
    });
    crate::support::keeper::watch(pid, "KILL");
    // Before it listens, the signal ends it at once.
    wait::until("the server to listen", PATIENCE, || {
        std::fs::read_to_string(&log).ok()?.contains("listening on").then_some(())
    });
    terminal.kill().unwrap();
    terminal.wait().unwrap();
    wait::until("the end of the server", PATIENCE, || {
        (!std::path::Path::new(&format!("/proc/{pid}")).exists()).then_some(())
    });
    crate::support::keeper::forget(pid);
    // It drained: the log of the database is in its file.
    assert!(!std::path::Path::new(&format!("{}-wal", database.url())).exists());
}
