//! A temporary PostgreSQL cluster. The tests share one. The first test that needs it starts it, and
//! it ends with the test process. A test that stops and starts PostgreSQL creates its own
//! [`Cluster`]. Each test has its own database.

use std::ffi::OsStr;
use std::fs::File;
use std::net::TcpListener;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Mutex, OnceLock};
use std::time::Duration;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use rustix::process::{Pid, Signal, geteuid, kill_process};
use tempfile::TempDir;

use super::{keeper, require, wait};

const REMEDY: &str = "install PostgreSQL's server, on Debian: apt-get install postgresql";

/// Settings without syncs: the shared cluster need not survive a power cut.
const NO_DISK: [&str; 2] = ["fsync=off", "full_page_writes=off"];

static SHARED: OnceLock<Option<Cluster>> = OnceLock::new();
static DATABASES: AtomicU32 = AtomicU32::new(0);

/// Creates a database in the shared cluster. `None` if this machine does not have PostgreSQL, which
/// is then reported.
pub fn database() -> Option<TestPostgres> {
    match SHARED.get_or_init(|| programs().map(|programs| Cluster::start_from(&programs, &NO_DISK))) {
        Some(cluster) => Some(cluster.database()),
        None => {
            require::missing("PostgreSQL", REMEDY);
            None
        }
    }
}

/// A PostgreSQL server for one test, with its data.
pub struct Cluster {
    programs: PathBuf,
    directory: TempDir,
    port: u16,
    settings: Vec<String>,
    process: Mutex<Option<Child>>,
}

impl Cluster {
    /// Creates and starts a cluster with these settings (`name=value`). By default it syncs to the
    /// disk.
    pub fn start(settings: &[&str]) -> Option<Cluster> {
        let Some(programs) = programs() else {
            require::missing("PostgreSQL", REMEDY);
            return None;
        };
        Some(Cluster::start_from(&programs, settings))
    }

    fn start_from(programs: &Path, settings: &[&str]) -> Cluster {
        let directory = tempfile::Builder::new().prefix("tollgate-postgres-").tempdir().unwrap();
        keeper::remove(directory.path());
        if let Some((user, group)) = unprivileged_user() {
            std::os::unix::fs::chown(directory.path(), Some(user), Some(group)).unwrap();
        }
        let mut cluster = Cluster {
            programs: programs.to_owned(),
            directory,
            port: 0,
            settings: settings.iter().map(|setting| setting.to_string()).collect(),
            process: Mutex::new(None),
        };
        cluster.init();
        // Another program may take the free port before PostgreSQL does.
        for _ in 0..5 {
            cluster.port = free_port();
            if cluster.run().is_ok() {
                return cluster;
            }
        }
        panic!("PostgreSQL does not start: {}", cluster.log());
    }

    fn init(&self) {
        // Not every machine has C.UTF-8. Both sort text by its bytes.
        let is_made = ["C.UTF-8", "C"].iter().any(|locale| {
            let locale = format!("--locale={locale}");
            let flags = ["-A", "trust", "-U", "postgres", "-E", "UTF8", "--no-sync", &locale, "-D"];
            let mut command = self.command("initdb", &flags);
            command.arg(self.data()).status().is_ok_and(|status| status.success())
        });
        assert!(is_made, "initdb failed: {}", self.log());
    }

    /// Starts the server and waits until it accepts connections.
    fn run(&self) -> Result<(), String> {
        let port = self.port.to_string();
        let mut command = self.command("postgres", &["-h", "127.0.0.1", "-p", &port, "-k", "", "-D"]);
        command.arg(self.data()).args(["-c", "max_connections=300"]);
        for setting in &self.settings {
            command.args(["-c", setting]);
        }
        let mut process = command.spawn().map_err(|error| error.to_string())?;
        keeper::watch(process.id(), "QUIT");
        let started = wait::until("PostgreSQL's start", Duration::from_secs(60), || {
            if process.try_wait().unwrap().is_some() {
                keeper::forget(process.id());
                return Some(Err(self.log()));
            }
            PgConnection::establish(&self.url("postgres")).ok().map(|_| Ok(()))
        });
        *self.process.lock().unwrap() = Some(process);
        started
    }

    /// Stops it as a crash would: without waiting for clients. The next start recovers from the
    /// write-ahead log.
    pub fn stop_immediately(&self) {
        let Some(mut process) = self.process.lock().unwrap().take() else { return };
        if let Some(pid) = Pid::from_raw(process.id() as i32) {
            let _ = kill_process(pid, Signal::QUIT);
        }
        let _ = process.wait();
        keeper::forget(process.id());
    }

    /// Starts it again, on the same port, with the same data.
    pub fn start_again(&self) {
        self.run().unwrap_or_else(|why| panic!("PostgreSQL does not start again: {why}"));
    }

    /// Returns the id of the process that accepts new connections.
    pub fn pid(&self) -> u32 {
        self.process.lock().unwrap().as_ref().expect("the cluster is not running").id()
    }

    /// Creates a database.
    pub fn database(&self) -> TestPostgres {
        let number = DATABASES.fetch_add(1, Ordering::Relaxed);
        let name = format!("test_{number}");
        let administration = self.url("postgres");
        run_sql(&administration, &format!("CREATE DATABASE {name} TEMPLATE template0")).unwrap();
        TestPostgres { url: self.url(&name), administration, name }
    }

    fn url(&self, database: &str) -> String {
        format!("postgres://postgres@127.0.0.1:{}/{database}", self.port)
    }

    fn data(&self) -> PathBuf {
        self.directory.path().join("data")
    }

    /// Returns what initdb and the server have printed.
    fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    /// Prepares one of PostgreSQL's programs, run as a user that it accepts and without the
    /// caller's environment.
    fn command(&self, program: &str, arguments: &[&str]) -> Command {
        let log = File::options().create(true).append(true).open(self.directory.path().join("log")).unwrap();
        let mut command = Command::new(self.programs.join(program));
        command
            .args(arguments.iter().map(OsStr::new))
            .env_clear()
            .env("PATH", std::env::var_os("PATH").unwrap_or_default())
            .current_dir(self.directory.path())
            .stdin(Stdio::null())
            .stdout(log.try_clone().unwrap())
            .stderr(log)
            .process_group(0);
        if let Some((user, group)) = unprivileged_user() {
            command.uid(user).gid(group);
        }
        command
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.stop_immediately();
    }
}

/// A database. Dropping this drops it.
pub struct TestPostgres {
    url: String,
    administration: String,
    name: String,
}

impl TestPostgres {
    pub fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for TestPostgres {
    fn drop(&mut self) {
        // Fails if the cluster, and the database with it, has already gone.
        let _ = run_sql(&self.administration, &format!("DROP DATABASE {} WITH (FORCE)", self.name));
    }
}

fn run_sql(url: &str, statement: &str) -> Result<(), String> {
    let mut connection = PgConnection::establish(url).map_err(|error| error.to_string())?;
    connection.batch_execute(statement).map_err(|error| error.to_string())
}

/// Returns the folder of PostgreSQL's programs: from the PATH, otherwise Debian's, the newest
/// version first.
fn programs() -> Option<PathBuf> {
    let on_path = require::program("initdb").and_then(|link| link.canonicalize().ok());
    if let Some(directory) = on_path.as_deref().and_then(Path::parent) {
        return Some(directory.to_owned());
    }
    let versions = std::fs::read_dir("/usr/lib/postgresql").ok()?;
    let mut found: Vec<(u32, PathBuf)> = versions
        .filter_map(|entry| {
            let entry = entry.ok()?;
            let programs = entry.path().join("bin");
            let version = entry.file_name().to_str()?.parse().ok()?;
            programs.join("initdb").is_file().then_some((version, programs))
        })
        .collect();
    found.sort();
    found.pop().map(|(_, programs)| programs)
}

/// Returns the user and group for PostgreSQL if this process is root, which PostgreSQL refuses: its
/// own user, otherwise nobody.
fn unprivileged_user() -> Option<(u32, u32)> {
    if !geteuid().is_root() {
        return None;
    }
    let users = std::fs::read_to_string("/etc/passwd").unwrap_or_default();
    let ids = |name: &str| {
        let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
        let mut fields = line.split(':').skip(2);
        Some((fields.next()?.parse().ok()?, fields.next()?.parse().ok()?))
    };
    ids("postgres").or_else(|| ids("nobody"))
}

fn free_port() -> u16 {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    listener.local_addr().unwrap().port()
}
