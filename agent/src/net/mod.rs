//! Networks of capsules: one namespace each, made ahead.
//!
//! ```text
//!   namespace wrenn3-7                                host
//!  ┌───────────────────────────────────────────┐
//!  │ guest ── tap0 ── NAT ── veth0 ────────────┼── wr3-7 ── NAT ── the world
//!  │ .0.2     .0.1: resolver, gateway          │   filter: not the host, not private networks
//!  └───────────────────────────────────────────┘
//! ```

mod connect;
mod egress;
mod instance;
mod pool;

use std::path::{Path, PathBuf};

pub use self::{
    connect::{ConnectError, connect_in},
    egress::{Cidr, Egress, ParseCidrError},
    instance::{ClaimError, Instance},
    pool::{
        AdoptSlotError, PoolConfig, ReleaseSlotError, SlotPool, StartPoolError, TakeSlotError, TeardownError,
    },
};

/// MAC address of every guest's interface: like the address the same everywhere, so that a snapshot fits any slot.
pub const GUEST_MAC: &str = "52:54:00:77:72:6e";
/// Name of the tap device in every namespace.
pub const TAP: &str = "tap0";

/// Number of a slot, unique within its installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SlotNumber(pub u16);

/// A network for one machine, taken from the pool.
///
/// It stays taken until it is given to [`SlotPool::release`], which may happen only after the machine's VMM is
/// confirmed dead. Dropping a slot stops its resolver and nothing else: the namespace stays, as an agent that
/// ends must not cut its machines off.
#[derive(Debug)]
pub struct Slot {
    number: SlotNumber,
    netns: PathBuf,
    uid: u32,
}

impl Slot {
    /// What to persist in order to adopt the slot later.
    pub fn number(&self) -> SlotNumber {
        self.number
    }

    /// The namespace, as a path that can be opened.
    pub fn netns(&self) -> &Path {
        &self.netns
    }

    /// Name of the tap device in the namespace.
    pub fn tap(&self) -> &'static str {
        TAP
    }

    /// User id for the VMM of this slot; no other slot of this host has it.
    pub fn uid(&self) -> u32 {
        self.uid
    }
}
