//! Connections to what listens inside the capsule.
//!
//! ```text
//!   inputs ──▶ write ──▶ socket ──▶ program on 127.0.0.1 or ::1
//!   events ◀── read  ◀── socket ◀──
//! ```
//!
//! Most development servers listen on the loopback address only, which is why the connection is made here and not by
//! the host. Both directions are bounded: a program that does not read stops the caller, a caller that does not read
//! stops the program. The connection ends with the program's side of it, or when the caller leaves.

use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr},
    time::Duration,
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::{
        TcpStream,
        tcp::{OwnedReadHalf, OwnedWriteHalf},
    },
    sync::mpsc,
    time::timeout,
};
use tokio_stream::{Stream, StreamExt as _};
use wrenn_proto::guest::{
    ConnectEnd, ConnectEvent, ConnectFailed, ConnectFailure, ConnectInput, ConnectOpen, ConnectOpened,
    connect_event::Event, connect_input::Input,
};

/// Where a program may listen.
const LOOPBACKS: [IpAddr; 2] = [IpAddr::V4(Ipv4Addr::LOCALHOST), IpAddr::V6(Ipv6Addr::LOCALHOST)];
/// How long a program may take to accept; one that listens has a backlog.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(10);
/// Events that wait for a slow reader.
const EVENT_QUEUE: usize = 4;
/// Most that one event carries, in bytes.
const CHUNK_BYTES: usize = 64 * 1024;

/// Why there is no connection, or none any more.
#[derive(Debug, thiserror::Error)]
pub enum DialError {
    /// The first input was not `open`.
    #[error("the first input must open the connection")]
    NoOpen,
    /// No program can listen there.
    #[error("port: must be from 1 to 65535, not {0}")]
    Port(u32),
    /// Nobody listens.
    #[error("nothing listens on port {0} of the capsule")]
    Refused(u16),
    /// A program listens, but does not accept.
    #[error("what listens on port {0} of the capsule does not accept connections")]
    Unaccepted(u16),
    /// No connection could be made.
    #[error("cannot connect to port {port}: {source}")]
    Connect {
        /// Where.
        port: u16,
        /// Why.
        #[source]
        source: io::Error,
    },
    /// The program broke the connection.
    #[error("the program broke the connection: {0}")]
    Broken(#[source] io::Error),
}

impl DialError {
    fn kind(&self) -> ConnectFailure {
        match self {
            Self::NoOpen | Self::Port(_) => ConnectFailure::Invalid,
            Self::Refused(_) | Self::Unaccepted(_) => ConnectFailure::Refused,
            Self::Connect { .. } => ConnectFailure::Internal,
            Self::Broken(_) => ConnectFailure::Broken,
        }
    }
}

impl From<DialError> for Event {
    fn from(error: DialError) -> Self {
        Self::Failed(ConnectFailed { kind: error.kind().into(), message: error.to_string() })
    }
}

/// Connects as the first of the inputs says, and carries what follows. Returns at once; the first event says whether
/// it worked.
pub fn dial(
    mut inputs: impl Stream<Item = ConnectInput> + Send + Unpin + 'static,
) -> mpsc::Receiver<ConnectEvent> {
    let (events, receiver) = mpsc::channel(EVENT_QUEUE);
    tokio::spawn(async move {
        let connecting = async {
            let Some(Input::Open(open)) = inputs.next().await.and_then(|input| input.input) else {
                return Err(DialError::NoOpen);
            };
            connect(open).await
        };
        let connected = tokio::select! {
            connected = connecting => connected,
            () = events.closed() => return,
        };
        let last = match connected {
            Ok(socket) => {
                // The queue is empty, so there is room.
                let _ = events.try_send(Event::Opened(ConnectOpened {}).into());
                let (read, write) = socket.into_split();
                let mut writer = tokio::spawn(write_inputs(inputs, write));
                let read = tokio::select! {
                    read = read_events(read, &events) => read,
                    // Only a caller that has left, or a program that reads no more; the other side tells which.
                    broken = &mut writer => broken.unwrap_or_else(|panic| Err(io::Error::other(panic))).map(|never| match never {}),
                };
                writer.abort();
                match read {
                    Ok(()) => Event::End(ConnectEnd {}),
                    Err(error) => DialError::Broken(error).into(),
                }
            }
            Err(error) => error.into(),
        };
        // The caller may have gone.
        let _ = events.send(last.into()).await;
    });
    receiver
}

async fn connect(open: ConnectOpen) -> Result<TcpStream, DialError> {
    let port = u16::try_from(open.port).ok().filter(|port| *port > 0).ok_or(DialError::Port(open.port))?;
    let mut failure = DialError::Refused(port);
    for address in LOOPBACKS {
        match timeout(CONNECT_TIMEOUT, TcpStream::connect((address, port))).await {
            Ok(Ok(socket)) => {
                // Whoever wrote these bytes wants them to arrive now.
                let _ = socket.set_nodelay(true);
                return Ok(socket);
            }
            Ok(Err(error)) if is_refusal(&error) => {}
            Ok(Err(source)) => failure = DialError::Connect { port, source },
            Err(_) => failure = DialError::Unaccepted(port),
        }
    }
    Err(failure)
}

/// Whether nobody listens there, or there is no such address.
fn is_refusal(error: &io::Error) -> bool {
    matches!(
        error.kind(),
        io::ErrorKind::ConnectionRefused
            | io::ErrorKind::AddrNotAvailable
            | io::ErrorKind::NetworkUnreachable
    ) || error.raw_os_error() == Some(libc::EAFNOSUPPORT)
}

/// Passes on what the program says; ends with its side of the connection, or when the caller leaves.
async fn read_events(mut socket: OwnedReadHalf, events: &mpsc::Sender<ConnectEvent>) -> io::Result<()> {
    let mut buffer = BytesMut::new();
    loop {
        buffer.reserve(CHUNK_BYTES);
        let read = tokio::select! {
            read = socket.read_buf(&mut buffer) => read?,
            () = events.closed() => return Ok(()),
        };
        if read == 0 {
            return Ok(());
        }
        let chunk: Bytes = buffer.split().freeze();
        if events.send(Event::Data(chunk).into()).await.is_err() {
            return Ok(());
        }
    }
}

/// Tells the program what the caller says. The end of the inputs closes this side of the connection, and then waits
/// for the program's.
async fn write_inputs(
    mut inputs: impl Stream<Item = ConnectInput> + Unpin,
    mut socket: OwnedWriteHalf,
) -> io::Result<std::convert::Infallible> {
    while let Some(input) = inputs.next().await {
        match input.input {
            Some(Input::Data(bytes)) => socket.write_all(&bytes).await?,
            Some(Input::End(_)) => break,
            // A second opening and inputs of a newer protocol mean nothing here.
            Some(Input::Open(_)) | None => {}
        }
    }
    socket.shutdown().await?;
    std::future::pending().await
}
