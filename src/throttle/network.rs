//! The origins of requests: addresses and the networks around them. One customer has many IPv6
//! addresses, so the networks that providers give to customers count as well.

use std::net::IpAddr;

/// An IPv4 or IPv6 network, or a single IPv4 address. IPv4 inside IPv6 counts as IPv4.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) struct Network {
    is_v4: bool,
    /// The number of leading bits that the network's addresses share.
    length: u8,
    bits: u128,
}

impl Network {
    /// Returns the network of an address with the prefix length for its kind.
    fn around(address: IpAddr, length_v4: u8, length_v6: u8) -> Network {
        match address.to_canonical() {
            IpAddr::V4(v4) => {
                let bits = cut(v4.to_bits().into(), 32, length_v4);
                Network { is_v4: true, length: length_v4, bits }
            }
            IpAddr::V6(v6) => {
                Network { is_v4: false, length: length_v6, bits: cut(v6.to_bits(), 128, length_v6) }
            }
        }
    }

    /// Returns the network that counts as one origin: an IPv4 address, or an IPv6 /64, the smallest
    /// network that a customer gets.
    pub(super) fn origin(address: IpAddr) -> Network {
        Network::around(address, 32, 64)
    }

    /// Returns the IPv6 networks around an origin that one customer may have, the narrower first.
    /// IPv4 has none.
    pub(super) fn wider(address: IpAddr) -> impl Iterator<Item = Network> {
        let lengths: &[u8] = if address.to_canonical().is_ipv6() { &[56, 48] } else { &[] };
        lengths.iter().map(move |length| Network::around(address, 32, *length))
    }

    /// Returns the networks that take turns, the widest first. The last is the origin.
    pub(super) fn nested(address: IpAddr) -> [Network; 4] {
        [(16, 32), (24, 48), (32, 56), (32, 64)].map(|(v4, v6)| Network::around(address, v4, v6))
    }

    /// Returns how many times the allowance of one origin the network gets.
    pub(super) fn width(self) -> u32 {
        match (self.is_v4, self.length) {
            (false, ..=48) => 16,
            (false, ..=56) => 4,
            _ => 1,
        }
    }

    /// Returns whether the network counts as one customer, with the same limits as a single
    /// address.
    pub(super) fn is_one_customer(self) -> bool {
        self.length >= if self.is_v4 { 32 } else { 48 }
    }

    /// Returns bytes for a digest. Two different networks never have the same bytes.
    pub(super) fn to_bytes(self) -> [u8; 18] {
        let mut bytes = [0; 18];
        let whole = [u8::from(self.is_v4), self.length].into_iter().chain(self.bits.to_be_bytes());
        bytes.iter_mut().zip(whole).for_each(|(to, from)| *to = from);
        bytes
    }
}

/// Returns the leading `keep` of `all` bits.
fn cut(bits: u128, all: u8, keep: u8) -> u128 {
    let away = u32::from(all.saturating_sub(keep));
    bits.checked_shr(away).unwrap_or(0).checked_shl(away).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ip(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn an_ipv6_network_is_one_origin_and_mapped_ipv4_is_ipv4() {
        assert_eq!(Network::origin(ip("2001:db8::1")), Network::origin(ip("2001:db8::ffff:1:2:3")));
        assert_ne!(Network::origin(ip("2001:db8::1")), Network::origin(ip("2001:db8:0:1::1")));
        assert_eq!(Network::origin(ip("::ffff:192.0.2.1")), Network::origin(ip("192.0.2.1")));
        assert_ne!(Network::origin(ip("192.0.2.1")), Network::origin(ip("192.0.2.2")));
    }

    #[test]
    fn wider_networks_hold_their_addresses_and_no_others() {
        let wider = |text| Network::wider(ip(text)).collect::<Vec<_>>();
        assert_eq!(wider("2001:db8:1:2ff::1"), wider("2001:db8:1:200::1"));
        let (one, other) = (wider("2001:db8:1:200::1"), wider("2001:db8:1:300::1"));
        assert_ne!(one[0], other[0], "another /56");
        assert_eq!(one[1], other[1], "the same /48");
        assert_ne!(one[1], wider("2001:db8:2:200::1")[1]);
        assert_eq!(wider("192.0.2.1"), []);
        assert_eq!(one.iter().map(|network| network.width()).collect::<Vec<_>>(), [4, 16]);
    }

    #[test]
    fn networks_of_different_kinds_and_lengths_are_never_equal() {
        let all = ["0.0.0.0", "::", "0.0.0.1", "::1"].map(|text| Network::nested(ip(text)));
        let [v4, v6, next_v4, next_v6] = all;
        assert!(v4.iter().all(|network| !v6.contains(network)));
        assert_eq!(v4[..2], next_v4[..2]);
        assert_ne!(v4[3], next_v4[3]);
        assert_eq!(v6, next_v6);
    }
}
