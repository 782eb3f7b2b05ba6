//! The server: it accepts connections, gives each a place, and runs actix-http's dispatcher on it.
//!
//! It replaces `actix_web::HttpServer`, which hides the sockets, so that their connections could
//! not be supervised.

use std::future::Future;
use std::io;
use std::net::SocketAddr;
use std::pin::Pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::{Context, Poll};
use std::time::Duration;

use actix_http::body::MessageBody;
use actix_http::{HttpService, Request, Response};
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::time::timeout;

use super::exchange::PART;
use super::registry::{Bounds, Full, Registry};
use super::wire::Socket;
use super::{CLOCK_LAG, Connection, LINGER, Limits, guard};
use crate::config::Config;
use crate::throttle::MemoryBudget;

/// When actix-web closes the remaining connections during shutdown, in seconds: after the time for
/// holds.
const SHUTDOWN_TIMEOUT: u64 = 8;
/// The number of connections that the kernel queues until they are accepted.
const BACKLOG: u32 = 2048;
/// The number of connections beyond the limit that are being rejected or closed.
const SPARE: usize = 128;
/// The number of rejected connections that get a response at once. More of them are just closed.
const REJECTED_AT_ONCE: usize = 32;
/// How long a rejected connection may take to read its response.
const REJECTION: Duration = Duration::from_secs(1);
/// `Retry-After` for a rejected client, in seconds.
const RETRY_AFTER: u32 = 5;

/// Listens on the configured address. Returns the server and its actual address.
///
/// # Errors
/// Fails if it cannot listen on the address.
pub(in crate::server) fn listen<F, I, S, B>(
    config: &Config,
    workers: usize,
    memory: &MemoryBudget,
    app: F,
) -> io::Result<(Server, SocketAddr)>
where
    F: Fn() -> I + Send + Clone + 'static,
    I: IntoServiceFactory<S, Request>,
    S: ServiceFactory<Request, Config = AppConfig> + 'static,
    S::Future: 'static,
    S::Error: Into<actix_web::Error> + 'static,
    S::InitError: std::fmt::Debug,
    S::Response: Into<Response<B>> + 'static,
    <S::Service as Service<Request>>::Future: 'static,
    S::Service: 'static,
    B: MessageBody + 'static,
{
    let socket = std::net::TcpListener::bind(config.listen.bind)?;
    // The socket already listens; this sets the length of the queue.
    rustix::net::listen(&socket, i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    let address = socket.local_addr()?;
    let shared = Shared::new(config, memory);
    let builder = Server::build()
        .workers(workers)
        // The registry counts connections. Beyond its limit, a few may wait to be rejected, or to
        // replace others. Beyond those, none is accepted.
        .max_concurrent_connections((shared.registry.most() + SPARE).div_ceil(workers))
        .shutdown_timeout(SHUTDOWN_TIMEOUT)
        .disable_signals();
    let stopping = builder.graceful_shutdown_signal();
    let limits = shared.limits;
    let builder = builder.listen("http", socket, move || {
        let (stopping, shared) = (stopping.clone(), shared.clone());
        let app = app().into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let stopping = stopping.clone();
                async move { stopping.notified().await }
            })
            .keep_alive(limits.keep_alive + CLOCK_LAG)
            .client_request_timeout(limits.head + CLOCK_LAG)
            .client_disconnect_timeout(LINGER)
            .h1_write_buffer_size(PART)
            // A client that closes its connection has left, even while nothing is being written to
            // it: docs/decisions.md.
            .h1_allow_half_closed(false)
            .local_addr(address)
            .on_connect_ext(|socket: &Socket, data| {
                data.insert(socket.connection.clone());
                data.insert(socket.connection.cut().clone());
            })
            .h1(map_config(app, |()| AppConfig::default()));
        fn_factory(move || {
            let (http, shared) = (http.new_service(()), shared.clone());
            async move { Ok::<_, ()>(Accept { http: Rc::new(http.await?), shared }) }
        })
    })?;
    Ok((builder.run(), address))
}

/// The state that all workers share.
#[derive(Clone)]
struct Shared {
    limits: Limits,
    registry: Arc<Registry>,
    memory: MemoryBudget,
    rejecting: Arc<AtomicUsize>,
}

impl Shared {
    fn new(config: &Config, memory: &MemoryBudget) -> Shared {
        let listen = &config.listen;
        let count = |setting: u32| usize::try_from(setting).unwrap_or(usize::MAX);
        let bounds = Bounds {
            connections: count(listen.max_connections),
            per_address: count(listen.max_connections_per_address),
            unlimited: [listen.trusted_proxies.networks().clone(), listen.unlimited_addresses.clone()],
        };
        Shared {
            limits: Limits::of(config),
            registry: Arc::new(Registry::new(bounds)),
            memory: memory.clone(),
            rejecting: Arc::default(),
        }
    }

    async fn reject(self, stream: TcpStream, why: Full) {
        if self.rejecting.fetch_add(1, Ordering::Relaxed) < REJECTED_AT_ONCE {
            // The result does not matter: the client need not read the response.
            let _ = timeout(REJECTION, send_refusal(stream, why)).await;
        }
        self.rejecting.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Accepts connections on one worker.
struct Accept<S> {
    http: Rc<S>,
    shared: Shared,
}

impl<S> Service<TcpStream> for Accept<S>
where
    S: Service<(Socket, Option<SocketAddr>), Response = ()> + 'static,
    S::Future: 'static,
{
    type Response = ();
    type Error = ();
    type Future = Pin<Box<dyn Future<Output = Result<(), ()>>>>;

    fn poll_ready(&self, cx: &mut Context<'_>) -> Poll<Result<(), ()>> {
        self.http.poll_ready(cx).map_err(|_| ())
    }

    fn call(&self, stream: TcpStream) -> Self::Future {
        // A connection without an address has already ended.
        let Ok(peer) = stream.peer_addr() else { return Box::pin(async { Ok(()) }) };
        prepare(&stream, self.shared.limits.write);
        let Shared { limits, registry, memory, .. } = &self.shared;
        let slot = match registry.admit(peer.ip()) {
            Ok(slot) => slot,
            Err(why) => {
                let rejected = self.shared.clone().reject(stream, why);
                return Box::pin(async {
                    rejected.await;
                    Ok(())
                });
            }
        };
        let connection = Rc::new(Connection::new(*limits, slot, memory.clone()));
        let dispatcher = self.http.call((Socket::new(stream, connection.clone()), Some(peer)));
        Box::pin(async move {
            guard(&connection, dispatcher).await;
            Ok(())
        })
    }
}

fn prepare(stream: &TcpStream, write: Duration) {
    // Otherwise each part of a stream would wait until the client has acknowledged the one before
    // it.
    let nodelay = stream.set_nodelay(true);
    // Data of a response in the kernel has the same time limit, even after the connection is
    // closed.
    let millis = u32::try_from(write.as_millis()).unwrap_or(u32::MAX);
    let user_timeout = rustix::net::sockopt::set_tcp_user_timeout(stream, millis);
    if let Err(error) = nodelay.and(user_timeout.map_err(io::Error::from)) {
        log::debug!("cannot set the options of a connection: {error}");
    }
}

/// Sends a rejected client the limit that was reached, and lets it read the response.
async fn send_refusal(mut stream: TcpStream, why: Full) -> io::Result<()> {
    let (status, text) = match why {
        Full::Address(most) => (
            "429 Too Many Requests",
            format!(
                "Too many connections from your network: all {most} are busy (--max-connections-per-address)"
            ),
        ),
        Full::All(most) => (
            "503 Service Unavailable",
            format!("Too many connections: all {most} are busy (--max-connections)"),
        ),
    };
    let body = serde_json::json!({ "error": text }).to_string();
    let head = format!(
        "HTTP/1.1 {status}\r\nContent-Type: application/json\r\nContent-Length: {}\r\nRetry-After: {RETRY_AFTER}\r\n\
         Cache-Control: no-store\r\nConnection: close\r\n\r\n",
        body.len()
    );
    stream.write_all(format!("{head}{body}").as_bytes()).await?;
    stream.shutdown().await?;
    let mut rest = [0; 1024];
    while stream.read(&mut rest).await? > 0 {}
    Ok(())
}
