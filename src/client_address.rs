//! Finds the client of a request that came through proxies: `X-Forwarded-For`, trusted only as far
//! as trusted proxies wrote it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::str::FromStr;

use actix_web::{HttpRequest, web};
use ipnet::{IpNet, Ipv4Net};

/// A list of addresses and networks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Networks(Vec<IpNet>);

/// The most trusted proxies in a row. The search for the client ends there.
const MOST_PROXIES: usize = 32;

/// The proxies whose `X-Forwarded-For` is believed (`--trusted-proxies`). The default trusts
/// nobody.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct TrustedProxies(Networks);

/// An element of the list that is neither an address nor a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not an IP address or network; write for example 10.0.0.1 or 10.0.0.0/8, separated by commas"
)]
pub struct InvalidProxy(String);

impl FromStr for Networks {
    type Err = InvalidProxy;

    /// Parses addresses and networks (CIDR) separated by commas. An empty text is an empty list.
    fn from_str(list: &str) -> Result<Networks, InvalidProxy> {
        elements(list)
            .map(|text| network(text).ok_or_else(|| InvalidProxy(text.to_owned())))
            .collect::<Result<_, _>>()
            .map(Networks)
    }
}

impl Networks {
    /// Returns whether the address is in the list. IPv4 inside IPv6 counts as IPv4.
    pub fn contain(&self, address: IpAddr) -> bool {
        let address = address.to_canonical();
        self.0.iter().any(|network| network.contains(&address))
    }
}

/// Returns the client's address: the peer, or the address that trusted proxies report.
pub fn client_of(request: &HttpRequest) -> IpAddr {
    let peer = request.peer_addr().map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.ip());
    let Some(proxies) = request.app_data::<web::Data<TrustedProxies>>() else { return peer };
    proxies.client(peer, request.headers().get_all("x-forwarded-for").map(|line| line.as_bytes()))
}

/// What becomes of a request's `X-Forwarded-For`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Forwarding {
    /// The request has none.
    Absent,
    /// It is believed, because the peer is a trusted proxy.
    Believed,
    /// It is ignored, because the peer is none.
    Ignored,
}

impl Forwarding {
    /// Returns the value as one word.
    pub fn word(self) -> &'static str {
        match self {
            Forwarding::Absent => "absent",
            Forwarding::Believed => "believed",
            Forwarding::Ignored => "ignored",
        }
    }
}

/// Returns what becomes of a request's `X-Forwarded-For`.
pub fn forwarding_of(request: &HttpRequest) -> Forwarding {
    if !request.headers().contains_key("x-forwarded-for") {
        return Forwarding::Absent;
    }
    let proxies = request.app_data::<web::Data<TrustedProxies>>();
    let is_trusted =
        request.peer_addr().zip(proxies).is_some_and(|(peer, proxies)| proxies.trusts(peer.ip()));
    if is_trusted { Forwarding::Believed } else { Forwarding::Ignored }
}

impl FromStr for TrustedProxies {
    type Err = InvalidProxy;

    fn from_str(list: &str) -> Result<TrustedProxies, InvalidProxy> {
        TrustedProxies::parse(list)
    }
}

impl TrustedProxies {
    /// Parses addresses and networks (CIDR) separated by commas. An empty text is an empty list.
    ///
    /// # Errors
    /// Fails with the first element that is neither an address nor a network.
    pub fn parse(list: &str) -> Result<TrustedProxies, InvalidProxy> {
        list.parse().map(TrustedProxies)
    }

    /// Returns the addresses of the proxies.
    pub fn networks(&self) -> &Networks {
        &self.0
    }

    /// Returns the client's address. `forwarded_for` has the values of all `X-Forwarded-For` lines
    /// in order, as bytes, so that a client cannot hide a proxy's addition by sending bytes that
    /// are not text.
    ///
    /// Each proxy appends the address of its caller, so the list is read from its end, starting at
    /// the peer, while trusted proxies wrote it. The first address that is not a trusted proxy is
    /// the client; a client can invent everything before it. An element that is not an address ends
    /// the search at the last address that was read, and so does the 32nd. IPv4 inside IPv6 counts
    /// as IPv4.
    pub fn client<'a>(&self, peer: IpAddr, forwarded_for: impl Iterator<Item = &'a [u8]>) -> IpAddr {
        let mut nearest = peer.to_canonical();
        if !self.trusts(nearest) {
            return nearest;
        }
        let lines: Vec<&[u8]> = forwarded_for.collect();
        let elements = lines.into_iter().rev().flat_map(|line| line.rsplit(|byte| *byte == b','));
        let elements = elements.map(<[u8]>::trim_ascii).filter(|element| !element.is_empty());
        for element in elements.take(MOST_PROXIES) {
            let Some(address) = std::str::from_utf8(element).ok().and_then(address) else {
                return nearest;
            };
            nearest = address;
            if !self.trusts(nearest) {
                return nearest;
            }
        }
        nearest
    }

    fn trusts(&self, address: IpAddr) -> bool {
        self.0.contain(address)
    }
}

/// Returns the elements of a comma-separated list without the empty ones (RFC 9110, section
/// 5.6.1.2).
fn elements(list: &str) -> impl Iterator<Item = &str> {
    list.split(',').map(str::trim).filter(|element| !element.is_empty())
}

/// Parses `10.0.0.0/8` or a single address. IPv4 inside IPv6 becomes IPv4, the form in which
/// addresses are compared.
fn network(text: &str) -> Option<IpNet> {
    let network = match text.parse::<IpNet>() {
        Ok(network) => network,
        Err(_) => IpNet::from(text.parse::<IpAddr>().ok()?),
    };
    match (network.addr().to_canonical(), network.prefix_len()) {
        (IpAddr::V4(inside), bits @ 96..) if network.addr().is_ipv6() => {
            Ipv4Net::new(inside, bits - 96).ok().map(IpNet::V4)
        }
        _ => Some(network),
    }
}

/// Parses an address as proxies write it: bare or in brackets, with or without a port.
fn address(element: &str) -> Option<IpAddr> {
    let bare = element.strip_prefix('[').and_then(|rest| rest.strip_suffix(']'));
    let address = match bare {
        Some(inside) => IpAddr::V6(inside.parse().ok()?),
        None => {
            element.parse().or_else(|_| element.parse::<SocketAddr>().map(|with_port| with_port.ip())).ok()?
        }
    };
    Some(address.to_canonical())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn client(proxies: &str, peer: &str, forwarded_for: &[&str]) -> String {
        let proxies = TrustedProxies::parse(proxies).unwrap();
        proxies.client(peer.parse().unwrap(), forwarded_for.iter().map(|line| line.as_bytes())).to_string()
    }

    #[test]
    fn an_untrusted_peer_is_the_client_whatever_it_says() {
        assert_eq!(client("", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
        assert_eq!(client("10.0.0.0/8", "::ffff:192.0.2.1", &["198.51.100.7"]), "192.0.2.1");
    }

    #[test]
    fn the_last_untrusted_address_is_the_client() {
        assert_eq!(client("10.0.0.1", "10.0.0.1", &["198.51.100.7"]), "198.51.100.7");
        assert_eq!(
            client("10.0.0.1", "10.0.0.1", &["203.0.113.9, 198.51.100.7"]),
            "198.51.100.7",
            "the first is made up"
        );
        assert_eq!(
            client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9, 198.51.100.7, 10.2.3.4"]),
            "198.51.100.7"
        );
        assert_eq!(client("10.0.0.0/8", "::ffff:10.0.0.1", &["::ffff:198.51.100.7"]), "198.51.100.7");
    }

    #[test]
    fn several_lines_are_one_list() {
        assert_eq!(
            client("10.0.0.0/8", "10.0.0.1", &["203.0.113.9", "198.51.100.7", "10.2.3.4,10.2.3.5"]),
            "198.51.100.7"
        );
    }

    #[test]
    fn without_an_untrusted_address_the_farthest_proxy_is_the_client() {
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["", " , "]), "10.0.0.1");
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &["10.0.0.3, 10.0.0.2"]), "10.0.0.3");
    }

    #[test]
    fn an_unreadable_element_ends_the_walk() {
        for unreadable in [
            "unknown",
            "198.51.100.7.example",
            "_hidden",
            "\"198.51.100.7\"",
            "[198.51.100.7]",
            "1.2.3.4:99999",
        ] {
            let line = format!("203.0.113.9, {unreadable}, 10.0.0.2");
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[&line]), "10.0.0.2", "{unreadable}");
            assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[unreadable]), "10.0.0.1", "{unreadable}");
        }
    }

    #[test]
    fn bytes_that_are_not_text_do_not_hide_an_address_added_by_a_proxy() {
        let proxies = TrustedProxies::parse("10.0.0.0/8").unwrap();
        let client =
            |lines: &[&[u8]]| proxies.client("10.0.0.1".parse().unwrap(), lines.iter().copied()).to_string();
        assert_eq!(client(&[b"\xff\xfe, 198.51.100.7"]), "198.51.100.7", "added to the same line");
        assert_eq!(client(&[b"\xff", b"198.51.100.7, 10.0.0.2"]), "198.51.100.7", "added as a line");
        assert_eq!(client(&[b"203.0.113.9", b"\xff, 10.0.0.2"]), "10.0.0.2", "it ends the walk");
        assert_eq!(client(&[b"203.0.113.9, \xc3\xa9"]), "10.0.0.1");
    }

    #[test]
    fn a_long_list_is_read_no_further_than_32_proxies() {
        let line = format!("198.51.100.7{}", ", 10.0.0.2".repeat(31));
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[&line]), "198.51.100.7");
        let line = format!("198.51.100.7{}", ", 10.0.0.2".repeat(10_000));
        assert_eq!(client("10.0.0.0/8", "10.0.0.1", &[&line]), "10.0.0.2");
    }

    #[test]
    fn ports_and_brackets_are_understood() {
        for (element, expected) in [
            ("198.51.100.7:4711", "198.51.100.7"),
            ("2001:db8::7", "2001:db8::7"),
            ("[2001:db8::7]", "2001:db8::7"),
            ("[2001:db8::7]:4711", "2001:db8::7"),
            ("[::ffff:198.51.100.7]:80", "198.51.100.7"),
        ] {
            assert_eq!(client("fd00::/8, 10.0.0.1", "fd00::1", &[element]), expected, "{element}");
        }
    }

    #[test]
    fn a_list_holds_addresses_and_networks_of_both_kinds() {
        let list = " 10.0.0.1 ,192.168.0.0/16,::1, fd00::/8,::ffff:172.16.0.0/108, ::ffff:127.0.0.1";
        let proxies: TrustedProxies = list.parse().unwrap();
        for trusted in ["10.0.0.1", "192.168.7.7", "::1", "fd12::1", "172.31.255.255", "127.0.0.1"] {
            assert!(proxies.trusts(trusted.parse().unwrap()), "{trusted}");
        }
        for other in ["10.0.0.2", "192.169.0.0", "::2", "fe80::1", "172.32.0.0", "127.0.0.2"] {
            assert!(!proxies.trusts(other.parse().unwrap()), "{other}");
        }
        assert_eq!(TrustedProxies::parse(" , ").unwrap(), TrustedProxies::default());
    }

    #[test]
    fn an_error_names_the_bad_element() {
        for bad in ["10.0.0.256", "10.0.0.0/33", "localhost", "10.0.0.1:80", "*"] {
            let error = TrustedProxies::parse(&format!("10.0.0.1, {bad}")).unwrap_err();
            assert!(error.to_string().starts_with(&format!("{bad:?} is not")), "{error}");
        }
    }
}
