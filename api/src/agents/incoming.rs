//! Connections of agents, from the socket until they speak HTTP/2.
//!
//! ```text
//!   accept ─▶ handshake (10 s; places by network) ─┬─ certificate ─▶ places by host
//!                                                  └─ none ─▶ 30 s and 64 KiB: enough to register
//! ```
//!
//! The address may be public. A stranger holds a place for seconds, and makes the server keep a few KiB; strangers of one
//! network leave places to those of others. A connection for which there is no place is closed; agents dial again.

use std::{
    io,
    net::IpAddr,
    pin::Pin,
    task::{Context, Poll, ready},
    time::Duration,
};

use tokio::{
    io::{AsyncRead, AsyncWrite, ReadBuf},
    net::{TcpListener, TcpStream, UnixListener, UnixStream},
    sync::mpsc,
    time::{Sleep, sleep, timeout},
};
use tokio_rustls::server::TlsStream;
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::either::Either;
use tonic::transport::server::Connected;
use wrenn_base::Chain;
use wrenn_domain::ids::HostId;
use wrenn_pki::{Peer, ServerTls};

use super::crowd::{Crowd, Place};

/// Time limit of a handshake.
const HANDSHAKE_WITHIN: Duration = Duration::from_secs(10);
/// Handshakes at once, in all and of one network.
const HANDSHAKES: (u32, u32) = (512, 32);
/// Connections without a certificate, in all and of one network.
const STRANGERS: (u32, u32) = (256, 16);
/// Longest life of a connection without a certificate, and most bytes that it may send: a registration takes a few hundred bytes.
const STRANGER_LIFE: Duration = Duration::from_secs(30);
const STRANGER_BYTES: usize = 64 * 1024;
/// Connections of hosts, in all and of one: a link, one for its tunnels, and those of the moment before.
const HOSTS: (u32, u32) = (20_000, 8);
/// Connections that are ready and wait to be served.
const READY: usize = 16;
/// Pause after a connection could not be accepted, for example as no more files can be opened.
const ACCEPT_PAUSE: Duration = Duration::from_millis(100);

type Socket = Either<TcpStream, UnixStream>;

/// Source of connections.
pub(super) enum Listener {
    Tcp(TcpListener),
    Unix(UnixListener),
}

impl Listener {
    /// Accepts a connection; returns also the network, if it is another machine's.
    async fn accept(&self) -> io::Result<(Socket, Option<IpAddr>)> {
        match self {
            Self::Tcp(listener) => {
                let (stream, address) = listener.accept().await?;
                stream.set_nodelay(true)?;
                let ip = address.ip().to_canonical();
                let network = (!ip.is_loopback()).then(|| network_of(ip));
                Ok((Either::Left(stream), network))
            }
            Self::Unix(listener) => Ok((Either::Right(listener.accept().await?.0), None)),
        }
    }
}

/// The network of an address: itself, or the /64 that one customer of a provider has.
fn network_of(ip: IpAddr) -> IpAddr {
    match ip {
        IpAddr::V4(_) => ip,
        IpAddr::V6(ip) => IpAddr::V6((u128::from(ip) & !u128::from(u64::MAX)).into()),
    }
}

/// Place and limits of a connection as long as it lasts.
enum Hold {
    Stranger { _place: Place<IpAddr>, until: Pin<Box<Sleep>>, bytes_left: usize },
    Host { _place: Place<HostId> },
}

/// The other end of a connection, as calls see it.
#[derive(Debug, Clone, Copy)]
pub(super) struct Dialled {
    /// The host, if it is one.
    pub(super) peer: Peer,
    /// The network of another machine.
    pub(super) network: Option<IpAddr>,
}

/// An encrypted connection of an agent.
pub(super) struct AgentStream {
    stream: TlsStream<Socket>,
    dialled: Dialled,
    hold: Hold,
}

/// Accepts connections until the receiver is dropped.
pub(super) fn incoming(listener: Listener, tls: ServerTls) -> ReceiverStream<io::Result<AgentStream>> {
    let (ready, queue) = mpsc::channel(READY);
    tokio::spawn(async move {
        let handshakes = Crowd::new(HANDSHAKES.0, HANDSHAKES.1);
        let door = Door {
            tls,
            strangers: Crowd::new(STRANGERS.0, STRANGERS.1),
            hosts: Crowd::new(HOSTS.0, HOSTS.1),
        };
        loop {
            let accepted = tokio::select! {
                accepted = listener.accept() => accepted,
                () = ready.closed() => return,
            };
            let (socket, network) = match accepted {
                Ok(accepted) => accepted,
                Err(error) => {
                    tracing::warn!(%error, "connection of an agent was not accepted");
                    sleep(ACCEPT_PAUSE).await;
                    continue;
                }
            };
            let Some(place) = handshakes.enter(network) else {
                tracing::warn!(?network, "too many handshakes of agents at once");
                continue;
            };
            let (door, ready) = (door.clone(), ready.clone());
            tokio::spawn(async move {
                let _place = place;
                match timeout(HANDSHAKE_WITHIN, door.admit(socket, network)).await {
                    // The receiver is gone if the server is stopping.
                    Ok(Ok(Some(stream))) => drop(ready.send(Ok(stream)).await),
                    Ok(Ok(None)) => tracing::warn!(?network, "too many connections of agents"),
                    Ok(Err(error)) => {
                        tracing::info!(?network, error = %Chain(&error), "handshake of an agent failed")
                    }
                    Err(_) => tracing::info!(?network, "handshake of an agent took too long"),
                }
            });
        }
    });
    ReceiverStream::new(queue)
}

#[derive(Clone)]
struct Door {
    tls: ServerTls,
    strangers: Crowd<IpAddr>,
    hosts: Crowd<HostId>,
}

impl Door {
    /// Carries the handshake out; returns none if there is no place for the peer.
    async fn admit(&self, socket: Socket, network: Option<IpAddr>) -> io::Result<Option<AgentStream>> {
        let (stream, peer) = self.tls.accept(socket).await?;
        let hold = match peer {
            Peer::Unknown => self.strangers.enter(network).map(|place| Hold::Stranger {
                _place: place,
                until: Box::pin(sleep(STRANGER_LIFE)),
                bytes_left: STRANGER_BYTES,
            }),
            Peer::Host { host, .. } => self.hosts.enter(Some(host)).map(|place| Hold::Host { _place: place }),
        };
        Ok(hold.map(|hold| AgentStream { stream, dialled: Dialled { peer, network }, hold }))
    }
}

impl Connected for AgentStream {
    type ConnectInfo = Dialled;

    fn connect_info(&self) -> Dialled {
        self.dialled
    }
}

impl AsyncRead for AgentStream {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if let Hold::Stranger { until, .. } = &mut self.hold
            && until.as_mut().poll(cx).is_ready()
        {
            return Poll::Ready(Err(io::ErrorKind::TimedOut.into()));
        }
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let read = buf.filled().len() - before;
        if let Hold::Stranger { bytes_left, .. } = &mut self.hold {
            *bytes_left = bytes_left.checked_sub(read).ok_or(io::ErrorKind::QuotaExceeded)?;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for AgentStream {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }
}
