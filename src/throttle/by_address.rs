//! An allowance for each address, and wider ones for the IPv6 networks around it.

use std::net::IpAddr;

use super::limiter::{Allowance, Limiter};
use super::network::Network;
use super::stopwatch::Stopwatch;
use super::{MAX_KEYS, RetryAfter};

pub(super) struct ByAddress {
    limiter: Limiter<Network>,
    allowance: Allowance,
    /// The name of the limit, for the client.
    bound: &'static str,
}

impl ByAddress {
    pub(super) fn new(allowance: Allowance, bound: &'static str, clock: Stopwatch) -> ByAddress {
        ByAddress { limiter: Limiter::new(MAX_KEYS, clock), allowance, bound }
    }

    /// Takes one unit from each allowance.
    ///
    /// # Errors
    /// One of the allowances is used up. Nothing was taken.
    pub(super) fn take(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.peek_wider(address)?;
        let origin = Network::origin(address);
        let taken = self.limiter.take(&origin, self.allowance, 1);
        taken.map_err(|wait| RetryAfter::new(wait, self.bound))?;
        for network in Network::wider(address) {
            self.limiter.charge(&network, self.allowance_of(network), 1);
        }
        Ok(())
    }

    /// Checks whether one unit could be taken, without taking it.
    pub(super) fn peek(&self, address: IpAddr) -> Result<(), RetryAfter> {
        self.peek_wider(address)?;
        let peeked = self.limiter.peek(&Network::origin(address), self.allowance, 1);
        peeked.map_err(|wait| RetryAfter::new(wait, self.bound))
    }

    /// Returns the units that [`ByAddress::take`] took.
    pub(super) fn give_back(&self, address: IpAddr) {
        for network in Network::wider(address).chain([Network::origin(address)]) {
            self.limiter.give_back(&network, self.allowance_of(network), 1);
        }
    }

    pub(super) fn forget_idle(&self) {
        self.limiter.forget_idle();
    }

    fn peek_wider(&self, address: IpAddr) -> Result<(), RetryAfter> {
        for network in Network::wider(address) {
            let peeked = self.limiter.peek(&network, self.allowance_of(network), 1);
            peeked.map_err(|wait| RetryAfter::new(wait, self.bound))?;
        }
        Ok(())
    }

    fn allowance_of(&self, network: Network) -> Allowance {
        self.allowance.for_width(network.width())
    }
}
