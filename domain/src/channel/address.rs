//! The addresses to which a request may be sent that a client has caused.
//!
//! A client chooses where notifications go, so the server could be made to ask what only it can reach. An address is asked
//! only if it is one of the public internet, or in a network that the operator allows. Addresses that stand for others
//! (IPv4 in IPv6, NAT64, 6to4, Teredo) are refused as they are: a gateway may lead them anywhere.

use std::{net::IpAddr, str::FromStr};

use ipnet::{IpNet, Ipv4Net, Ipv6Net};

/// Networks of IPv4 that are not the public internet, as IANA's registry of special addresses has them.
const SPECIAL_V4: [(&str, &str); 16] = [
    ("0.0.0.0/8", "this network"),
    ("10.0.0.0/8", "private"),
    ("100.64.0.0/10", "shared by carriers' customers"),
    ("127.0.0.0/8", "loopback"),
    ("169.254.0.0/16", "link-local"),
    ("172.16.0.0/12", "private"),
    ("192.0.0.0/24", "protocols"),
    ("192.0.2.0/24", "documentation"),
    ("192.88.99.0/24", "relays of 6to4"),
    ("192.168.0.0/16", "private"),
    ("198.18.0.0/15", "benchmarks"),
    ("198.51.100.0/24", "documentation"),
    ("203.0.113.0/24", "documentation"),
    ("224.0.0.0/4", "multicast"),
    ("240.0.0.0/4", "reserved"),
    ("255.255.255.255/32", "broadcast"),
];
/// The only part of IPv6 that is the public internet.
const GLOBAL_V6: &str = "2000::/3";
/// Networks within that part that are not.
const SPECIAL_V6: [(&str, &str); 4] = [
    ("2001::/23", "protocols, with Teredo"),
    ("2001:db8::/32", "documentation"),
    ("2002::/16", "6to4"),
    ("3fff::/20", "documentation"),
];

/// Returns true if an address belongs to the public internet.
pub fn is_public(address: IpAddr) -> bool {
    match address {
        IpAddr::V4(address) => {
            let has = |text: &str| text.parse::<Ipv4Net>().is_ok_and(|network| network.contains(&address));
            !SPECIAL_V4.iter().any(|(network, _)| has(network))
        }
        IpAddr::V6(address) => {
            let has = |text: &str| text.parse::<Ipv6Net>().is_ok_and(|network| network.contains(&address));
            has(GLOBAL_V6) && !SPECIAL_V6.iter().any(|(network, _)| has(network))
        }
    }
}

/// Rule for the addresses of receivers.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Receivers {
    allowed: Vec<IpNet>,
}

impl Receivers {
    /// Returns true if a request may be sent to the address.
    pub fn may_ask(&self, address: IpAddr) -> bool {
        is_public(address) || self.allowed.iter().any(|network| network.contains(&address))
    }
}

/// A text that is not a list of networks.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a network like 10.1.0.0/16, or an address")]
pub struct NetworkError(String);

impl FromStr for Receivers {
    type Err = NetworkError;

    /// Reads a list of networks and addresses, separated by commas, which are allowed besides the public internet.
    fn from_str(text: &str) -> Result<Self, NetworkError> {
        let parts = text.split(',').map(str::trim).filter(|part| !part.is_empty());
        let network = |part: &str| {
            let network = part.parse::<IpNet>().ok();
            let network = network.or_else(|| part.parse::<IpAddr>().ok().map(IpNet::from));
            network.ok_or_else(|| NetworkError(part.to_owned()))
        };
        Ok(Self { allowed: parts.map(network).collect::<Result<_, _>>()? })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn address(text: &str) -> IpAddr {
        text.parse().unwrap()
    }

    #[test]
    fn each_network_of_the_tables_is_one() {
        for (network, what) in SPECIAL_V4 {
            let network: Ipv4Net = network.parse().unwrap();
            assert_eq!(network, network.trunc(), "{what}");
            assert!(!is_public(network.network().into()) && !is_public(network.broadcast().into()), "{what}");
        }
        for (network, what) in SPECIAL_V6 {
            let network: Ipv6Net = network.parse().unwrap();
            assert_eq!(network, network.trunc(), "{what}");
            assert!(GLOBAL_V6.parse::<Ipv6Net>().unwrap().contains(&network), "{what}");
            assert!(!is_public(network.network().into()) && !is_public(network.broadcast().into()), "{what}");
        }
    }

    #[test]
    fn addresses_beside_a_special_network_are_public() {
        for text in [
            "1.1.1.1",
            "9.255.255.255",
            "11.0.0.0",
            "100.63.255.255",
            "100.128.0.0",
            "126.255.255.255",
            "128.0.0.0",
            "169.253.255.255",
            "169.255.0.0",
            "172.15.255.255",
            "172.32.0.0",
            "192.0.1.0",
            "192.0.3.0",
            "192.88.98.255",
            "192.88.100.0",
            "192.167.255.255",
            "192.169.0.0",
            "198.17.255.255",
            "198.20.0.0",
            "198.51.99.255",
            "203.0.112.255",
            "203.0.114.0",
            "223.255.255.255",
            "2000::",
            "2001:200::1",
            "2001:db7:ffff::",
            "2001:db9::",
            "2003::1",
            "2606:4700:4700::1111",
            "2a00:1450::1",
            "3ffe::1",
            "3fff:1000::",
        ] {
            assert!(is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn addresses_that_only_the_server_may_reach_are_not_public() {
        for text in [
            "0.0.0.0",
            "0.1.2.3",
            "10.0.0.1",
            "100.64.0.1",
            "100.127.255.255",
            "127.0.0.1",
            "127.255.255.254",
            "169.254.169.254",
            "172.16.0.1",
            "172.31.255.255",
            "192.0.0.170",
            "192.0.2.1",
            "192.88.99.1",
            "192.168.1.1",
            "198.18.0.1",
            "198.19.255.255",
            "198.51.100.7",
            "203.0.113.7",
            "224.0.0.1",
            "239.255.255.255",
            "240.0.0.1",
            "255.255.255.255",
            // Unspecified, loopback, link-local, site-local, unique local, multicast.
            "::",
            "::1",
            "fe80::1",
            "fec0::1",
            "fc00::1",
            "fdff::1",
            "ff02::1",
            "ff0e::1",
            // IPv4 in IPv6: mapped, compatible, translated, NAT64 of both prefixes, 6to4, Teredo.
            "::ffff:127.0.0.1",
            "::ffff:1.1.1.1",
            "::127.0.0.1",
            "::ffff:0:127.0.0.1",
            "64:ff9b::7f00:1",
            "64:ff9b:1::7f00:1",
            "2002:7f00:1::1",
            "2001:0:7f00:1::1",
            // Discard, segment routing, ORCHID, documentation, what nobody has yet.
            "100::1",
            "5f00::1",
            "2001:10::1",
            "2001:20::1",
            "2001:db8::1",
            "3fff::1",
            "4000::1",
            "1fff::1",
        ] {
            assert!(!is_public(address(text)), "{text}");
        }
    }

    #[test]
    fn what_the_operator_allows_may_be_asked_and_nothing_else() {
        let receivers: Receivers = " 127.0.0.2 , 10.1.0.0/16,fd00::/8,".parse().unwrap();
        for text in ["127.0.0.2", "10.1.2.3", "fd00::1", "1.1.1.1"] {
            assert!(receivers.may_ask(address(text)), "{text}");
        }
        for text in ["127.0.0.1", "127.0.0.3", "10.2.0.1", "fc00::1", "::ffff:127.0.0.2", "::ffff:10.1.2.3"] {
            assert!(!receivers.may_ask(address(text)), "{text}");
        }
        assert_eq!("".parse(), Ok(Receivers::default()));
        assert!("10.1.0.0/33".parse::<Receivers>().unwrap_err().to_string().contains("`10.1.0.0/33`"));
        assert!("localhost".parse::<Receivers>().is_err());
    }

    proptest! {
        /// The standard library knows some of the special networks by itself.
        #[test]
        fn no_address_is_public_that_the_standard_library_calls_special(v4: u32, v6: u128) {
            let v4 = std::net::Ipv4Addr::from_bits(v4);
            let is_special = v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_broadcast()
                || v4.is_documentation() || v4.is_multicast() || v4.is_unspecified();
            prop_assert!(!(is_special && is_public(v4.into())), "{v4}");
            prop_assert!(!is_public(v4.to_ipv6_mapped().into()));
            prop_assert!(!is_public(v4.to_ipv6_compatible().into()));
            let v6 = std::net::Ipv6Addr::from_bits(v6);
            let is_special = v6.is_loopback() || v6.is_multicast() || v6.is_unspecified()
                || v6.is_unique_local() || v6.is_unicast_link_local();
            prop_assert!(!(is_special && is_public(v6.into())), "{v6}");
        }
    }
}
