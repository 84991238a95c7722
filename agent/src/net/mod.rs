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
pub(crate) mod existing;
mod instance;
mod names;
pub(crate) mod namespace;
mod pool;
mod resolver;
mod rules;
mod slot;

pub(crate) use self::instance::{abandoned, cgroup_name, number_of, runtime_dir};
pub use self::{
    connect::{ConnectError, connect_in},
    egress::{Cidr, Egress, ParseCidrError},
    instance::{ClaimError, Instance},
    names::{GUEST_MAC, SlotNumber, TAP},
    pool::{
        AdoptSlotError, PoolConfig, ReleaseSlotError, SlotPool, StartPoolError, TakeSlotError, TeardownError,
    },
    slot::Slot,
};
