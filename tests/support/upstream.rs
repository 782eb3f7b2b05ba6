//! An upstream that follows a test's script, byte by byte. It runs on a thread of its own, so that
//! tests may block.

mod connection;
mod continued;
pub mod providers;
mod script;

use std::collections::VecDeque;
use std::future::Future;
use std::net::SocketAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use serde_json::Value;
use tokio::net::{TcpListener, TcpSocket};
use tokio::sync::{mpsc, oneshot, watch};

pub use script::{
    Signal, Step, answer, chunk, continued, done, embeddings, event, finish, head, role, status, text, usage,
};

/// Time limit for what a test waits for.
const PATIENCE: Duration = Duration::from_secs(20);

/// A request, as received.
#[derive(Clone, Debug)]
pub struct Request {
    pub path: String,
    headers: Vec<(String, String)>,
    /// The body. `Null` if it is not JSON, or is very long.
    pub body: Value,
    /// The connection that it came on, counted from 0.
    pub connection: usize,
    client_is_gone: bool,
}

impl Request {
    /// Returns whether the client still has its connection open.
    pub fn is_open(&self) -> bool {
        !self.client_is_gone
    }

    pub fn header(&self, name: &str) -> Option<&str> {
        let found = self.headers.iter().find(|(other, _)| other.eq_ignore_ascii_case(name));
        found.map(|(_, value)| value.as_str())
    }
}

#[derive(Default)]
struct Shared {
    scripts: Mutex<VecDeque<Vec<Step>>>,
    otherwise: Mutex<Vec<Step>>,
    /// Scripts for requests that contain a word.
    marked: Mutex<Vec<(String, Vec<Step>)>>,
    models: Mutex<Vec<Step>>,
    probes: AtomicUsize,
    requests: watch::Sender<Vec<Request>>,
}

impl Shared {
    fn next_script(&self, body: &Value) -> Vec<Step> {
        let text = body.to_string();
        if let Some((_, script)) = self.marked.lock().unwrap().iter().find(|(word, _)| text.contains(word)) {
            return script.clone();
        }
        let script = self.scripts.lock().unwrap().pop_front();
        let script = script.unwrap_or_else(|| self.otherwise.lock().unwrap().clone());
        if body.get("prompt").is_some() { continued::as_completion(script) } else { script }
    }
}

/// An order to the listener: whether to accept connections. It replies when it has obeyed.
type Order = (bool, oneshot::Sender<()>);

pub struct ScriptedUpstream {
    address: SocketAddr,
    shared: Arc<Shared>,
    /// Dropping it stops the thread.
    orders: Option<mpsc::UnboundedSender<Order>>,
    thread: Option<std::thread::JoinHandle<()>>,
}

impl ScriptedUpstream {
    /// Starts an upstream. It gives a short, complete answer (`Hello`) to requests without a
    /// script.
    pub fn start() -> ScriptedUpstream {
        let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
        listener.set_nonblocking(true).unwrap();
        let address = listener.local_addr().unwrap();
        let shared = Arc::new(Shared::default());
        *shared.otherwise.lock().unwrap() = answer("Hello", 3, 2);
        let list = r#"{"object":"list","data":[{"id":"m","object":"model"}]}"#;
        *shared.models.lock().unwrap() = status(200, &[("content-type", "application/json")], list);
        let (orders, receiver) = mpsc::unbounded_channel();
        let served = shared.clone();
        let thread = std::thread::spawn(move || {
            let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
            runtime.block_on(async { run(TcpListener::from_std(listener).unwrap(), served, receiver).await });
        });
        ScriptedUpstream { address, shared, orders: Some(orders), thread: Some(thread) }
    }

    /// Returns the base URL, as the settings take it.
    pub fn url(&self) -> String {
        format!("http://{}/v1", self.address)
    }

    /// Adds a script for one request. Requests take scripts in this order.
    pub fn next(&self, script: impl IntoIterator<Item = Step>) {
        self.shared.scripts.lock().unwrap().push_back(script.into_iter().collect());
    }

    /// Sets the script for all requests without one.
    pub fn otherwise(&self, script: impl IntoIterator<Item = Step>) {
        *self.shared.otherwise.lock().unwrap() = script.into_iter().collect();
    }

    /// Sets the script for requests that contain this word. It takes precedence over all others.
    pub fn when(&self, word: &str, script: impl IntoIterator<Item = Step>) {
        self.shared.marked.lock().unwrap().push((word.to_owned(), script.into_iter().collect()));
    }

    /// Forgets the script for this word.
    pub fn forget(&self, word: &str) {
        self.shared.marked.lock().unwrap().retain(|(other, _)| other != word);
    }

    /// Sets the script for requests of the list of models, which are the probes. By default they
    /// get a list.
    pub fn models(&self, script: impl IntoIterator<Item = Step>) {
        *self.shared.models.lock().unwrap() = script.into_iter().collect();
    }

    /// Returns the number of probes.
    pub fn probes(&self) -> usize {
        self.shared.probes.load(Ordering::Relaxed)
    }

    /// Makes calls and probes without another script fail from now on.
    pub fn break_down(&self) {
        self.otherwise(status(500, &[], "gossip"));
        self.models(status(500, &[], "gossip"));
    }

    /// Closes its port and all connections.
    pub async fn refuse(&self) {
        self.order(false).await;
    }

    /// Opens its port again.
    pub async fn accept(&self) {
        self.order(true).await;
    }

    async fn order(&self, is_open: bool) {
        let (done, is_done) = oneshot::channel();
        self.orders.as_ref().unwrap().send((is_open, done)).unwrap();
        is_done.await.unwrap();
    }

    /// Returns all requests so far, without probes.
    pub fn requests(&self) -> Vec<Request> {
        self.shared.requests.borrow().clone()
    }

    /// Waits until the request with this number, counted from 0, has arrived.
    pub async fn request(&self, number: usize) -> Request {
        self.wait(&format!("request {number}"), |requests| requests.get(number).cloned()).await
    }

    /// Returns whether the client of a request has closed or broken its connection.
    pub fn client_is_gone(&self, number: usize) -> bool {
        self.shared.requests.borrow().get(number).is_some_and(|request| request.client_is_gone)
    }

    /// Waits until the client of a request has closed or broken its connection.
    pub async fn until_client_is_gone(&self, number: usize) {
        let is_gone =
            |requests: &[Request]| requests.get(number).filter(|request| request.client_is_gone).map(drop);
        self.wait(&format!("the client of request {number} to disconnect"), is_gone).await;
    }

    async fn wait<T>(&self, what: &str, find: impl Fn(&[Request]) -> Option<T>) -> T {
        let mut requests = self.shared.requests.subscribe();
        let found = in_time(what, requests.wait_for(|requests| find(requests).is_some())).await;
        find(&found.unwrap()).unwrap()
    }
}

impl Drop for ScriptedUpstream {
    fn drop(&mut self) {
        self.orders = None;
        let _ = self.thread.take().map(std::thread::JoinHandle::join);
    }
}

/// Awaits `future`. Fails the test if that takes longer than [`PATIENCE`].
pub async fn in_time<T>(what: &str, future: impl Future<Output = T>) -> T {
    let result = tokio::time::timeout(PATIENCE, future).await;
    result.unwrap_or_else(|_| panic!("waited {PATIENCE:?} in vain for {what}"))
}

async fn run(listener: TcpListener, shared: Arc<Shared>, mut orders: mpsc::UnboundedReceiver<Order>) {
    let address = listener.local_addr().unwrap();
    let mut listener = Some(listener);
    // A socket that does not listen keeps the closed port from other tests.
    let mut closed: Option<TcpSocket> = None;
    let mut connections = tokio::task::JoinSet::new();
    let mut count = 0;
    loop {
        tokio::select! {
            order = orders.recv() => {
                let Some((is_open, done)) = order else { return };
                if !is_open && listener.take().is_some() {
                    closed = Some(bind_again(address).await);
                    connections.shutdown().await;
                } else if let Some(socket) = closed.take() {
                    listener = Some(socket.listen(1024).unwrap());
                }
                let _ = done.send(());
            }
            Ok((stream, _)) = accept(listener.as_ref()) => {
                connections.spawn(connection::serve(stream, count, shared.clone()));
                count += 1;
            }
        }
    }
}

/// Binds a socket to a port whose listener was just closed. A process that another test is starting
/// may have it open for a moment longer.
async fn bind_again(address: SocketAddr) -> TcpSocket {
    let bind = async || loop {
        let socket = TcpSocket::new_v4().unwrap();
        socket.set_reuseaddr(true).unwrap();
        match socket.bind(address) {
            Ok(()) => return socket,
            Err(error) => assert_eq!(error.kind(), std::io::ErrorKind::AddrInUse, "{error}"),
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    };
    in_time("the port to be free", bind()).await
}

async fn accept(listener: Option<&TcpListener>) -> std::io::Result<(tokio::net::TcpStream, SocketAddr)> {
    match listener {
        Some(listener) => listener.accept().await,
        None => std::future::pending().await,
    }
}
