//! Warns of peers that send `X-Forwarded-For` and are not trusted. One of them is usually a proxy
//! that the operator forgot: without it, all clients behind it share the limits of one address.

use std::collections::BTreeSet;
use std::net::IpAddr;
use std::sync::{Mutex, PoisonError};

use actix_web::HttpRequest;

use crate::client_address::{Forwarding, forwarding_of};

/// The most peers that the log names. Clients may send the header, too, and must not fill the log.
const MOST: usize = 8;

/// The peers that the log has named.
#[derive(Default)]
pub(super) struct UntrustedForwarders(Mutex<BTreeSet<IpAddr>>);

impl UntrustedForwarders {
    /// Warns if the header of a request is ignored, once for each peer.
    pub(super) fn note(&self, request: &HttpRequest) {
        if forwarding_of(request) != Forwarding::Ignored {
            return;
        }
        let Some(peer) = request.peer_addr().map(|peer| peer.ip().to_canonical()) else { return };
        if self.is_news(peer) {
            log::warn!(
                "{peer} sends X-Forwarded-For, which is ignored: if it is your proxy, add it to --trusted-proxies; \
                 if not, a client makes up addresses"
            );
        }
    }

    fn is_news(&self, peer: IpAddr) -> bool {
        let mut named = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        named.len() < MOST && named.insert(peer)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_peer_is_named_once_and_not_too_many_are() {
        let forwarders = UntrustedForwarders::default();
        let peer = |last: u8| IpAddr::from([192, 0, 2, last]);
        assert!(forwarders.is_news(peer(1)));
        assert!(!forwarders.is_news(peer(1)));
        assert_eq!((2..100).filter(|last| forwarders.is_news(peer(*last))).count(), MOST - 1);
    }
}
