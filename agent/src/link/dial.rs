//! Connections to the control plane.
//!
//! The link has one connection and the tunnels have another: HTTP/2 shares one window among the streams of a
//! connection, and output that nobody reads must not keep a heartbeat from getting through.

use std::time::Duration;

use tonic::transport::{Channel, Endpoint};

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
pub(super) fn dial(server: &ServerAddr) -> Result<Channel, tonic::transport::Error> {
    let endpoint = Endpoint::from_shared(server.to_string())?
        .connect_timeout(CONNECT_TIMEOUT)
        .http2_keep_alive_interval(KEEP_ALIVE)
        .keep_alive_timeout(KEEP_ALIVE)
        .keep_alive_while_idle(true)
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW);
    Ok(endpoint.connect_lazy())
}
