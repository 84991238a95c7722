//! The two wire protocols of Wrenn, and the ids and measurements that appear in them.
//!
//! ```text
//!  control plane ◀── agent::ControlPlane ── agent ── guest::Guest ──▶ wrenn-guest
//! ```
//!
//! [`agent`] and [`guest`] are generated from `proto/*.proto`, where each message is documented.
//! [`ids`] are the typed ids that every other crate uses, [`environment`] the rules for variables of commands, [`metrics`] the measurements of capsules; [`session`] says where a session begins and ends, and
//! [`transfer`] whether a template arrived whole.

pub use wrenn_domain::{environment, ids, metrics};

pub mod session;
pub mod transfer;

// The generated code refers to its neighbours by their package path, so the modules repeat it.
#[allow(missing_docs, unreachable_pub, clippy::all)]
mod wrenn {
    pub mod guest {
        pub mod v1 {
            tonic::include_proto!("wrenn.guest.v1");
        }
    }
    pub mod agent {
        pub mod v1 {
            tonic::include_proto!("wrenn.agent.v1");
        }
    }
}

pub use wrenn::{agent::v1 as agent, guest::v1 as guest};

/// Port on which the guest serves [`guest`] on its side of the tap.
pub const GUEST_PORT: u16 = 49_983;
/// Most warnings of a guest about its machine that are sent, passed on and stored.
pub const MAX_WARNINGS: usize = 16;
/// Address of every guest inside its own network namespace, as address and prefix length.
pub const GUEST_IP: (std::net::Ipv4Addr, u8) = (std::net::Ipv4Addr::new(172, 30, 0, 2), 30);
/// Address of the host's side of every tap; also the guest's gateway and resolver.
pub const GUEST_GATEWAY: std::net::Ipv4Addr = std::net::Ipv4Addr::new(172, 30, 0, 1);
/// Size of a capsule's disk in MiB, unless its owner says otherwise.
pub const DEFAULT_DISK_MB: u32 = wrenn_domain::limits::DEFAULT_DISK_MB.unsigned_abs() as u32;
