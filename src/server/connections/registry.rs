//! The open connections. Each network has a share of them. When all places are taken, the network
//! with the most connections loses the one that was idle for longest.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::time::Instant;

use crate::client_address::Networks;
use crate::throttle::Cut;

/// A /48 of IPv6 may have this many times as many connections as one of its /64 networks.
const PER_SITE: usize = 4;
/// When all places are taken, one in this number is freed at once. Otherwise each connection of a
/// flood would need its own search.
const FREED_AT_ONCE: usize = 128;

/// A connection that was active within this number of milliseconds is fresh: its request may be on
/// its way. The time is shorter when all places are taken, as in a flood, where most connections
/// are new.
const FRESH_OF_ADDRESS: u64 = 1000;
const FRESH_OF_ALL: u64 = 250;

/// The limits on connections.
#[derive(Clone, Debug)]
pub(super) struct Bounds {
    pub connections: usize,
    /// The limit for one address, or one /64 of IPv6.
    pub per_address: usize,
    /// Networks without a limit: proxies, and those in `--unlimited-addresses`.
    pub unlimited: [Networks; 2],
}

/// What a connection is doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Stage {
    /// The client has not sent a whole request, does not read its response, or is slow to
    /// disconnect.
    Unfinished,
    /// Between two requests.
    Idle,
    /// Handling a request. Such connections are not closed to make room.
    Busy,
}

/// The limit that rejects a connection.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Full {
    /// All connections of this address are busy.
    Address(usize),
    /// All connections of all addresses are busy.
    All(usize),
}

/// A network that counts as one address.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Network {
    V4(u32),
    /// The first 64 bits.
    V6(u64),
}

impl Network {
    pub(super) fn of(address: IpAddr) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => Network::V4(v4.to_bits()),
            IpAddr::V6(v6) => Network::V6((v6.to_bits() >> 64) as u64),
        }
    }

    /// Returns the first 48 bits of an IPv6 network.
    fn site(self) -> Option<u64> {
        match self {
            Network::V4(_) => None,
            Network::V6(bits) => Some(bits >> 16),
        }
    }
}

#[derive(Debug)]
pub(super) struct Registry {
    bounds: Bounds,
    started: Instant,
    state: Mutex<State>,
}

type OfNetwork = HashMap<u64, Arc<Entry>>;

#[derive(Debug, Default)]
struct State {
    count: usize,
    next_id: u64,
    networks: HashMap<Network, OfNetwork>,
    sites: HashMap<u64, usize>,
}

#[derive(Debug)]
struct Entry {
    id: u64,
    network: Network,
    stage: AtomicU8,
    /// Milliseconds since the registry was made.
    active: AtomicU64,
    cut: Cut,
}

/// A connection's place. Dropping it frees the place.
#[derive(Debug)]
pub(super) struct Slot {
    registry: Arc<Registry>,
    entry: Arc<Entry>,
    peer: IpAddr,
}

impl Registry {
    pub(super) fn new(bounds: Bounds) -> Registry {
        Registry { bounds, started: Instant::now(), state: Mutex::default() }
    }

    /// Gives a new connection a place, for which another one may be closed.
    ///
    /// # Errors
    /// Fails if all connections that could be closed are busy.
    pub(super) fn admit(self: &Arc<Registry>, peer: IpAddr) -> Result<Slot, Full> {
        let network = Network::of(peer);
        let mut state = self.lock();
        if !self.bounds.unlimited.iter().any(|networks| networks.contain(peer)) {
            self.make_room_for(&mut state, network)?;
        }
        if state.count >= self.bounds.connections {
            let many = (self.bounds.connections / FREED_AT_ONCE).max(1);
            let order = Order { fresh: FRESH_OF_ALL, now: self.millis(Instant::now()) };
            if !state.free_of_largest(|_| true, many, order) {
                return Err(Full::All(self.bounds.connections));
            }
        }
        let entry = state.add(network, self.millis(Instant::now()));
        Ok(Slot { registry: self.clone(), entry, peer })
    }

    fn make_room_for(&self, state: &mut State, network: Network) -> Result<(), Full> {
        let most = self.bounds.per_address;
        let order = Order { fresh: FRESH_OF_ADDRESS, now: self.millis(Instant::now()) };
        if state.networks.get(&network).is_some_and(|of_network| of_network.len() >= most)
            && !state.free(network, 1, order)
        {
            return Err(Full::Address(most));
        }
        let Some(site) = network.site() else { return Ok(()) };
        if state.sites.get(&site).is_some_and(|count| *count >= most * PER_SITE)
            && !state.free_of_largest(|other| other.site() == Some(site), 1, order)
        {
            return Err(Full::Address(most * PER_SITE));
        }
        Ok(())
    }

    /// Returns the most connections that are allowed.
    pub(super) fn most(&self) -> usize {
        self.bounds.connections
    }

    fn millis(&self, now: Instant) -> u64 {
        u64::try_from(now.saturating_duration_since(self.started).as_millis()).unwrap_or(u64::MAX)
    }

    /// Ignores poisoning: no code under the lock can panic half-way through a change, so the state
    /// is consistent.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn add(&mut self, network: Network, now: u64) -> Arc<Entry> {
        let id = self.next_id;
        self.next_id += 1;
        let entry = Arc::new(Entry {
            id,
            network,
            stage: AtomicU8::new(Stage::Unfinished as u8),
            active: AtomicU64::new(now),
            cut: Cut::default(),
        });
        self.networks.entry(network).or_default().insert(id, entry.clone());
        self.count += 1;
        if let Some(site) = network.site() {
            *self.sites.entry(site).or_default() += 1;
        }
        entry
    }

    fn remove(&mut self, network: Network, id: u64) {
        let Some(of_network) = self.networks.get_mut(&network) else { return };
        if of_network.remove(&id).is_none() {
            return;
        }
        if of_network.is_empty() {
            self.networks.remove(&network);
        }
        self.count -= 1;
        if let Some(site) = network.site()
            && let Some(count) = self.sites.get_mut(&site)
        {
            *count -= 1;
            if *count == 0 {
                self.sites.remove(&site);
            }
        }
    }

    /// Closes the longest-idle connections of the largest network that has any, among the networks
    /// for which `meant` is true.
    fn free_of_largest(&mut self, meant: impl Fn(Network) -> bool, most: usize, order: Order) -> bool {
        let meant = self.networks.iter().filter(|(network, _)| meant(**network));
        let mut largest: Vec<(usize, Network)> = meant.map(|(network, all)| (all.len(), *network)).collect();
        largest.sort_unstable_by_key(|(count, _)| std::cmp::Reverse(*count));
        largest.into_iter().any(|(_, network)| self.free(network, most, order))
    }

    /// Closes the longest-idle connections of a network: up to `most` unfinished ones that are not
    /// fresh, otherwise one idle one, otherwise one fresh one. Returns whether there were any.
    fn free(&mut self, network: Network, most: usize, order: Order) -> bool {
        let entries = self.networks.get(&network).into_iter().flat_map(HashMap::values);
        let mut idlest: Vec<(u8, u64, Arc<Entry>)> = entries
            .filter_map(|entry| {
                let active = entry.active.load(Ordering::Relaxed);
                let rank = order.rank(entry.stage.load(Ordering::Relaxed), active)?;
                Some((rank, active, entry.clone()))
            })
            .collect();
        let unfinished = idlest.iter().filter(|(rank, ..)| *rank == 0).count();
        let count = most.min(unfinished).max(1).min(idlest.len());
        if count == 0 {
            return false;
        }
        idlest.select_nth_unstable_by_key(count - 1, |(rank, active, _)| (*rank, *active));
        for (_, _, entry) in idlest.drain(..count) {
            entry.cut.cut();
            self.remove(network, entry.id);
        }
        true
    }
}

/// The order in which connections are closed to make room.
#[derive(Clone, Copy, Debug)]
struct Order {
    /// For how many milliseconds after its last activity a connection is fresh.
    fresh: u64,
    /// Milliseconds since the registry was made.
    now: u64,
}

impl Order {
    /// Returns the rank of a connection. The one with the lowest rank is closed first. `None` means
    /// never.
    fn rank(self, stage: u8, active: u64) -> Option<u8> {
        let is_fresh = self.now.saturating_sub(active) < self.fresh;
        match stage {
            stage if stage == Stage::Busy as u8 => None,
            stage if stage == Stage::Idle as u8 => Some(1),
            _ if is_fresh => Some(2),
            _ => Some(0),
        }
    }
}

impl Slot {
    pub(super) fn cut(&self) -> &Cut {
        &self.entry.cut
    }

    pub(super) fn peer(&self) -> IpAddr {
        self.peer
    }

    /// Records that the connection did something.
    pub(super) fn touch(&self, now: Instant) {
        self.entry.active.store(self.registry.millis(now), Ordering::Relaxed);
    }

    pub(super) fn note(&self, stage: Stage, now: Instant) {
        self.entry.stage.store(stage as u8, Ordering::Relaxed);
        self.touch(now);
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.registry.lock().remove(self.entry.network, self.entry.id);
    }
}

#[cfg(test)]
mod tests;
