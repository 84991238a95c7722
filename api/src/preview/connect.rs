//! Connections to ports of capsules, for an HTTP client.
//!
//! ```text
//!   hyper ◀─ bytes ─▶ pipe ◀─ pump ─▶ ConnectSession ◀─ tunnel ─▶ guest ─▶ 127.0.0.1:port
//! ```
//!
//! The pump ends when either side does. An idle connection does not count as use of the capsule; requests do, see the
//! parent module.

use std::{
    io,
    pin::Pin,
    sync::{Arc, OnceLock},
    task::{Context, Poll},
};

use bytes::{Bytes, BytesMut};
use futures_util::future::{BoxFuture, FutureExt as _};
use http::Uri;
use hyper_util::{
    client::legacy::connect::{Connected, Connection},
    rt::TokioIo,
};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use wrenn_actors::{
    ConnectSession, ControlPlane, Grant, SessionError, SessionEvents, SessionInput, SessionOpenError,
};
use wrenn_control::preview_open::VISITOR;
use wrenn_proto::guest::{
    ConnectEnd, ConnectFailure, ConnectInput, ConnectOpen, connect_event::Event, connect_input::Input,
};

use super::address::Target;

/// Buffered bytes in each direction.
const PIPE_BYTES: usize = 128 * 1024;
/// Most bytes in one frame.
const CHUNK_BYTES: usize = 64 * 1024;

/// The reason for which there is no connection to a port.
#[derive(Debug, thiserror::Error)]
pub(super) enum ConnectError {
    #[error(transparent)]
    Open(#[from] SessionOpenError),
    #[error(transparent)]
    Session(#[from] SessionError),
    #[error("{message}")]
    Failed { kind: ConnectFailure, message: String },
    #[error("`{0}` names no port of a capsule")]
    NoTarget(Uri),
    #[error("the capsule broke the rules of the protocol")]
    Protocol,
}

/// Connects to the ports that URIs name, see [`authority`].
#[derive(Debug, Clone)]
pub(super) struct Connector {
    control_plane: ControlPlane,
}

impl Connector {
    pub(super) fn new(control_plane: ControlPlane) -> Self {
        Self { control_plane }
    }
}

/// Returns the authority that identifies a port in the pool of connections.
pub(super) fn authority(target: Target) -> String {
    format!("{}:{}", target.capsule, target.port)
}

fn target(uri: &Uri) -> Option<Target> {
    Some(Target { capsule: uri.host()?.parse().ok()?, port: uri.port_u16()? })
}

impl tower::Service<Uri> for Connector {
    type Response = TokioIo<PortIo>;
    type Error = ConnectError;
    type Future = BoxFuture<'static, Result<Self::Response, ConnectError>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let control_plane = self.control_plane.clone();
        async move {
            let target = target(&uri).ok_or(ConnectError::NoTarget(uri))?;
            connect(&control_plane, target).await.map(TokioIo::new)
        }
        .boxed()
    }
}

async fn connect(control_plane: &ControlPlane, target: Target) -> Result<PortIo, ConnectError> {
    let open = Input::Open(ConnectOpen { port: target.port.into() });
    let ConnectSession { input, mut events } =
        control_plane.session_open(target.capsule, open, Grant::of_system(VISITOR)).await?;
    match events.recv().await.ok_or(ConnectError::Protocol)??.event {
        Some(Event::Opened(_)) => {}
        Some(Event::Failed(failed)) => {
            return Err(ConnectError::Failed { kind: failed.kind(), message: failed.message });
        }
        _ => return Err(ConnectError::Protocol),
    }
    events.stop_counting();
    let (near, far) = duplex(PIPE_BYTES);
    let end = Arc::new(OnceLock::new());
    let (read, write) = split(far);
    tokio::spawn(pump(read, write, input, events, end.clone()));
    Ok(PortIo { pipe: near, end })
}

/// Carries bytes until either side has ended.
async fn pump(
    read: ReadHalf<DuplexStream>,
    mut write: WriteHalf<DuplexStream>,
    input: SessionInput<ConnectInput>,
    mut events: SessionEvents<ConnectInput>,
    end: Arc<OnceLock<String>>,
) {
    let from_capsule = async {
        loop {
            match events.recv().await {
                Some(Ok(event)) => match event.event {
                    Some(Event::Data(bytes)) => {
                        if write.write_all(&bytes).await.is_err() {
                            return None;
                        }
                    }
                    Some(Event::Failed(failed)) => return Some(failed.message),
                    Some(Event::End(_)) => {
                        // The reader must see the end, not an error.
                        let _ = write.shutdown().await;
                        return None;
                    }
                    Some(Event::Opened(_)) | None => {}
                },
                Some(Err(error)) => return Some(error.to_string()),
                None => return None,
            }
        }
    };
    tokio::select! {
        reason = from_capsule => {
            if let Some(reason) = reason {
                // Set only here, so it cannot be set already.
                let _ = end.set(reason);
            }
        }
        () = to_capsule(read, input) => {}
    }
}

/// Sends bytes to the capsule until the reader or the session ends; then sends the end, and waits for the capsule's.
async fn to_capsule(mut read: ReadHalf<DuplexStream>, input: SessionInput<ConnectInput>) {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK_BYTES);
        match read.read_buf(&mut buffer).await {
            Ok(0) | Err(_) => break,
            Ok(_) => {
                let chunk: Bytes = buffer.split().freeze();
                if !input.send(Input::Data(chunk)).await {
                    break;
                }
            }
        }
    }
    let _ = input.send(Input::End(ConnectEnd {})).await;
    input.closed().await;
}

/// A connection to a port. The error of a broken one has the reason.
#[derive(Debug)]
pub(super) struct PortIo {
    pipe: DuplexStream,
    end: Arc<OnceLock<String>>,
}

impl Connection for PortIo {
    fn connected(&self) -> Connected {
        Connected::new()
    }
}

impl tokio::io::AsyncRead for PortIo {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut tokio::io::ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        let read = std::task::ready!(Pin::new(&mut self.pipe).poll_read(context, buffer));
        match self.end.get() {
            Some(reason) if buffer.filled().len() == before => {
                Poll::Ready(Err(io::Error::new(io::ErrorKind::ConnectionReset, reason.clone())))
            }
            _ => Poll::Ready(read),
        }
    }
}

impl tokio::io::AsyncWrite for PortIo {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        bytes: &[u8],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.pipe).poll_write(context, bytes)
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.pipe).poll_shutdown(context)
    }
}
