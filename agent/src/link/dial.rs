//! Connections to the control plane.
//!
//! The link has one connection and the tunnels have another: HTTP/2 shares one window among the streams of a
//! connection, and output that nobody reads must not keep a heartbeat from getting through.

use std::{io, time::Duration};

use hyper_util::rt::TokioIo;
use tokio::net::{TcpStream, UnixStream};
use tokio_util::either::Either;
use tonic::transport::{Channel, Endpoint, Uri};
use wrenn_pki::ClientTls;

use super::TUNNELS_MAX;
use crate::config::ServerAddr;

/// How long the control plane may take to accept a connection.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// A connection on which nothing was heard for this long is probed, and given up after as long again.
const KEEP_ALIVE: Duration = Duration::from_secs(10);
/// What may be under way towards the agent in one stream and not be read yet, in bytes.
const STREAM_WINDOW: u32 = 256 * 1024;
/// The same for all streams of one connection: tunnels that stand still do not stop the others.
const CONNECTION_WINDOW: u32 = (TUNNELS_MAX as u32 + 1) * STREAM_WINDOW;

/// Makes a connection to the control plane; it dials when it is used, and again after a failure.
pub fn dial(server: &ServerAddr, tls: &ClientTls) -> Channel {
    // The connector decides where it leads, and encrypts.
    let endpoint = Endpoint::from_static("http://control-plane")
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    let (server, tls) = (server.clone(), tls.clone());
    endpoint.connect_with_connector_lazy(tower::service_fn(move |_: Uri| {
        let (server, tls) = (server.clone(), tls.clone());
        async move { Ok::<_, io::Error>(TokioIo::new(tls.connect(connect(&server).await?).await?)) }
    }))
}

async fn connect(server: &ServerAddr) -> io::Result<Either<TcpStream, UnixStream>> {
    match server {
        ServerAddr::Tcp { host, port } => {
            let stream = TcpStream::connect((host.as_str(), *port)).await?;
            stream.set_nodelay(true)?;
            Ok(Either::Left(stream))
        }
        ServerAddr::Unix(path) => Ok(Either::Right(UnixStream::connect(path).await?)),
    }
}
