//! The endpoint that agents dial: gRPC, as in `proto/proto/agent.proto`.
//!
//! ```text
//!   agent ── Register, RenewCertificate ▶ store        one-time tokens → certificates
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
//! Every connection is TLS, also on a unix socket, and hosts are known by their certificates (`wrenn_pki`): a host that was
//! deleted or registered anew has none that is looked up with success. Only a connection without a certificate can register.
//!
//! When the server stops, streams are ended in an orderly way, so agents know at once and dial again.

mod crowd;
mod incoming;
mod listen;
mod service;

use std::{future::Future, io, time::Duration};

use tokio::net::{TcpListener, UnixListener};
use tokio_util::sync::CancellationToken;
use tonic::transport::Server;
use wrenn_base::Clock;
use wrenn_control::Control;
use wrenn_pki::{CertificateError, ServerTls};
use wrenn_proto::agent::control_plane_server::ControlPlaneServer;

pub use listen::{AgentListener, ListenError};

use incoming::{Listener, incoming};
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
    /// The process has no certificate.
    #[error("cannot encrypt the agents' endpoint")]
    Tls(#[from] CertificateError),
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

impl AgentListener {
    /// Serves agents until `shutdown` completes; then ends all streams, for a bounded time.
    ///
    /// # Errors
    /// See [`ServeError`].
    pub async fn serve(
        self,
        control: Control,
        clock: Clock,
        shutdown: impl Future<Output = ()>,
    ) -> Result<(), ServeError> {
        let tls = ServerTls::new(&control.agents().authority, clock.wall())?;
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .worker_threads(WORKERS)
            .thread_name("agents")
            .enable_all()
            .build()
            .map_err(ServeError::Runtime)?;
        let stop = CancellationToken::new();
        let mut served =
            runtime.spawn(run(self, tls, AgentService::new(control, clock, stop.clone()), stop.clone()));
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
    tls: ServerTls,
    service: AgentService,
    stop: CancellationToken,
) -> Result<(), ServeError> {
    tracing::info!(addr = %listener, "agents are served");
    let service = ControlPlaneServer::new(service)
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
    // The file of a unix socket is removed when the endpoint has ended.
    let (listener, _file) = match listener.kind {
        Kind::Tcp(listener, _) => {
            (TcpListener::from_std(listener).map(Listener::Tcp).map_err(ServeError::Runtime)?, None)
        }
        Kind::Unix(listener, file) => {
            (UnixListener::from_std(listener).map(Listener::Unix).map_err(ServeError::Runtime)?, Some(file))
        }
    };
    router.serve_with_incoming_shutdown(incoming(listener, tls), stopped).await.map_err(ServeError::Transport)
}
