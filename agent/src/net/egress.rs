//! Where guests may connect to.

use std::{net::Ipv4Addr, str::FromStr};

/// A network of IPv4 addresses, such as `10.0.0.0/8`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Cidr {
    address: Ipv4Addr,
    prefix: u8,
}

/// Why a text is not a network.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{0:?} is not an IPv4 network such as 10.0.0.0/8")]
pub struct ParseCidrError(String);

impl FromStr for Cidr {
    type Err = ParseCidrError;

    fn from_str(text: &str) -> Result<Self, ParseCidrError> {
        Err(ParseCidrError(text.to_owned()))
    }
}

/// What guests may reach beside the internet.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Egress {
    /// Private networks that guests may reach although they are refused by default (`WRENN_GUEST_ALLOW`).
    pub allow: Vec<Cidr>,
}
