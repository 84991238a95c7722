//! Networks of capsules: one namespace each, made ahead.
//!
//! ```text
//!   namespace wrenn3-7                                host
//!  ┌───────────────────────────────────────────┐
//!  │ guest ── tap0 ── NAT ── veth0 ────────────┼── wrn3-7 ── NAT ── the world
//!  │ .0.2     .0.1: resolver, gateway          │   filter: not the host, not private networks
//!  └───────────────────────────────────────────┘
//! ```
//!
//! Every guest has the same address, since each is alone in its namespace; a snapshot therefore fits any slot.
//! The outer addresses (`veth0`, `wrn3-7`) differ, and belong to the installation, see [`Instance`].
//!
//! * [`SlotPool`] makes slots ahead, gives them out, and removes them; it owns everything named `wrenn3-*` and
//!   `wrn3-*`, and removes at its start what nobody claims.
//! * A [`Slot`] carries the resolver of its namespace: a guest asks its gateway, the agent asks the host's
//!   resolvers.
//! * [`Egress`] says what guests may reach.
//!
//! Guests are IPv4 only; IPv6 is off in their namespaces. `net.ipv4.ip_forward` is switched on at the start of a
//! pool, and stays on, as others may rely on it by then.

mod connect;
mod egress;
mod instance;
pub(crate) mod namespace;
mod pool;
mod resolver;
mod rules;

use std::path::{Path, PathBuf};

pub use self::{
    connect::{ConnectError, connect_in},
    egress::{Cidr, Egress, ParseCidrError},
    instance::{ClaimError, Instance},
    pool::{
        AdoptSlotError, PoolConfig, ReleaseSlotError, SlotPool, StartPoolError, TakeSlotError, TeardownError,
    },
};
pub(crate) use self::{
    instance::{abandoned, cgroup_name, number_of, runtime_dir},
    rules::{interface_prefix, namespace_prefix, table_name},
};

/// MAC address of every guest's interface: like the address the same everywhere, so that a snapshot fits any slot.
pub const GUEST_MAC: &str = "52:54:00:77:72:6e";
/// MAC address of the host's side of every tap; a restored guest still knows it.
pub(crate) const TAP_MAC: &str = "52:54:00:77:72:01";
/// Name of the tap device in every namespace.
pub const TAP: &str = "tap0";
/// How every interface of ours on a host begins, before the installation's number.
const INTERFACE_PREFIX: &str = "wrn";
/// First user id for VMMs: above every id that a system gives to people, services or containers.
const FIRST_UID: u32 = 2_000_000_000;

/// Number of a slot, unique within its installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Serialize, serde::Deserialize)]
#[serde(transparent)]
pub struct SlotNumber(pub u16);

/// A network for one machine, taken from the pool.
///
/// It stays taken until it is given to [`SlotPool::release`], which may happen only after the machine's VMM is
/// confirmed dead. Dropping a slot stops its resolver and nothing else: the namespace stays, as an agent that
/// ends must not cut its machines off, and [`SlotPool::adopt`] gives it out again.
#[derive(Debug)]
pub struct Slot {
    number: SlotNumber,
    netns: PathBuf,
    uid: u32,
    /// `None` only while the slot is given back.
    lease: Option<pool::Lease>,
    _resolver: resolver::Resolver,
}

impl Slot {
    /// Ends the holding of a slot that is about to be removed.
    fn into_number(mut self) -> SlotNumber {
        if let Some(lease) = self.lease.take() {
            lease.end();
        }
        self.number
    }

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
