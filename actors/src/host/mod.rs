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
mod metrics;
mod orders;
mod pending_metrics;
pub(crate) mod text;

pub use attachment::HOST_DELETED;
pub use link::AgentLink;
pub use messages::{DropFailure, MetricsReport};

pub(crate) use self::{
    connection::{HostConnection, HostParts},
    connections::HostConnections,
    directory::{Connections, HostDirectory},
    link::Attach,
    messages::{
        AskMetrics, CutLink, HostAway, InjectPanic, OpenTunnel, OrderTemplate, SendCommand, TakeInventory,
    },
};
