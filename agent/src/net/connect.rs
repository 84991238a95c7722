//! Connections into a slot's namespace.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::net::TcpStream;

/// Why there is no connection.
#[derive(Debug, thiserror::Error)]
pub enum ConnectError {
    /// The namespace could not be entered, or no socket made in it.
    #[error("make a socket in {netns}")]
    Namespace {
        /// The namespace.
        netns: PathBuf,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The peer refused or cannot be reached.
    #[error("connect to {address}")]
    Connect {
        /// The peer.
        address: SocketAddr,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The peer did not answer in time.
    #[error("{address} did not answer within {limit:?}")]
    Timeout {
        /// The peer.
        address: SocketAddr,
        /// How long was waited.
        limit: Duration,
    },
}

/// Connects to `address` as seen from inside a network namespace.
///
/// # Errors
/// [`ConnectError`]; `limit` bounds the whole call.
pub async fn connect_in(
    netns: &Path,
    address: SocketAddr,
    limit: Duration,
) -> Result<TcpStream, ConnectError> {
    let _ = (netns, address, limit);
    todo!()
}
