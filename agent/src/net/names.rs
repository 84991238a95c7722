//! Names and numbers by which the host's namespaces, interfaces and firewall tables are known.

use serde::{Deserialize, Serialize};

/// MAC address of every guest's interface: like the address the same everywhere, so that a snapshot fits any slot.
pub const GUEST_MAC: &str = "52:54:00:77:72:6e";
/// MAC address of the host's side of every tap; a restored guest still knows it.
pub(super) const TAP_MAC: &str = "52:54:00:77:72:01";
/// Name of the tap device in every namespace.
pub const TAP: &str = "tap0";
/// Beginning of the name of every interface of ours on a host, before the installation's number.
pub(super) const INTERFACE_PREFIX: &str = "wrn";

/// Number of a slot, unique within its installation.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct SlotNumber(pub u16);

/// Beginning of the names of an installation's namespaces.
pub(super) fn namespace_prefix(instance: u8) -> String {
    format!("wrenn{instance}-")
}

/// Beginning of the names of an installation's interfaces on the host.
pub(super) fn interface_prefix(instance: u8) -> String {
    format!("{INTERFACE_PREFIX}{instance}-")
}

/// Name of an installation's firewall table.
pub(super) fn table_name(instance: u8) -> String {
    format!("wrenn{instance}")
}
