//! An acknowledged chat is on the disk: a sync ended between the request and its response.

use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use diesel::prelude::*;
use diesel::sql_types::BigInt;
use serde_json::json;

use super::load::RICH;
use crate::support::postgres::Cluster;
use crate::support::server::{Launch, Server};
use crate::support::{On, TestDatabase, require, temporary, wait};

const CHATS: usize = 30;

/// Tolerance in seconds: strace and this process read the clock at slightly different moments.
const CLOCK_TOLERANCE: f64 = 0.002;

fn now() -> f64 {
    SystemTime::now().duration_since(UNIX_EPOCH).unwrap().as_secs_f64()
}

/// Returns when each successful fsync or fdatasync in strace's output ended, in seconds since 1970.
///
/// `-ttt -T` writes `PID TIME fdatasync(7) = 0 <DURATION>`. If another thread's call comes between,
/// it is `PID TIME fdatasync(7 <unfinished ...>` and later `PID TIME <... fdatasync resumed>) = 0
/// <DURATION>`.
fn sync_ends(trace: &Path) -> Vec<f64> {
    let text = std::fs::read_to_string(trace).unwrap();
    let end = |line: &str| {
        let (call, duration) = line.strip_suffix('>')?.rsplit_once(" = 0 <").or_else(|| {
            // strace aligns results in a column.
            let (call, rest) = line.strip_suffix('>')?.rsplit_once("= 0 <")?;
            Some((call.trim_end(), rest))
        })?;
        let time: f64 = call.split_whitespace().nth(1)?.parse().ok()?;
        let duration: f64 = duration.parse().ok()?;
        Some(if call.contains("resumed>") { time } else { time + duration })
    };
    text.lines().filter(|line| line.contains("sync")).filter_map(end).collect()
}

#[test]
fn on_sqlite_each_chat_is_answered_after_a_sync() {
    if require::program("strace").is_none() {
        return require::missing("strace", "on Debian: apt-get install strace");
    }
    let Some(database) = TestDatabase::create(On::Sqlite) else { return };
    let directory = temporary::directory();
    let trace = directory.path().join("trace");
    let output = format!("-o{}", trace.display());
    let wrapper = ["strace", "-D", "-f", "-qqq", "-ttt", "-T", "--trace=fsync,fdatasync", &output];
    let mut server = Launch::on(&database).flags(&RICH).under(&wrapper).start();
    let token = server.user("ada");
    let mut client = server.client();
    let mut chats = Vec::new();
    for number in 0..CHATS {
        let asked = now();
        let answer = client.post("/chat/", Some(&token), &json!({"message": number.to_string()})).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
        chats.push((asked, now()));
    }
    server.terminate();
    server.wait(Duration::from_secs(10));
    // strace may still be writing its last lines when the server is gone; those of the chats came
    // long before.
    let synced = |&(asked, answered): &(f64, f64)| {
        let during = |end: &f64| asked - CLOCK_TOLERANCE < *end && *end < answered + CLOCK_TOLERANCE;
        sync_ends(&trace).iter().filter(|end| during(end)).count()
    };
    let unsynced: Vec<usize> = (0..CHATS).filter(|number| synced(&chats[*number]) == 0).collect();
    assert!(unsynced.is_empty(), "chats answered without a sync: {unsynced:?}");
    assert!(sync_ends(&trace).len() >= CHATS, "fewer syncs than acknowledged chats");
}

#[derive(QueryableByName)]
struct Syncs {
    #[diesel(sql_type = BigInt)]
    n: i64,
}

/// A cluster may acknowledge a COMMIT before it is on the disk. Tollgate forbids that for its own
/// connections.
#[test]
fn on_postgresql_each_chat_is_answered_after_a_sync_even_if_the_cluster_commits_asynchronously() {
    // While the WAL writer sleeps, only commits sync.
    let settings = ["synchronous_commit=off", "wal_writer_delay=10s", "wal_writer_flush_after=1GB"];
    let Some(cluster) = Cluster::start(&settings) else { return };
    let database = TestDatabase::from(cluster.database());
    let server = Server::start(&database, &RICH);
    let token = server.user("ada");
    let mut observer = PgConnection::establish(database.url()).unwrap();
    let mut syncs = || {
        let query = diesel::sql_query("SELECT wal_sync AS n FROM pg_stat_wal");
        query.get_result::<Syncs>(&mut observer).unwrap().n
    };
    let before = syncs();
    let mut client = server.client();
    for number in 0..CHATS {
        let answer = client.post("/chat/", Some(&token), &json!({"message": number.to_string()})).unwrap();
        assert_eq!(answer.status, 201, "{answer:?}");
    }
    // PostgreSQL's processes report their counts about once a second.
    wait::until("a sync for each chat", Duration::from_secs(20), || {
        (syncs() - before >= CHATS as i64).then_some(())
    });
}
