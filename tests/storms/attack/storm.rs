//! The common parts of storms of connections: a server, an honest user, and a measurement of the
//! server's memory.

use std::net::{SocketAddr, TcpStream};
use std::time::{Duration, Instant};

use crate::support::figures::report;
use crate::support::honest::HonestUser;
use crate::support::memory::{PeakMemory, resident_mb};
use crate::support::server::{Launch, Server};
use crate::support::sockets::{connect_with_a_small_buffer, held, raise_open_files_limit};
use crate::support::wire::{Scheme, Wire};
use crate::support::{On, TestDatabase, require, wait};

/// The limits on the server's memory at any time, and a minute after a storm, in MB.
const MOST_MB: u64 = 300;
const AFTERWARDS_MB: u64 = 100;

pub(super) struct Storm {
    pub server: Server,
    _database: TestDatabase,
    honest: HonestUser,
    peak: PeakMemory,
    begun: Instant,
}

/// Returns the size of a storm: `full` for the proofs, or `modest` for other runs.
pub(super) fn size(full: usize, modest: usize) -> usize {
    if require::proofs() { full } else { modest }
}

impl Storm {
    /// Starts a server and the honest user. Returns `None` if only the quick tests should run.
    pub fn begin(flags: &[&str]) -> Option<Storm> {
        Storm::begin_over(Scheme::Http, flags)
    }

    /// Like [`Storm::begin`], with or without TLS.
    pub fn begin_over(scheme: Scheme, flags: &[&str]) -> Option<Storm> {
        if !require::long() {
            require::skipped("storms are long");
            return None;
        }
        raise_open_files_limit();
        let database = TestDatabase::create(On::Sqlite)?;
        // Enough for a chat each second, however long the storm lasts.
        let flags = [&["--opening-tokens", "1000000"], flags].concat();
        let server = Launch::on(&database).flags(&flags).over(scheme).start();
        let honest = HonestUser::start(&server, &server.user("honest"));
        let peak = PeakMemory::watch(server.pid());
        Some(Storm { server, _database: database, honest, peak, begun: Instant::now() })
    }

    /// Opens this number of connections and sends the bytes of `first` on each. A deaf connection
    /// has a small receive buffer. Omits connections that the server does not accept. With TLS, the
    /// bytes come after the handshake.
    pub fn connect(&self, count: usize, first: impl Fn(usize) -> Vec<u8> + Sync, is_deaf: bool) -> Vec<Wire> {
        use std::io::Write;
        let (address, connector) = (self.server.address(), self.server.connector());
        let open = |number: usize| -> Option<Wire> {
            let socket = if is_deaf {
                connect_with_a_small_buffer(address)
            } else {
                TcpStream::connect(address).ok()?
            };
            socket.set_write_timeout(Some(Duration::from_secs(5))).ok()?;
            let mut stream = connector.over(socket).ok()?;
            let _ = stream.write_all(&first(number));
            Some(stream)
        };
        std::thread::scope(|threads| {
            let parts: Vec<_> = (0..4)
                .map(|part| {
                    let open = &open;
                    threads.spawn(move || (part..count).step_by(4).filter_map(open).collect::<Vec<_>>())
                })
                .collect();
            parts.into_iter().flat_map(|part| part.join().unwrap()).collect()
        })
    }

    /// Returns how many of these connections the server holds.
    pub fn held(&self, streams: &[Wire]) -> usize {
        let held = held(self.server.address().port());
        let own: Vec<SocketAddr> =
            streams.iter().filter_map(|stream| stream.socket().local_addr().ok()).collect();
        own.iter().filter(|address| held.contains(address)).count()
    }

    /// Waits until the server holds none of these connections. Returns how long that took.
    pub fn await_closed(&self, streams: &[Wire], limit: Duration) -> Duration {
        let begun = Instant::now();
        wait::until("all connections of the storm to be closed", limit, || {
            // The kernel's table is long. Reading it more often would slow everybody down.
            std::thread::sleep(Duration::from_millis(250));
            (self.held(streams) == 0).then_some(())
        });
        begun.elapsed()
    }

    /// Ends the storm. Checks that the honest user was undisturbed and that the memory stayed
    /// within its limits.
    pub fn end(self, what: &str, figures: &str) {
        let afterwards = self.memory_afterwards();
        let honest = self.honest.stop();
        let (peak, seconds) = (self.peak.mb(), self.begun.elapsed().as_secs());
        report(
            what,
            &format!(
                "{figures}; memory: peak {peak} MB, {afterwards} MB afterwards; {seconds} s; {}",
                honest.summary()
            ),
        );
        assert!(peak < MOST_MB, "{what}: the server took {peak} MB");
        honest.assert_undisturbed();
        let log = self.server.log();
        assert!(!log.contains("panicked"), "{log}");
    }

    /// Waits until the memory is below its limit, for up to a minute (30 s in short runs). Returns
    /// it, in MB.
    fn memory_afterwards(&self) -> u64 {
        let patience = Duration::from_secs(if require::proofs() { 60 } else { 30 });
        let pid = self.server.pid();
        wait::until("the memory to be released", patience, || {
            let now = resident_mb(pid);
            (now < AFTERWARDS_MB).then_some(now)
        })
    }
}
