//! Texts for `nft` and `ip`: the firewall of the host and of a namespace, the interfaces of a slot.
//!
//! Who enforces what:
//!
//! | rule | where |
//! |---|---|
//! | a guest sends only from its own address | namespace, first hook |
//! | a guest reaches of the namespace only the resolver and ping | namespace, input |
//! | a guest asks the resolver a bounded number of questions | namespace, input |
//! | refused destinations answer at once | namespace, forward |
//! | refused destinations are refused, also after somebody's DNAT | host, prerouting and forward |
//! | the host itself, and other capsules, are unreachable | host, input and forward |
//! | a guest does not fill the host's table of connections | namespace, forward |
//! | nobody reaches a guest who was not asked by it | host and namespace, forward |
//!
//! The namespace's rules make a guest's errors quick and clear; the host's alone must be right, as there the
//! guest's side has nothing to say.

use std::fmt::Write;

use wrenn_proto::{GUEST_GATEWAY, GUEST_IP};

use super::{
    egress::{Cidr, Egress, HostNetworks, NEVER, refused_unless_allowed, without_contained},
    instance::Instance,
    names::{
        GUEST_MAC, INTERFACE_PREFIX, SlotNumber, TAP, TAP_MAC, interface_prefix, namespace_prefix, table_name,
    },
};

/// The veth's end inside a namespace.
const VETH: &str = "veth0";

/// Connections that one guest may have open. Every one takes a place in the host's table of connections, which all
/// guests and the host share (262,144 places by default).
const MAX_CONNECTIONS: u32 = 4096;

/// Questions that one guest may ask its resolver in a second, by datagram and by connection, and how many at once: more
/// than a busy guest needs, and too few to keep the agent from its other work.
const DNS_RATE: u32 = 200;
const DNS_BURST: u32 = 400;

/// Names and addresses of one slot.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Plan {
    pub(super) namespace: String,
    /// The veth's end on the host.
    pub(super) interface: String,
    host_address: std::net::Ipv4Addr,
    /// The veth's end in the namespace.
    pub(super) namespace_address: std::net::Ipv4Addr,
}

impl Plan {
    pub(super) fn new(instance: &Instance, number: SlotNumber) -> Self {
        let first = u32::from(number.0) * 2;
        Self {
            namespace: format!("{}{}", namespace_prefix(instance.number()), number.0),
            interface: format!("{}{}", interface_prefix(instance.number()), number.0),
            host_address: instance.addresses().address(first),
            namespace_address: instance.addresses().address(first + 1),
        }
    }
}

/// `ip -batch` text that makes the host's side of some slots.
pub(super) fn create_on_host(plans: &[Plan]) -> String {
    let mut text = String::new();
    for Plan { namespace, interface, host_address, .. } in plans {
        // Writing into a string cannot fail.
        let _ = writeln!(text, "netns add {namespace}");
        let _ = writeln!(text, "link add {interface} type veth peer name {VETH} netns {namespace}");
        let _ = writeln!(text, "address add {host_address}/31 dev {interface}");
        let _ = writeln!(text, "link set {interface} up");
    }
    text
}

/// `ip -batch` text that makes the inside of a namespace; run in it.
///
/// The guest's hardware address is known from the start: else the first packet waits for an answer that a guest
/// which is just booting cannot give, and is asked for again only a second later.
pub(super) fn create_in_namespace(plan: &Plan) -> String {
    let Plan { host_address, namespace_address, .. } = plan;
    let (guest, prefix) = GUEST_IP;
    format!(
        "link set lo up\n\
         tuntap add dev {TAP} mode tap\n\
         link set {TAP} address {TAP_MAC}\n\
         address add {GUEST_GATEWAY}/{prefix} dev {TAP}\n\
         link set {TAP} up\n\
         neighbour replace {guest} lladdr {GUEST_MAC} dev {TAP} nud permanent\n\
         address add {namespace_address}/31 dev {VETH}\n\
         link set {VETH} up\n\
         route add default via {host_address}\n"
    )
}

/// `ip -batch` text that removes slots, or what there is of them (with `-force`).
pub(super) fn remove<'a>(names: impl IntoIterator<Item = (&'a str, &'a str)>) -> String {
    // Deleting one end of a veth deletes the other at once; a namespace alone would take its time.
    names
        .into_iter()
        .map(|(namespace, interface)| format!("link delete {interface}\nnetns delete {namespace}\n"))
        .collect()
}

/// `nft` text for a namespace.
pub(super) fn namespace_rules(egress: &Egress, host: &HostNetworks) -> String {
    let guest = GUEST_IP.0;
    let sets = sets(egress, host);
    let too_fast = format!("limit rate over {DNS_RATE}/second burst {DNS_BURST} packets drop");
    format!(
        "table ip wrenn {{\n\
         {sets}\
         \tchain spoofing {{\n\
         \t\ttype filter hook prerouting priority -300; policy accept;\n\
         \t\tiifname {TAP} ip saddr != {guest} drop\n\
         \t\tiifname {VETH} ip saddr {GUEST_GATEWAY}/30 drop\n\
         \t}}\n\
         \tchain input {{\n\
         \t\ttype filter hook input priority 0; policy drop;\n\
         \t\tiifname lo accept\n\
         \t\tiifname {TAP} udp dport 53 {too_fast}\n\
         \t\tiifname {TAP} tcp dport 53 ct state new {too_fast}\n\
         \t\tct state established,related accept\n\
         \t\tiifname {TAP} ip daddr {GUEST_GATEWAY} udp dport 53 accept\n\
         \t\tiifname {TAP} ip daddr {GUEST_GATEWAY} tcp dport 53 accept\n\
         \t\tiifname {TAP} ip daddr {GUEST_GATEWAY} icmp type echo-request accept\n\
         \t\tiifname {TAP} ip daddr {GUEST_GATEWAY} reject\n\
         \t}}\n\
         \tchain forward {{\n\
         \t\ttype filter hook forward priority 0; policy drop;\n\
         \t\tiifname {VETH} oifname {TAP} ct state established,related accept\n\
         \t\tiifname {TAP} ct state new ct count over {MAX_CONNECTIONS} drop\n\
         \t\tiifname {TAP} oifname {VETH} ip daddr @never reject with icmp type admin-prohibited\n\
         \t\tiifname {TAP} oifname {VETH} ip daddr @allowed accept\n\
         \t\tiifname {TAP} oifname {VETH} ip daddr @refused reject with icmp type admin-prohibited\n\
         \t\tiifname {TAP} oifname {VETH} accept\n\
         \t}}\n\
         \tchain nat {{\n\
         \t\ttype nat hook postrouting priority 100; policy accept;\n\
         \t\toifname {VETH} masquerade\n\
         \t}}\n\
         }}\n"
    )
}

/// `nft` text for the host, which replaces an installation's table in one transaction.
///
/// Chains run before those of other firewalls where the priority lets them. What another firewall drops stays
/// dropped: on a host whose forward policy is `drop` its operator must let `wrn*` through.
pub(super) fn host_rules(instance: &Instance, egress: &Egress, host: &HostNetworks) -> String {
    let table = table_name(instance.number());
    let ours = format!("\"{}*\"", interface_prefix(instance.number()));
    let any_of_wrenn = format!("\"{INTERFACE_PREFIX}*\"");
    let addresses = instance.addresses();
    let sets = sets(egress, host);
    format!(
        "table inet {table} {{}}\n\
         delete table inet {table}\n\
         table inet {table} {{\n\
         {sets}\
         \tchain destinations {{\n\
         \t\tip saddr != {addresses} drop\n\
         \t\tip daddr @never drop\n\
         \t\tip daddr @allowed return\n\
         \t\tip daddr @refused drop\n\
         \t}}\n\
         \tchain prerouting {{\n\
         \t\ttype filter hook prerouting priority -150; policy accept;\n\
         \t\tiifname {ours} meta nfproto ipv6 drop\n\
         \t\tiifname {ours} jump destinations\n\
         \t\tiifname {ours} fib daddr type local drop\n\
         \t}}\n\
         \tchain input {{\n\
         \t\ttype filter hook input priority -10; policy accept;\n\
         \t\tiifname {ours} drop\n\
         \t}}\n\
         \tchain forward {{\n\
         \t\ttype filter hook forward priority -10; policy accept;\n\
         \t\tiifname {ours} oifname {any_of_wrenn} drop\n\
         \t\tiifname {ours} ct direction original jump destinations\n\
         \t\toifname {ours} ct state != {{ established, related }} drop\n\
         \t}}\n\
         \tchain nat {{\n\
         \t\ttype nat hook postrouting priority 100; policy accept;\n\
         \t\tip saddr {addresses} oifname != {any_of_wrenn} masquerade\n\
         \t}}\n\
         }}\n"
    )
}

/// `nft` text that removes an installation's table, whether it is there or not.
pub(super) fn remove_host_rules(instance: u8) -> String {
    let table = table_name(instance);
    format!("table inet {table} {{}}\ndelete table inet {table}\n")
}

/// The three sets of destinations that both firewalls use.
fn sets(egress: &Egress, host: &HostNetworks) -> String {
    let set = |name: &str, networks: Vec<Cidr>| {
        let networks: Vec<_> = networks.iter().map(Cidr::to_string).collect();
        let elements = match networks.is_empty() {
            true => String::new(),
            false => format!("elements = {{ {} }};", networks.join(", ")),
        };
        format!("\tset {name} {{ type ipv4_addr; flags interval; {elements} }}\n")
    };
    set("never", NEVER.to_vec())
        + &set("allowed", without_contained(egress.allow.clone()))
        + &set("refused", refused_unless_allowed(host))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn slots_differ_in_everything_that_the_host_sees() {
        let (_folder, instance) = crate::net::instance::tests::unclaimed(3, "198.18.24.0/21");
        let (first, last) = (Plan::new(&instance, SlotNumber(0)), Plan::new(&instance, SlotNumber(1023)));
        assert_eq!((first.namespace.as_str(), first.interface.as_str()), ("wrenn3-0", "wrn3-0"));
        assert_eq!(first.host_address.to_string(), "198.18.24.0");
        assert_eq!(last.namespace_address.to_string(), "198.18.31.255");
        let text = create_on_host(&[first.clone(), last]);
        assert!(
            text.contains("netns add wrenn3-0\nlink add wrn3-0 type veth peer name veth0 netns wrenn3-0\n")
        );
        assert!(text.contains("address add 198.18.31.254/31 dev wrn3-1023\n"));
        assert_eq!(remove([("wrenn3-0", "wrn3-0")]), "link delete wrn3-0\nnetns delete wrenn3-0\n");
        assert!(create_in_namespace(&first).contains("route add default via 198.18.24.0\n"));
    }

    #[test]
    fn what_is_allowed_never_opens_what_must_stay_closed() {
        let egress = Egress { allow: vec!["0.0.0.0/0".parse().expect("network")] };
        let text = namespace_rules(&egress, &HostNetworks::default());
        let at = |needle: &str| text.find(needle).unwrap_or_else(|| panic!("{needle} in {text}"));
        assert!(at("ip daddr @never reject") < at("ip daddr @allowed accept"));
        assert!(at("ip daddr @allowed accept") < at("ip daddr @refused reject"));
        assert!(text.contains("set never { type ipv4_addr; flags interval; elements = { 0.0.0.0/8, 127.0.0.0/8, 168.63.129.16/32, 169.254.0.0/16, 224.0.0.0/3 }; }"));
    }

    #[test]
    fn the_hosts_table_names_only_its_own_installation() {
        let (_folder, instance) = crate::net::instance::tests::unclaimed(3, "198.18.24.0/21");
        let text = host_rules(&instance, &Egress::default(), &HostNetworks::default());
        assert!(text.starts_with("table inet wrenn3 {}\ndelete table inet wrenn3\ntable inet wrenn3 {"));
        assert!(text.contains("iifname \"wrn3-*\" drop"));
        assert!(text.contains("ip saddr != 198.18.24.0/21 drop"));
        assert!(!text.contains("elements = {  }"), "an empty list is no valid set");
    }
}
