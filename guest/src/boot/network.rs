//! The capsule's one network: the same static address everywhere, its host at the other end.

use std::{io, net::UdpSocket};

use wrenn_proto::{GUEST_GATEWAY, GUEST_IP};

use super::{BootError, Warnings};
use crate::{machine::set_nameservers, sys};

/// Interface that leads to the host.
const INTERFACE: &str = "eth0";
const LOOPBACK: &str = "lo";

/// Brings both interfaces up and points the default route and the resolver at the host.
pub(super) fn bring_up(warnings: &mut Warnings) -> Result<(), BootError> {
    let step = |what, result: io::Result<()>| result.map_err(|source| BootError::Network { what, source });
    // Any socket will do to talk to the kernel's network configuration.
    let socket =
        UdpSocket::bind(("0.0.0.0", 0)).map_err(|source| BootError::Network { what: "a socket", source })?;
    let (address, prefix) = GUEST_IP;
    step(LOOPBACK, sys::set_interface_up(&socket, LOOPBACK))?;
    step(INTERFACE, sys::set_interface_address(&socket, INTERFACE, address, prefix))?;
    step(INTERFACE, sys::set_interface_up(&socket, INTERFACE))?;
    step("the default route", sys::add_default_route(&socket, GUEST_GATEWAY))?;
    if let Err(error) = set_nameservers(&[GUEST_GATEWAY.to_string()]) {
        warnings
            .add(format_args!("/etc/resolv.conf could not be written, so names may not resolve: {error}"));
    }
    Ok(())
}
