//! Permits for limited work, for which origins take turns.
//!
//! The turns are nested: the lanes take turns, in each lane the widest networks, in each of those
//! the networks that one customer may have, and so on down to the single address. So a network with
//! many addresses gets no more than its neighbour with one. Each turn is start-time fair queueing:
//! a network that was just served comes after all others that wait, and a new one never overtakes
//! another one twice.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use tokio::sync::oneshot;
use tokio::time::timeout;

use super::network::Network;

/// The queue that a request waits in. All lanes get equal shares, however many requests wait in
/// each.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Lane {
    /// An account that has signed in from this origin before, or is signed in.
    Known,
    /// The panel's sign-in.
    Panel,
    /// All other requests.
    Open,
}

/// The most waiting requests of one lane.
const MOST_IN_LANE: usize = 256;
/// The most waiting requests of a network that has more than one customer.
const MOST_OF_MANY: usize = 128;
/// The most waiting requests of one customer: an IPv4 address, or an IPv6 /64, /56 or /48.
const MOST_OF_ONE: usize = 32;
/// The number of networks that are remembered in addition to those that wait.
const MOST_REMEMBERED: usize = 4096;
/// The longest time that a request waits.
const PATIENCE: Duration = Duration::from_secs(20);

/// The error of a request that got no permit: too many requests wait, or it has waited too long.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NoTurn;

/// Permits for which origins take turns. Cheap to clone; clones share the permits.
#[derive(Clone, Debug)]
pub struct Turns(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    permits: usize,
    state: Mutex<State>,
}

/// A permit. Dropping it passes the permit on.
#[derive(Debug)]
pub struct Turn(Option<Arc<Shared>>);

/// The lane, then the networks from the widest to the origin.
type Path = [Node; 5];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
struct Node {
    lane: Lane,
    /// The network and its level. `None` is the lane itself. The level is included, because an IPv4
    /// address is on two levels.
    network: Option<(u8, Network)>,
}

#[derive(Debug, Default)]
struct State {
    held: usize,
    arrivals: u64,
    /// The start of the lane that was served last.
    served: u64,
    waiting: Vec<Waiter>,
    nodes: HashMap<Node, Standing>,
}

#[derive(Debug)]
struct Waiter {
    path: Path,
    arrival: u64,
    grant: oneshot::Sender<Result<Turn, NoTurn>>,
}

/// A node's place among its neighbours: the lowest start comes next, then the lowest arrival.
#[derive(Clone, Copy, Debug, Default)]
struct Standing {
    waiting: usize,
    start: u64,
    arrival: u64,
    /// The next start after its last turn.
    finish: u64,
    /// The start of its child that was served last.
    served: u64,
}

impl Turns {
    /// Makes `permits` permits, at least one.
    pub fn new(permits: usize) -> Turns {
        Turns(Arc::new(Shared { permits: permits.max(1), state: Mutex::default() }))
    }

    /// Waits for a permit, at most 20 s.
    ///
    /// # Errors
    /// [`NoTurn`]: too many already wait, or a request of a network with fewer of them took the
    /// place.
    pub async fn acquire(&self, lane: Lane, from: IpAddr) -> Result<Turn, NoTurn> {
        let path = path(lane, from);
        let granted = {
            let mut state = self.0.lock();
            if state.held < self.0.permits {
                state.held += 1;
                state.serve(&path);
                return Ok(Turn(Some(self.0.clone())));
            }
            state.make_place(&path)?;
            let (grant, granted) = oneshot::channel();
            state.enter(path, grant);
            granted
        };
        timeout(PATIENCE, granted).await.ok().and_then(Result::ok).unwrap_or(Err(NoTurn))
    }

    /// Returns the number of permits that are held.
    pub fn held(&self) -> usize {
        self.0.lock().held
    }

    /// Returns the number of requests that wait.
    pub fn waiting(&self) -> usize {
        let mut state = self.0.lock();
        state.leave_closed();
        state.waiting.len()
    }
}

impl Drop for Turn {
    fn drop(&mut self) {
        if let Some(shared) = self.0.take() {
            let mut state = shared.lock();
            state.held = state.held.saturating_sub(1);
            state.grant(&shared);
        }
    }
}

impl Shared {
    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn enter(&mut self, path: Path, grant: oneshot::Sender<Result<Turn, NoTurn>>) {
        self.arrivals += 1;
        let arrival = self.arrivals;
        let mut served_above = self.served;
        for node in path {
            let standing = self.nodes.entry(node).or_default();
            if standing.waiting == 0 {
                standing.start = standing.finish.max(served_above);
                standing.arrival = arrival;
            }
            standing.waiting += 1;
            served_above = standing.served;
        }
        self.waiting.push(Waiter { path, arrival, grant });
    }

    /// Grants free permits in turn.
    fn grant(&mut self, shared: &Arc<Shared>) {
        while self.held < shared.permits {
            self.leave_closed();
            let next = (0..self.waiting.len()).min_by_key(|place| self.order(*place));
            let Some(place) = next else { return };
            let Some(waiter) = self.waiting.get(place) else { return };
            let path = waiter.path;
            self.serve(&path);
            self.held += 1;
            let waiter = self.waiting.swap_remove(place);
            self.leave(&path);
            if let Err(Ok(mut turn)) = waiter.grant.send(Ok(Turn(Some(shared.clone())))) {
                // The request gave up just now. Dropping the permit must not release it, as the
                // lock is held.
                turn.0 = None;
                self.held -= 1;
            }
        }
    }

    fn order(&self, place: usize) -> ([(u64, u64); 5], u64) {
        let Some(waiter) = self.waiting.get(place) else { return ([(u64::MAX, 0); 5], u64::MAX) };
        let standing = |node: Node| self.nodes.get(&node).map_or((0, 0), |s| (s.start, s.arrival));
        (waiter.path.map(standing), waiter.arrival)
    }

    /// Counts a permit for each node of a path.
    fn serve(&mut self, path: &Path) {
        if self.nodes.len() > MOST_REMEMBERED {
            self.nodes.retain(|_, standing| standing.waiting > 0);
        }
        self.arrivals += 1;
        let (arrival, mut served_above, mut starts) = (self.arrivals, self.served, [0; 5]);
        for (node, start) in path.iter().zip(&mut starts) {
            let standing = self.nodes.entry(*node).or_default();
            *start = if standing.waiting > 0 { standing.start } else { standing.finish.max(served_above) };
            served_above = standing.served;
            *standing = Standing { start: *start + 1, finish: *start + 1, arrival, ..*standing };
        }
        self.served = self.served.max(starts[0]);
        for (node, start) in path.iter().zip(starts.iter().skip(1)) {
            if let Some(standing) = self.nodes.get_mut(node) {
                standing.served = standing.served.max(*start);
            }
        }
    }

    /// Makes room for a request. If a node is full, the latest request of its largest child loses
    /// its place, if that child still has more than the newcomer's own.
    fn make_place(&mut self, path: &Path) -> Result<(), NoTurn> {
        self.leave_closed();
        // A request that leaves the narrowest full node leaves all wider ones too. So one victim
        // makes room in all of them, and nobody loses a place to a request that is rejected itself.
        let Some(level) = path.iter().rposition(|node| self.number(node) >= node.most()) else {
            return Ok(());
        };
        let place = self.latest_of_largest(level, path).ok_or(NoTurn)?;
        let loser = self.waiting.swap_remove(place);
        self.leave(&loser.path);
        // The receiver is gone if the request has given up.
        let _ = loser.grant.send(Err(NoTurn));
        Ok(())
    }

    fn latest_of_largest(&self, level: usize, path: &Path) -> Option<usize> {
        let (mut branch, mut is_other) = (path[level], false);
        for (below, own) in path.iter().enumerate().skip(level + 1) {
            let parts = self.waiting.iter().filter(|waiter| waiter.path[below - 1] == branch);
            let largest = parts.map(|waiter| waiter.path[below]).max_by_key(|node| self.number(node))?;
            is_other = is_other || self.number(&largest) > self.number(own) + 1;
            branch = if is_other { largest } else { *own };
        }
        let places = self.waiting.iter().enumerate().filter(|(_, waiter)| waiter.path[4] == branch);
        let latest = places.max_by_key(|(_, waiter)| waiter.arrival);
        latest.filter(|_| is_other).map(|(place, _)| place)
    }

    fn number(&self, node: &Node) -> usize {
        self.nodes.get(node).map_or(0, |standing| standing.waiting)
    }

    /// Removes the requests that gave up.
    fn leave_closed(&mut self) {
        let mut closed = Vec::new();
        self.waiting.retain(|waiter| {
            let is_closed = waiter.grant.is_closed();
            closed.extend(is_closed.then_some(waiter.path));
            !is_closed
        });
        closed.iter().for_each(|path| self.leave(path));
    }

    /// Records that a request no longer waits.
    fn leave(&mut self, path: &Path) {
        for node in path {
            if let Some(standing) = self.nodes.get_mut(node) {
                standing.waiting = standing.waiting.saturating_sub(1);
            }
        }
    }
}

impl Node {
    /// Returns how many of its requests may wait.
    fn most(&self) -> usize {
        match self.network {
            None => MOST_IN_LANE,
            Some((_, network)) if network.is_one_customer() => MOST_OF_ONE,
            Some(_) => MOST_OF_MANY,
        }
    }
}

fn path(lane: Lane, from: IpAddr) -> Path {
    let [a, b, c, d] = Network::nested(from);
    let node = |network| Node { lane, network };
    [node(None), node(Some((1, a))), node(Some((2, b))), node(Some((3, c))), node(Some((4, d)))]
}

#[cfg(test)]
mod tests;
