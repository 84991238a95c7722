//! Hosts: their connections, and what they say of themselves.

pub mod board;
mod connection;
mod inventory;
mod link;
mod messages;
pub(crate) mod text;

pub use link::AgentLink;

pub(crate) use connection::HostConnection;
pub(crate) use messages::{Attach, HostAway, InjectPanic, LookAgain, OpenTunnel, Retire, SendCommand};
