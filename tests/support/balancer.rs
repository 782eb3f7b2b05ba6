//! The proxies for which `deploy/` has files.

use std::net::{SocketAddr, TcpListener};
use std::path::Path;
use std::process::{Child, Command, Stdio};

use tempfile::TempDir;

use super::{keeper, require, temporary};

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Haproxy,
    Nginx,
    /// Not among the programs that the tests need.
    Caddy,
}

/// A proxy in front of servers. Dropping it ends it.
pub struct Balancer {
    process: Child,
    port: u16,
    _directory: TempDir,
}

impl Balancer {
    /// Starts a proxy with a file of `deploy/` in which some texts are replaced, such as ports. It
    /// listens on `port`. Returns `None` if it is not installed.
    pub fn start(kind: Kind, port: u16, text: &str, changes: &[(String, String)]) -> Option<Balancer> {
        let name = match kind {
            Kind::Haproxy => "haproxy",
            Kind::Nginx => "nginx",
            Kind::Caddy => "caddy",
        };
        let program = ["/usr/sbin", "/usr/local/sbin"].map(|folder| Path::new(folder).join(name));
        let program =
            require::program(name).or_else(|| program.into_iter().find(|program| program.is_file()));
        let Some(program) = program else {
            if kind == Kind::Caddy {
                require::skipped("Caddy is not installed");
                return None;
            }
            require::missing(name, &format!("install it, on Debian: apt-get install {name}"));
            return None;
        };
        let text = changes.iter().fold(text.to_owned(), |text, (example, own)| {
            assert!(text.contains(example), "the file does not contain {example}");
            text.replace(example, own)
        });
        let directory = temporary::directory();
        let file = directory.path().join("config");
        std::fs::write(&file, text).unwrap();
        let mut command = Command::new(program);
        match kind {
            Kind::Haproxy => command.arg("-db").arg("-f").arg(&file),
            Kind::Nginx => {
                command.arg("-p").arg(directory.path()).arg("-c").arg(&file).args(["-g", "daemon off;"])
            }
            Kind::Caddy => command
                .env("HOME", directory.path())
                .args(["run", "--adapter", "caddyfile", "--config"])
                .arg(&file),
        };
        let process = command.stdin(Stdio::null()).stdout(Stdio::null()).spawn().unwrap();
        keeper::watch(process.id(), "TERM");
        Some(Balancer { process, port, _directory: directory })
    }

    pub fn address(&self) -> SocketAddr {
        ([127, 0, 0, 1], self.port).into()
    }
}

impl Drop for Balancer {
    fn drop(&mut self) {
        let pid = rustix::process::Pid::from_raw(self.process.id() as i32).expect("a process has a number");
        let _ = rustix::process::kill_process(pid, rustix::process::Signal::TERM);
        let _ = self.process.wait();
        keeper::forget(self.process.id());
    }
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}
