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
use actix_server::GracefulShutdownSignal;
use actix_service::{IntoServiceFactory, Service, ServiceFactory, ServiceFactoryExt, fn_factory, map_config};
use actix_web::dev::{AppConfig, Server};
use actix_web::rt::net::TcpStream;
use tokio::time::timeout;

use super::exchange::PART;
use super::handshakes::{Greeting, Handshakes};
use super::refusal::Refusal;
use super::registry::{Bounds, Full, Registry};
use super::wire::{Socket, Transport};
use super::{CLOCK_LAG, Connection, KEEP_ALIVE_MARGIN, LINGER, Limits, guard};
use crate::config::Config;
use crate::server::traffic::{TOO_MANY_CONNECTIONS, Traffic};
use crate::throttle::MemoryBudget;
use crate::tls::Tls;

/// When actix-web closes the remaining connections during shutdown, in seconds: after the time for
/// holds.
const SHUTDOWN_TIMEOUT: u64 = 8;
/// The number of connections that the kernel queues until they are accepted.
const BACKLOG: u32 = 2048;
/// The number of connections beyond the limit that are being rejected or closed.
const SPARE: usize = 128;
/// The number of rejected connections that get a response at once. More of them are just closed.
const REJECTED_AT_ONCE: usize = 32;
/// How long a rejected connection may take to read its response, with the TLS handshake before it.
const REJECTION: Duration = Duration::from_secs(1);

/// Listens on the configured address. Returns the server and its actual address.
///
/// # Errors
/// Fails if it cannot listen on the address.
pub(in crate::server) fn listen<F, I, S, B>(
    config: &Config,
    workers: usize,
    shared: Shared,
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
    let socket = std::net::TcpListener::bind(config.listen.address.bind)?;
    // The socket already listens; this sets the length of the queue.
    rustix::net::listen(&socket, i32::try_from(BACKLOG).unwrap_or(i32::MAX))?;
    let address = socket.local_addr()?;
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
        let (signal, shared, stopping) = (stopping.clone(), shared.clone(), stopping.clone());
        let app = app().into_factory().map_err(|error| error.into().error_response());
        let http = HttpService::build()
            .graceful_shutdown_signal(move || {
                let signal = signal.clone();
                async move { signal.notified().await }
            })
            .keep_alive(limits.keep_alive + KEEP_ALIVE_MARGIN)
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
            let (http, shared, stopping) = (http.new_service(()), shared.clone(), stopping.clone());
            async move { Ok::<_, ()>(Accept { http: Rc::new(http.await?), shared, stopping }) }
        })
    })?;
    Ok((builder.run(), address))
}

/// The state that all workers share.
#[derive(Clone)]
pub(in crate::server) struct Shared {
    limits: Limits,
    registry: Arc<Registry>,
    memory: MemoryBudget,
    rejecting: Arc<AtomicUsize>,
    /// `None` without TLS.
    handshakes: Option<Handshakes>,
    traffic: Arc<Traffic>,
}

impl Shared {
    /// Makes the state of a server with this number of workers. `traffic` counts the connections.
    pub(in crate::server) fn new(
        config: &Config,
        workers: usize,
        memory: &MemoryBudget,
        tls: Option<&Tls>,
        traffic: &Arc<Traffic>,
    ) -> Shared {
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
            handshakes: tls.map(|tls| Handshakes::new(tls.clone(), workers)),
            traffic: traffic.clone(),
        }
    }

    async fn reject(self, stream: TcpStream, peer: SocketAddr, why: Full) {
        self.traffic.refuse(TOO_MANY_CONNECTIONS);
        if self.rejecting.fetch_add(1, Ordering::Relaxed) < REJECTED_AT_ONCE {
            // The result does not matter: the client need not read the response.
            let _ = timeout(REJECTION, self.send_rejection(stream, peer, why)).await;
        }
        self.rejecting.fetch_sub(1, Ordering::Relaxed);
    }

    async fn send_rejection(&self, stream: TcpStream, peer: SocketAddr, why: Full) -> io::Result<()> {
        let refusal = Refusal::full(why);
        match &self.handshakes {
            Some(handshakes) if Greeting::of(&stream).await? == Greeting::Tls => {
                refusal.send(handshakes.accept(stream, peer.ip()).await?).await
            }
            _ => refusal.send(stream).await,
        }
    }
}

/// Accepts connections on one worker.
struct Accept<S> {
    http: Rc<S>,
    shared: Shared,
    stopping: GracefulShutdownSignal,
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
        let Shared { limits, registry, memory, handshakes, traffic, .. } = &self.shared;
        let slot = match registry.admit(peer.ip()) {
            Ok(slot) => slot,
            Err(why) => {
                let rejected = self.shared.clone().reject(stream, peer, why);
                return Box::pin(async {
                    rejected.await;
                    Ok(())
                });
            }
        };
        log::debug!("opened a connection from {}", peer.ip());
        let connection = Rc::new(Connection::new(*limits, slot, memory.clone()));
        let open = traffic.connections.hold();
        let Some(handshakes) = handshakes.clone() else {
            let dispatcher = self.http.call((Socket::plain(stream, connection.clone()), Some(peer)));
            return Box::pin(async move {
                guard(&connection, dispatcher).await;
                drop(open);
                Ok(())
            });
        };
        let (http, stopping) = (self.http.clone(), self.stopping.clone());
        Box::pin(async move {
            connection.begin_handshake();
            let dispatcher = async {
                // A stopping server begins no request, so it needs no handshake either.
                let socket = tokio::select! {
                    socket = begin_tls(&handshakes, stream, &connection, peer) => socket,
                    () = stopping.notified() => None,
                };
                if let Some(socket) = socket {
                    let _ = http.call((socket, Some(peer))).await;
                }
            };
            guard(&connection, dispatcher).await;
            drop(open);
            Ok(())
        })
    }
}

/// Makes the handshake of a new connection. Returns `None` if there is no connection after it.
async fn begin_tls(
    handshakes: &Handshakes,
    stream: TcpStream,
    connection: &Rc<Connection>,
    peer: SocketAddr,
) -> Option<Socket> {
    match Greeting::of(&stream).await.ok()? {
        Greeting::Tls => {}
        Greeting::Text => {
            // The result does not matter: the client need not read the response.
            let _ = Refusal::https_only().send(stream).await;
            return None;
        }
        Greeting::Other => return None,
    }
    match handshakes.accept(Transport::sealed(stream, connection.clone()), peer.ip()).await {
        Ok(stream) => {
            connection.end_handshake();
            Some(Socket::tls(stream, connection.clone()))
        }
        Err(error) => {
            log::debug!("closed a connection from {}: no TLS handshake: {error}", peer.ip());
            None
        }
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
