//! Namespaces, interfaces and firewall tables of an installation that exist on the host, found by their names.
//!
//! The lists are the kernel's own, so nothing needs to be remembered: after any crash they show what is there.

use std::{collections::BTreeSet, fs, path::Path, process::Command};

use super::names::{SlotNumber, interface_prefix, namespace_prefix, table_name};

/// Names of an installation's network namespaces.
pub(crate) fn namespaces(instance: u8) -> Vec<String> {
    names_in("/run/netns", &namespace_prefix(instance))
}

/// Names of an installation's interfaces in the host's namespace.
pub(crate) fn interfaces(instance: u8) -> Vec<String> {
    names_in("/sys/class/net", &interface_prefix(instance))
}

/// Names of an installation's firewall tables.
pub(crate) fn tables(instance: u8) -> Vec<String> {
    let table = table_name(instance);
    let list = Command::new("nft").args(["list", "table", "inet", &table]).output();
    if list.is_ok_and(|output| output.status.success()) { vec![table] } else { Vec::new() }
}

/// Returns true if the host's namespace has such an interface.
pub(crate) fn has_interface(name: &str) -> bool {
    Path::new("/sys/class/net").join(name).exists()
}

/// Slots of an installation of which anything exists.
pub(super) fn slots(instance: u8) -> BTreeSet<SlotNumber> {
    let numbers = |names: Vec<String>, prefix: String| {
        names.into_iter().filter_map(move |name| name.strip_prefix(&prefix)?.parse().ok().map(SlotNumber))
    };
    numbers(namespaces(instance), namespace_prefix(instance))
        .chain(numbers(interfaces(instance), interface_prefix(instance)))
        .collect()
}

fn names_in(folder: &str, prefix: &str) -> Vec<String> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
    let mut names: Vec<String> = names.filter(|name| name.starts_with(prefix)).collect();
    names.sort();
    names
}
