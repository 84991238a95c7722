//! Hosts: their connections, and what they say of themselves.

pub mod board;
mod connection;
mod frames;
mod inventory;
mod link;
mod messages;
mod orders;
pub(crate) mod text;

pub use link::AgentLink;
pub use messages::DropFailure;

pub(crate) use connection::HostConnection;
pub(crate) use messages::{
    Attach, CutLink, DropTemplate, HostAway, InjectPanic, LookAgain, OpenTunnel, OrderTemplate, Retire,
    SendCommand,
};
