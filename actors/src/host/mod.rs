//! Hosts: their connections, and what they say of themselves.

mod attachment;
pub mod board;
mod connection;
mod connections;
mod directory;
mod frames;
mod inventory;
mod link;
mod messages;
mod orders;
pub(crate) mod text;

pub use attachment::HOST_DELETED;
pub use link::AgentLink;
pub use messages::DropFailure;

pub(crate) use self::{
    connection::{HostConnection, HostParts},
    connections::HostConnections,
    directory::{Connections, HostDirectory},
    link::Attach,
    messages::{CutLink, HostAway, InjectPanic, OpenTunnel, OrderTemplate, SendCommand, TakeInventory},
};
