//! The endpoint that agents dial: gRPC, as in `proto/proto/agent.proto`.
//!
//! ```text
//!   agent ── Register, RefreshToken ──▶ store          one-time tokens → credentials
//!         ══ Attach ══════════════════▶ HostConnection one stream per host
//!         ══ Tunnel ══════════════════▶ TunnelDesk     one stream per session
//!         ══ SendTemplate ════════════▶ TransferDesk   a template, on its way to object storage
//!         ◀═ FetchTemplate ════════════ object storage
//! ```
//!
//! It runs on a small multi-threaded runtime of its own: sessions with much output, and agents that do not
//! read, then share no thread with the actors or with REST. The actors do not care on which thread they are
//! asked; connections to Postgres that were opened here live as long as this runtime, which is as long as
//! the server.
//!
//! There is no encryption yet, so it refuses to listen on anything but loopback addresses and unix sockets.
//!
//! When the server stops, streams are ended in an orderly way, so agents know at once and dial again.

mod credentials;
mod listen;
mod service;

use std::{future::Future, io, time::Duration};

use tokio::net::{TcpListener, UnixListener};
use tokio_stream::wrappers::UnixListenerStream;
use tokio_util::sync::CancellationToken;
use tonic::transport::{Server, server::TcpIncoming};
use wrenn_actors::ControlPlane;
use wrenn_proto::agent::control_plane_server::ControlPlaneServer;

pub use listen::{AgentListener, ListenError};

use listen::Kind;
use service::AgentService;

/// Threads that carry streams.
const WORKERS: usize = 2;
/// Largest frame in either direction; an inventory of thousands of machines fits.
const FRAME_MAX_BYTES: usize = 4 * 1024 * 1024;
/// A connection on which nothing was heard for so long is asked whether it lives. Together with the timeout it is how long
/// clients wait for a host that vanished: no more than 5 s.
const KEEPALIVE_INTERVAL: Duration = Duration::from_secs(1);
/// It is closed if it does not answer for so long.
const KEEPALIVE_TIMEOUT: Duration = Duration::from_millis(2500);
/// What one stream may have under way, unread.
const STREAM_WINDOW_BYTES: u32 = 256 * 1024;
/// Streams of one connection: more than an agent opens tunnels.
const MAX_STREAMS: u32 = 1100;
/// What one connection may have under way, unread: as much for each stream, so that slow readers do not stop the others.
const CONNECTION_WINDOW_BYTES: u32 = MAX_STREAMS * STREAM_WINDOW_BYTES;
/// Largest frame of HTTP/2: fewer of them cost less.
const FRAME_BYTES: u32 = 256 * 1024;
/// How long connections may take to end after the server was told to stop.
const SHUTDOWN_WITHIN: Duration = Duration::from_secs(5);

/// Why the endpoint ended by itself.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address could not be listened on.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// Its threads or its event loop could not be made.
    #[error("cannot start the agents' endpoint")]
    Runtime(#[source] io::Error),
    /// Connections could not be taken any more.
    #[error("the agents' endpoint failed")]
    Transport(#[source] tonic::transport::Error),
    /// Its task panicked.
    #[error("the agents' endpoint panicked")]
    Panicked,
}

/// Listens on `addr` (`host:port` or `unix:/path`) and serves agents until `shutdown` completes.
///
/// # Errors
/// See [`ServeError`].
pub async fn serve(
    addr: &str,
    control_plane: ControlPlane,
    shutdown: impl Future<Output = ()>,
) -> Result<(), ServeError> {
    AgentListener::bind(addr)?.serve(control_plane, shutdown).await
}

impl AgentListener {
    /// Serves agents until `shutdown` completes; then ends all streams, for a bounded time.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(
        self,
        control_plane: ControlPlane,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("agents")
            .enable_all()
            .build()
            .map_err(ServeError::Runtime)?;
        let stop = CancellationToken::new();
        let mut served = runtime.spawn(run(self, control_plane, stop.clone()));
        let ended = tokio::select! {
            ended = &mut served => ended,
            () = shutdown => {
                stop.cancel();
                match tokio::time::timeout(SHUTDOWN_WITHIN, &mut served).await {
                    Ok(ended) => ended,
                    Err(_) => {
                        tracing::warn!("agents' connections did not end in time");
                        Ok(Ok(()))
                    }
                }
            }
        };
        // A runtime must not be dropped where others await; what still runs there is dropped with it.
        runtime.shutdown_background();
        ended.map_err(|_| ServeError::Panicked)?
    }
}

async fn run(
    listener: AgentListener,
    control_plane: ControlPlane,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    tracing::info!(addr = %listener, "agents are served");
    let service = ControlPlaneServer::new(AgentService::new(control_plane, stop.clone()))
        .max_decoding_message_size(FRAME_MAX_BYTES)
        .max_encoding_message_size(FRAME_MAX_BYTES);
    let router = Server::builder()
        .http2_keepalive_interval(Some(KEEPALIVE_INTERVAL))
        .http2_keepalive_timeout(Some(KEEPALIVE_TIMEOUT))
        .max_concurrent_streams(Some(MAX_STREAMS))
        .max_frame_size(Some(FRAME_BYTES))
        .initial_stream_window_size(STREAM_WINDOW_BYTES)
        .initial_connection_window_size(CONNECTION_WINDOW_BYTES)
        .add_service(service);
    let stopped = stop.cancelled_owned();
    let served = match listener.kind {
        Kind::Tcp(listener, _) => {
            let listener = TcpListener::from_std(listener).map_err(ServeError::Runtime)?;
            let incoming = TcpIncoming::from(listener).with_nodelay(Some(true));
            router.serve_with_incoming_shutdown(incoming, stopped).await
        }
        Kind::Unix(listener, _file) => {
            let listener = UnixListener::from_std(listener).map_err(ServeError::Runtime)?;
            router.serve_with_incoming_shutdown(UnixListenerStream::new(listener), stopped).await
        }
    };
    served.map_err(ServeError::Transport)
}
