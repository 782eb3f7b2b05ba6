//! Sockets as the kernel sees them: the connections that a server still holds, and clients with
//! small buffers.

use std::collections::HashSet;
use std::net::{Ipv4Addr, SocketAddr, TcpStream};

use rustix::net::{AddressFamily, SocketType, bind, connect, socket, sockopt};

/// The states of a connection that the server has not accepted yet (`tcp_states.h`). Once it has
/// closed a connection, the state is another one.
const ESTABLISHED: &str = "01";
const SYN_RECV: &str = "03";
const CLOSE_WAIT: &str = "08";

/// Returns the clients (IPv4) whose connections the server at this port still holds. A connection
/// that the server has closed does not count, even if the kernel still has some of it.
pub fn held(port: u16) -> HashSet<SocketAddr> {
    connections(port, |_, is_a_process_its_owner| is_a_process_its_owner)
}

/// Returns the clients (IPv4) whose connections the server at this port has not closed, whether or
/// not it has accepted them.
pub fn open(port: u16) -> HashSet<SocketAddr> {
    connections(port, |state, is_a_process_its_owner| {
        is_a_process_its_owner || [ESTABLISHED, SYN_RECV, CLOSE_WAIT].contains(&state)
    })
}

/// Returns the clients of those connections at this port for which `counts` is true, given their
/// state and whether a process has them.
fn connections(port: u16, counts: impl Fn(&str, bool) -> bool) -> HashSet<SocketAddr> {
    let table = std::fs::read_to_string("/proc/net/tcp").expect("cannot read /proc/net/tcp");
    let rows = table.lines().skip(1).filter_map(|line| {
        let fields: Vec<&str> = line.split_whitespace().collect();
        let (local, remote, state, inode) = (address(fields[1])?, address(fields[2])?, fields[3], fields[9]);
        let is_meant = local.port() == port && remote.port() != 0 && counts(state, inode != "0");
        is_meant.then_some(remote)
    });
    rows.collect()
}

/// Parses `0100007F:1F90`, in the byte order of the machine.
fn address(text: &str) -> Option<SocketAddr> {
    let (address, port) = text.split_once(':')?;
    let address = u32::from_str_radix(address, 16).ok()?.to_ne_bytes();
    Some(SocketAddr::from((address, u16::from_str_radix(port, 16).ok()?)))
}

/// Connects with a small receive buffer, so that the kernel accepts little of what the test does
/// not read.
pub fn connect_with_a_small_buffer(server: SocketAddr) -> TcpStream {
    let client = socket(AddressFamily::INET, SocketType::STREAM, None).unwrap();
    sockopt::set_socket_recv_buffer_size(&client, 4096).unwrap();
    connect(&client, &server).unwrap();
    client.into()
}

/// Connects from an address of this machine.
pub fn connect_from(from: Ipv4Addr, server: SocketAddr) -> std::io::Result<TcpStream> {
    let client = socket(AddressFamily::INET, SocketType::STREAM, None)?;
    bind(&client, &SocketAddr::from((from, 0)))?;
    connect(&client, &server)?;
    Ok(client.into())
}

/// Raises this process's limit on open files to the highest that the system allows.
pub fn raise_open_files_limit() {
    use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
    let maximum = getrlimit(Resource::Nofile).maximum;
    let _ = setrlimit(Resource::Nofile, Rlimit { current: maximum, maximum });
}
