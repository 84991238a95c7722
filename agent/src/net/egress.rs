//! Where guests may connect to: the internet, and nothing that is near.
//!
//! Refused, always: the host itself, other capsules, link-local addresses (clouds serve credentials there).
//! Refused unless allowed by [`Egress::allow`]: every private and special range, and the networks that the host is
//! directly connected to or reaches by a way other than its default route (a static route, a VPN), whatever their
//! addresses, since those are its operator's.

use std::{fmt, net::Ipv4Addr, str::FromStr};

use serde::Deserialize;

use super::names::INTERFACE_PREFIX;

/// A network of IPv4 addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    /// First address.
    first: u32,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 network such as 10.0.0.0/8")]
pub struct ParseCidrError(String);

impl Cidr {
    /// The network of `prefix` bits around an address; `None` if there are no such networks.
    pub const fn new(address: Ipv4Addr, prefix: u8) -> Option<Self> {
        if prefix > 32 {
            return None;
        }
        let mask = if prefix == 0 { 0 } else { u32::MAX << (32 - prefix) };
        Some(Self { first: address.to_bits() & mask, prefix })
    }

    /// Its address number `index`, counted from 0.
    pub const fn address(&self, index: u32) -> Ipv4Addr {
        Ipv4Addr::from_bits(self.first + index)
    }

    /// Whether the two have an address in common.
    pub const fn overlaps(&self, other: &Self) -> bool {
        let shorter = if self.prefix < other.prefix { self.prefix } else { other.prefix };
        shorter == 0 || (self.first ^ other.first) >> (32 - shorter) == 0
    }

    /// Whether it stands for somebody's network, not for the rest of the world: VPNs cut the default route into
    /// halves such as `128.0.0.0/1`.
    const fn is_specific(&self) -> bool {
        self.prefix >= 8
    }

    /// Whether every address of `other` is in it.
    pub const fn contains(&self, other: &Self) -> bool {
        self.prefix <= other.prefix && self.overlaps(other)
    }
}

impl fmt::Display for Cidr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address(0), self.prefix)
    }
}

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        let parse = || {
            let (address, prefix) = text.split_once('/').unwrap_or((text, "32"));
            Self::new(address.parse().ok()?, prefix.parse().ok()?)
        };
        parse().ok_or_else(|| ParseCidrError(text.to_owned()))
    }
}

/// What guests may reach beside the internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Networks that guests may reach although they are private or the host's own. It opens neither the host itself, nor other capsules, nor link-local addresses.
    pub allow: Vec<Cidr>,
}

const fn cidr(a: u8, b: u8, c: u8, d: u8, prefix: u8) -> Cidr {
    match Cidr::new(Ipv4Addr::new(a, b, c, d), prefix) {
        Some(cidr) => cidr,
        None => panic!("not a network"),
    }
}

/// Never reachable: this host, link-local, multicast and reserved addresses, and the one public address under which a
/// cloud (Azure) serves its machines like others do link-locally.
pub(super) const NEVER: &[Cidr] = &[
    cidr(0, 0, 0, 0, 8),
    cidr(127, 0, 0, 0, 8),
    cidr(168, 63, 129, 16, 32),
    cidr(169, 254, 0, 0, 16),
    cidr(224, 0, 0, 0, 3),
];

/// Private by their address: refused unless allowed.
pub(super) const PRIVATE: &[Cidr] = &[
    cidr(10, 0, 0, 0, 8),
    cidr(100, 64, 0, 0, 10),
    cidr(172, 16, 0, 0, 12),
    cidr(192, 0, 0, 0, 24),
    cidr(192, 168, 0, 0, 16),
    cidr(198, 18, 0, 0, 15),
];

/// The networks a host has routes and addresses in.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct HostNetworks {
    /// Networks of its interfaces, without ours.
    pub(super) connected: Vec<Cidr>,
    /// All destinations of its routing tables except the default route, without ours.
    pub(super) routed: Vec<Cidr>,
    /// Those of them that are not reached the way of a default route.
    pub(super) near: Vec<Cidr>,
}

impl HostNetworks {
    /// Reads the answers of `ip -json address` and `ip -json route show table all`.
    pub(super) fn parse(addresses: &[u8], routes: &[u8]) -> serde_json::Result<Self> {
        #[derive(Deserialize)]
        struct Link {
            #[serde(default)]
            ifname: String,
            #[serde(default)]
            addr_info: Vec<Address>,
        }
        #[derive(Deserialize)]
        struct Address {
            #[serde(default)]
            local: String,
            #[serde(default)]
            prefixlen: u8,
        }
        #[derive(Deserialize)]
        struct Route {
            #[serde(default)]
            dst: String,
            #[serde(default)]
            dev: String,
            #[serde(default)]
            gateway: String,
        }

        let links: Vec<Link> = serde_json::from_slice(addresses)?;
        let routes: Vec<Route> = serde_json::from_slice(routes)?;
        let connected = links
            .iter()
            .filter(|link| !is_ours(&link.ifname))
            .flat_map(|link| &link.addr_info)
            .filter_map(|address| Cidr::new(address.local.parse().ok()?, address.prefixlen))
            .collect();
        // `default` and IPv6 destinations do not parse, and are not wanted.
        let others: Vec<&Route> = routes.iter().filter(|route| !is_ours(&route.dev)).collect();
        let is_default_way = |route: &Route| {
            let mut defaults = others.iter().filter(|other| other.dst == "default");
            !route.gateway.is_empty()
                && defaults.any(|other| (&other.gateway, &other.dev) == (&route.gateway, &route.dev))
        };
        let routed = others.iter().filter_map(|route| route.dst.parse().ok()).collect();
        let near = others.iter().filter(|route| !is_default_way(route));
        let near = near.filter_map(|route| route.dst.parse().ok()).collect();
        Ok(Self { connected, routed, near })
    }

    /// Whether a network of ours would take an address from somebody.
    pub(super) fn overlap(&self, network: &Cidr) -> bool {
        self.connected.iter().chain(&self.routed).any(|taken| taken.is_specific() && taken.overlaps(network))
    }
}

/// Whether an interface of the host belongs to any installation of Wrenn.
fn is_ours(interface: &str) -> bool {
    interface
        .strip_prefix(INTERFACE_PREFIX)
        .is_some_and(|rest| rest.starts_with(|it: char| it.is_ascii_digit()))
}

/// Destinations refused to guests unless allowed, without those that others contain.
pub(super) fn refused_unless_allowed(host: &HostNetworks) -> Vec<Cidr> {
    let of_operator = host.connected.iter().chain(&host.near).filter(|network| network.is_specific());
    without_contained(PRIVATE.iter().chain(of_operator).copied().collect())
}

/// Sorts networks and drops those that another one contains; a firewall's set takes no overlaps.
pub(super) fn without_contained(mut networks: Vec<Cidr>) -> Vec<Cidr> {
    networks.sort();
    networks.dedup();
    let all = networks.clone();
    networks.retain(|network| !all.iter().any(|other| other != network && other.contains(network)));
    networks
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Cidr {
        text.parse().expect("a network")
    }

    #[test]
    fn networks_are_read_and_written() {
        assert_eq!(parse("10.1.2.3/8").to_string(), "10.0.0.0/8");
        assert_eq!(parse("192.0.2.1").to_string(), "192.0.2.1/32");
        assert_eq!(parse("0.0.0.0/0").to_string(), "0.0.0.0/0");
        for bad in ["", "/", "10.0.0.0/33", "10.0.0/8", "::/0", "10.0.0.0/-1", "default"] {
            assert!(bad.parse::<Cidr>().is_err(), "{bad:?} must be refused");
        }
    }

    #[test]
    fn overlap_and_containment_are_told_apart() {
        assert!(parse("10.0.0.0/8").contains(&parse("10.9.0.0/16")));
        assert!(!parse("10.9.0.0/16").contains(&parse("10.0.0.0/8")));
        assert!(parse("10.9.0.0/16").overlaps(&parse("10.0.0.0/8")));
        assert!(!parse("10.0.0.0/9").overlaps(&parse("10.128.0.0/9")));
        assert!(parse("0.0.0.0/0").overlaps(&parse("255.255.255.255")));
    }

    #[test]
    fn what_is_reached_by_a_way_of_its_own_is_the_operators() {
        let routes = br#"[{"dst":"default","gateway":"192.0.2.1","dev":"eth0"},{"dst":"198.51.100.0/24","dev":"wg0"},
            {"dst":"203.0.113.0/24","gateway":"192.0.2.9","dev":"eth0"},{"type":"blackhole","dst":"9.0.0.0/8"},
            {"dst":"8.8.8.8","gateway":"192.0.2.1","dev":"eth0"},{"dst":"0.0.0.0/1","dev":"wg0"}]"#;
        let host = HostNetworks::parse(b"[]", routes).expect("networks");
        let refused = refused_unless_allowed(&host);
        for network in ["198.51.100.0/24", "203.0.113.0/24", "9.0.0.0/8"] {
            assert!(refused.contains(&parse(network)), "{network} is refused");
        }
        for network in ["8.8.8.8/32", "0.0.0.0/1"] {
            assert!(!refused.contains(&parse(network)), "{network} is a part of the world");
        }
    }

    #[test]
    fn the_hosts_own_networks_are_found_and_ours_are_not() {
        let addresses = br#"[{"ifname":"lo","addr_info":[{"local":"127.0.0.1","prefixlen":8},{"local":"::1","prefixlen":128}]},
            {"ifname":"eth0","addr_info":[{"local":"203.0.113.7","prefixlen":24}]},
            {"ifname":"wrn3-7","addr_info":[{"local":"198.18.0.0","prefixlen":31}]},{}]"#;
        let routes = br#"[{"dst":"default","dev":"eth0"},{"dst":"203.0.113.0/24","dev":"eth0"},
            {"dst":"10.8.0.0/16","dev":"wireguard"},{"dst":"198.18.0.0/31","dev":"wrn3-7"},{"dst":"fe80::/64","dev":"eth0"}]"#;
        let host = HostNetworks::parse(addresses, routes).expect("networks");
        assert_eq!(host.connected, [parse("127.0.0.0/8"), parse("203.0.113.0/24")]);
        assert_eq!(host.routed, [parse("203.0.113.0/24"), parse("10.8.0.0/16")]);
        assert!(host.overlap(&parse("10.8.4.0/24")));
        assert!(!host.overlap(&parse("198.18.0.0/21")));
        let halves =
            HostNetworks { routed: vec![parse("0.0.0.0/1"), parse("128.0.0.0/1")], ..Default::default() };
        assert!(
            !halves.overlap(&parse("198.18.0.0/21")),
            "a default route in two halves is nobody's network"
        );
        let refused = refused_unless_allowed(&host);
        assert!(refused.contains(&parse("203.0.113.0/24")));
        assert!(!refused.iter().any(|one| refused.iter().any(|two| one != two && one.overlaps(two))));
    }
}
