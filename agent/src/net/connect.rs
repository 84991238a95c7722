//! Connections into a slot's namespace.

use std::{
    io,
    net::SocketAddr,
    path::{Path, PathBuf},
    time::Duration,
};

use tokio::{
    net::{TcpSocket, TcpStream},
    time::timeout,
};

use super::namespace::inside;

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
/// A socket belongs to the namespace it was made in, for ever; so only its making happens there, and it is
/// connected, and used, by whatever thread the runtime likes.
///
/// # Errors
/// [`ConnectError`]; `limit` bounds the whole call.
pub async fn connect_in(
    netns: &Path,
    address: SocketAddr,
    limit: Duration,
) -> Result<TcpStream, ConnectError> {
    let connect = async {
        let make = inside(netns.to_owned(), move || match address {
            SocketAddr::V4(_) => raw_socket(rustix::net::AddressFamily::INET),
            SocketAddr::V6(_) => raw_socket(rustix::net::AddressFamily::INET6),
        });
        let socket =
            make.await.map_err(|source| ConnectError::Namespace { netns: netns.to_owned(), source })?;
        let stream =
            socket.connect(address).await.map_err(|source| ConnectError::Connect { address, source })?;
        stream.set_nodelay(true).map_err(|source| ConnectError::Connect { address, source })?;
        Ok(stream)
    };
    timeout(limit, connect).await.map_err(|_| ConnectError::Timeout { address, limit })?
}

/// A socket for tokio, made without its reactor, which the thread in the namespace has not.
fn raw_socket(family: rustix::net::AddressFamily) -> io::Result<TcpSocket> {
    use rustix::net::{SocketFlags, SocketType, socket_with};
    let flags = SocketFlags::NONBLOCK | SocketFlags::CLOEXEC;
    let socket = socket_with(family, SocketType::STREAM, flags, None)?;
    Ok(TcpSocket::from_std_stream(std::net::TcpStream::from(socket)))
}
