//! PgBouncer between Tollgate and PostgreSQL: the start fails unless each client has its own server
//! connection.

use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use rstest::rstest;
use tempfile::TempDir;

use crate::support::server::{Launch, assert_verified};
use crate::support::{On, TestDatabase, keeper, require, temporary, wait};

struct Pooler {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Pooler {
    /// Starts PgBouncer in this pool mode, with this pool size. Returns `None` if it is not
    /// installed.
    fn start(database: &TestDatabase, mode: &str, size: u32) -> Option<Pooler> {
        let sbin = std::path::PathBuf::from("/usr/sbin/pgbouncer");
        let program = require::program("pgbouncer").or_else(|| sbin.is_file().then_some(sbin));
        let Some(program) = program else {
            require::missing("PgBouncer", "install it, on Debian: apt-get install pgbouncer");
            return None;
        };
        let (_, rest) = database.url().split_once('@').unwrap();
        let (server, name) = rest.split_once('/').unwrap();
        let (host, server_port) = server.split_once(':').unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let directory = temporary::directory();
        let file = directory.path().join("pgbouncer.ini");
        let text = format!(
            "[databases]\n{name} = host={host} port={server_port} dbname={name} user=postgres\n\
             [pgbouncer]\nlisten_addr = 127.0.0.1\nlisten_port = {port}\nunix_socket_dir =\nauth_type = any\n\
             pool_mode = {mode}\ndefault_pool_size = {size}\nmax_client_conn = 100\n"
        );
        std::fs::write(&file, text).unwrap();
        // PgBouncer does not run as root.
        let mut command = Command::new(program);
        if rustix::process::geteuid().is_root() {
            use std::os::unix::fs::PermissionsExt;
            std::fs::set_permissions(directory.path(), std::fs::Permissions::from_mode(0o755)).unwrap();
            command.args(["-u", "nobody"]);
        }
        let process = command.arg(&file).stdin(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
        keeper::watch(process.id(), "TERM");
        wait::until("PgBouncer", Duration::from_secs(10), || TcpStream::connect(("127.0.0.1", port)).ok());
        Some(Pooler { process, port, _directory: directory })
    }

    fn url(&self, database: &TestDatabase) -> String {
        let (_, name) = database.url().rsplit_once('/').unwrap();
        format!("postgres://postgres@127.0.0.1:{}/{name}", self.port)
    }
}

impl Drop for Pooler {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
        keeper::forget(self.process.id());
    }
}

/// Also with many idle connections, which hide the sharing.
#[rstest]
fn a_pooler_that_shares_connections_makes_the_start_fail(
    #[values("transaction", "statement")] mode: &str,
    #[values(1, 20)] size: u32,
) {
    if !require::long() {
        return;
    }
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let Some(pooler) = Pooler::start(&database, mode, size) else { return };
    let mut server = Launch::at(&pooler.url(&database)).spawn();
    let status = server.wait(Duration::from_secs(20));
    assert_eq!(status.code(), Some(1), "{}", server.log());
    assert!(server.log().contains("pool_mode = session"), "{}", server.log());
}

#[test]
fn a_pooler_in_session_mode_works() {
    if !require::long() {
        return;
    }
    let Some(database) = TestDatabase::create(On::Postgres) else { return };
    let Some(pooler) = Pooler::start(&database, "session", 40) else { return };
    let server = Launch::at(&pooler.url(&database)).start();
    let token = server.user("ada");
    for number in 0..20 {
        assert_eq!(server.chat(&token, &format!("message {number}")).status, 201);
    }
    assert_eq!(server.tokens(&token), 2000);
    assert_verified(&database);
}
