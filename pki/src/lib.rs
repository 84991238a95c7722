//! Encryption of the link: TLS 1.3 between agents and the control plane, by certificates of a private authority.
//!
//! ```text
//!   Authority ── made once by the control plane, kept in its database
//!      ├─ certificate of a server process: proves it to agents, by the authority's fingerprint
//!      └─ certificate of a host: the agent made the key, which never leaves the host
//!
//!   JoinToken = secret + fingerprint + address ── all that a new host needs
//! ```
//!
//! An agent trusts exactly one authority: the one whose fingerprint its registration token named. It takes no name of a
//! server into account, as every certificate for servers of this authority belongs to a server. A certificate for hosts
//! proves no server, because its extended key usage says so. Whether a host's certificate was revoked is for the control
//! plane to look up; here only signature and dates are checked.

mod authority;
mod client;
mod join_token;
mod server;
mod unverified;
mod verifier;

pub use authority::{Authority, AuthorityParts, CertificateError, Fingerprint, HostKey};
pub use client::{ClientTls, HostIdentity};
pub use join_token::{JoinToken, JoinTokenError};
pub use server::{Peer, ServerTls};
pub use unverified::accept_every_certificate;

use std::sync::Arc;

use rustls::{SupportedProtocolVersion, crypto::CryptoProvider, version::TLS13};

/// Name in the certificates of servers.
const SERVER_NAME: &str = "control-plane.wrenn.internal";
/// Both ends are ours, so nothing older is spoken.
const VERSIONS: &[&SupportedProtocolVersion] = &[&TLS13];
/// The link is HTTP/2.
const ALPN: &[u8] = b"h2";

fn provider() -> Arc<CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}
