//! The resolver that a guest sees: its gateway's port 53, relayed to the resolvers of the host.
//!
//! ```text
//!   guest ──▶ 172.30.0.1:53 (a socket in the namespace) ──▶ agent ──▶ /etc/resolv.conf's servers (host's world)
//! ```
//!
//! The guest never talks to the host's resolvers itself: they may be loopback stubs, or in networks that it may
//! not reach. Queries and answers are relayed as they are. Everything a guest can cause is bounded: queries in
//! flight, connections, sizes and times; what exceeds a bound is dropped, as networks do, and asked again.

use std::{
    fs, io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, TcpListener as StdTcpListener, UdpSocket as StdUdpSocket},
    os::unix::fs::MetadataExt,
    path::Path,
    path::PathBuf,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, TcpStream, UdpSocket},
    task::{AbortHandle, JoinSet},
    time::timeout,
};
use wrenn_proto::{GUEST_GATEWAY, GUEST_IP};

use super::namespace::inside;

const PORT: u16 = 53;
/// Where the host's resolvers are configured; looked at for each query, as it changes with the host's network.
const CONFIG: &str = "/etc/resolv.conf";
/// Servers of the configuration that are used, as in the C library.
const MAX_SERVERS: usize = 3;
/// Queries of one guest that wait for an answer; more are dropped.
const MAX_QUERIES: usize = 64;
/// Connections of one guest; more are closed.
const MAX_CONNECTIONS: usize = 8;
/// Longest datagram either way; what is longer is truncated by its sender and asked again over TCP.
const MAX_DATAGRAM: usize = 4096;
/// Shortest message: its header.
const HEADER: usize = 12;
/// How long one server may take before the next is asked.
const SERVER_TIMEOUT: Duration = Duration::from_secs(2);
/// How long a connection may be silent.
const IDLE_TIMEOUT: Duration = Duration::from_secs(10);

/// Times and interval at which the port is tried again that the resolver before has not let go of: for 5 s in all.
const TAKEOVER_TRIES: u32 = 500;
const TAKEOVER_INTERVAL: Duration = Duration::from_millis(10);

/// The resolver of one namespace; dropping it stops it.
#[derive(Debug)]
pub(super) struct Resolver([AbortHandle; 2]);

impl Drop for Resolver {
    fn drop(&mut self) {
        self.0.iter().for_each(AbortHandle::abort);
    }
}

impl Resolver {
    /// Binds the gateway's address in a namespace, and serves it.
    pub(super) async fn start(netns: PathBuf) -> io::Result<Self> {
        let address = (GUEST_GATEWAY, PORT);
        let bind = move || Ok((StdUdpSocket::bind(address)?, StdTcpListener::bind(address)?));
        let mut tries = TAKEOVER_TRIES;
        let (udp, tcp) = loop {
            match inside(netns.clone(), bind).await {
                // A resolver that was dropped just now closes its sockets when its tasks are next looked at.
                Err(error) if error.kind() == io::ErrorKind::AddrInUse && tries > 0 => {
                    tries -= 1;
                    tokio::time::sleep(TAKEOVER_INTERVAL).await;
                }
                bound => break bound?,
            }
        };
        udp.set_nonblocking(true)?;
        tcp.set_nonblocking(true)?;
        let (udp, tcp) = (UdpSocket::from_std(udp)?, TcpListener::from_std(tcp)?);
        let datagrams = tokio::spawn(serve_datagrams(udp, host_servers));
        let connections = tokio::spawn(serve_connections(tcp, host_servers));
        Ok(Self([datagrams.abort_handle(), connections.abort_handle()]))
    }
}

/// The resolvers to ask now.
fn host_servers() -> Vec<SocketAddr> {
    static HOST: ServersFile = ServersFile::new();
    HOST.servers(Path::new(CONFIG))
}

/// Which text a file holds, as far as its metadata tell: modified when (seconds, nanoseconds), inode, length.
type Version = (i64, i64, u64, u64);

/// The resolvers of a configuration file, read again only when it has changed.
#[derive(Debug)]
struct ServersFile(Mutex<Option<(Version, Vec<SocketAddr>)>>);

impl ServersFile {
    const fn new() -> Self {
        Self(Mutex::new(None))
    }

    fn servers(&self, path: &Path) -> Vec<SocketAddr> {
        // What is under this lock is replaced as a whole.
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let Ok(now) = fs::metadata(path) else { return parse_servers("") };
        let now = (now.mtime(), now.mtime_nsec(), now.ino(), now.len());
        match &*known {
            Some((version, servers)) if *version == now => servers.clone(),
            _ => {
                let servers = parse_servers(&fs::read_to_string(path).unwrap_or_default());
                *known = Some((now, servers.clone()));
                servers
            }
        }
    }
}

fn parse_servers(config: &str) -> Vec<SocketAddr> {
    let server = |line: &str| {
        let mut words = line.split_ascii_whitespace();
        let address = words.next().filter(|&word| word == "nameserver").and(words.next())?;
        // `fe80::1%eth0`: an address that means something on one link only; tokio's sockets take no name.
        Some(SocketAddr::new(address.parse().ok()?, PORT))
    };
    let mut servers: Vec<SocketAddr> = config.lines().filter_map(server).take(MAX_SERVERS).collect();
    if servers.is_empty() {
        // What the C library does without configuration.
        servers.push((Ipv4Addr::LOCALHOST, PORT).into());
    }
    servers
}

async fn serve_datagrams(socket: UdpSocket, servers: fn() -> Vec<SocketAddr>) {
    let socket = Arc::new(socket);
    let mut queries = JoinSet::new();
    let mut buffer = vec![0; MAX_DATAGRAM];
    loop {
        while queries.try_join_next().is_some() {}
        let (length, from) = match socket.recv_from(&mut buffer).await {
            Ok(received) => received,
            // An earlier answer could not be delivered; the socket is as good as before.
            Err(error) => {
                tracing::debug!(%error, "resolver socket");
                tokio::task::yield_now().await;
                continue;
            }
        };
        if from.ip() != GUEST_IP.0 || length < HEADER || queries.len() >= MAX_QUERIES {
            continue;
        }
        let (socket, query) = (socket.clone(), buffer[..length].to_vec());
        queries.spawn(async move {
            let answer = match ask_by_datagram(&query, &servers()).await {
                Some(answer) => answer,
                None => server_failure(query),
            };
            // A guest that does not take its answer asks again.
            let _ = socket.send_to(&answer, from).await;
        });
    }
}

/// Asks one server after the other; `None` if none answers.
async fn ask_by_datagram(query: &[u8], servers: &[SocketAddr]) -> Option<Vec<u8>> {
    for &server in servers {
        match timeout(SERVER_TIMEOUT, exchange_datagrams(query, server)).await {
            Ok(Ok(answer)) => return Some(answer),
            Ok(Err(error)) => tracing::debug!(%server, %error, "resolver not reachable"),
            Err(_) => tracing::debug!(%server, "resolver does not answer"),
        }
    }
    None
}

async fn exchange_datagrams(query: &[u8], server: SocketAddr) -> io::Result<Vec<u8>> {
    let any: IpAddr = match server {
        SocketAddr::V4(_) => Ipv4Addr::UNSPECIFIED.into(),
        SocketAddr::V6(_) => Ipv6Addr::UNSPECIFIED.into(),
    };
    // A socket for each query: its port is hard to guess, and being connected it hears nobody else.
    let socket = UdpSocket::bind((any, 0)).await?;
    socket.connect(server).await?;
    socket.send(query).await?;
    let mut answer = vec![0; MAX_DATAGRAM];
    loop {
        let length = socket.recv(&mut answer).await?;
        if length >= HEADER && answer[..2] == query[..2] {
            answer.truncate(length);
            return Ok(answer);
        }
    }
}

/// The query as an answer that says the server failed, so that a guest need not wait for its own time limit.
fn server_failure(mut query: Vec<u8>) -> Vec<u8> {
    const IS_ANSWER: u8 = 0x80;
    const SERVER_FAILURE: u8 = 2;
    query[2] |= IS_ANSWER;
    query[3] = (query[3] & 0xf0) | SERVER_FAILURE;
    query
}

async fn serve_connections(listener: TcpListener, servers: fn() -> Vec<SocketAddr>) {
    let mut connections = JoinSet::new();
    loop {
        while connections.try_join_next().is_some() {}
        match listener.accept().await {
            Ok((guest, from)) if from.ip() == GUEST_IP.0 && connections.len() < MAX_CONNECTIONS => {
                connections.spawn(async move {
                    if let Err(error) = serve_connection(guest, servers).await {
                        tracing::debug!(%error, "resolver connection ended");
                    }
                });
            }
            Ok(_) => {}
            Err(error) => {
                // Out of descriptors, most likely.
                tracing::debug!(%error, "resolver listener");
                tokio::time::sleep(Duration::from_millis(100)).await;
            }
        }
    }
}

async fn serve_connection(mut guest: TcpStream, servers: fn() -> Vec<SocketAddr>) -> io::Result<()> {
    loop {
        let query = timeout(IDLE_TIMEOUT, read_message(&mut guest)).await??;
        let mut answer = None;
        for server in servers() {
            let ask = async {
                let mut stream = TcpStream::connect(server).await?;
                write_message(&mut stream, &query).await?;
                read_message(&mut stream).await
            };
            if let Ok(Ok(message)) = timeout(SERVER_TIMEOUT, ask).await {
                answer = Some(message);
                break;
            }
        }
        let answer = answer.unwrap_or_else(|| server_failure(query));
        timeout(IDLE_TIMEOUT, write_message(&mut guest, &answer)).await??;
    }
}

/// Reads a message with its length before it; at most 64 KiB, by the width of that length.
async fn read_message(stream: &mut TcpStream) -> io::Result<Vec<u8>> {
    let length = usize::from(stream.read_u16().await?);
    if length < HEADER {
        return Err(io::ErrorKind::InvalidData.into());
    }
    let mut message = vec![0; length];
    stream.read_exact(&mut message).await?;
    Ok(message)
}

async fn write_message(stream: &mut TcpStream, message: &[u8]) -> io::Result<()> {
    let length = u16::try_from(message.len()).map_err(|_| io::ErrorKind::InvalidData)?;
    let mut framed = length.to_be_bytes().to_vec();
    framed.extend_from_slice(message);
    stream.write_all(&framed).await
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn servers_are_found_among_everything_else_that_may_stand_there() {
        let config = "# nameserver 1.1.1.1\n; x\nsearch example.org\noptions edns0 trust-ad\n\
                      nameserver 10.255.255.53\n  nameserver\t2001:db8::1 \nnameserver fe80::1%eth0\nnameserver\n\
                      nameserver 192.0.2.1\nnameserver 192.0.2.2\nNAMESERVER 9.9.9.9\n";
        let servers: Vec<_> = parse_servers(config).iter().map(SocketAddr::to_string).collect();
        assert_eq!(servers, ["10.255.255.53:53", "[2001:db8::1]:53", "192.0.2.1:53"]);
    }

    #[test]
    fn a_configuration_that_changes_is_read_again() {
        let folder = tempfile::tempdir().expect("temporary folder");
        let path = folder.path().join("resolv.conf");
        let file = ServersFile::new();
        assert_eq!(file.servers(&path), parse_servers(""));
        for text in ["nameserver 192.0.2.1", "nameserver 192.0.2.22", ""] {
            fs::write(&path, text).expect("write");
            for _ in 0..2 {
                assert_eq!(file.servers(&path), parse_servers(text));
            }
        }
    }

    #[test]
    fn without_configuration_the_loopback_is_asked() {
        assert_eq!(parse_servers(""), ["127.0.0.1:53".parse().expect("address")]);
    }

    #[test]
    fn a_failure_answers_the_very_query() {
        let query = vec![0xab, 0xcd, 0x01, 0x20, 0, 1, 0, 0, 0, 0, 0, 0, 9];
        assert_eq!(server_failure(query), [0xab, 0xcd, 0x81, 0x22, 0, 1, 0, 0, 0, 0, 0, 0, 9]);
    }

    #[tokio::test]
    async fn a_silent_server_is_passed_over_and_foreign_answers_are_ignored() {
        let server = UdpSocket::bind("127.0.0.1:0").await.expect("bind");
        let address = server.local_addr().expect("address");
        tokio::spawn(async move {
            let mut buffer = [0; 64];
            let (length, from) = server.recv_from(&mut buffer).await.expect("query");
            let mut foreign = buffer[..length].to_vec();
            foreign[0] ^= 1;
            server.send_to(&foreign, from).await.expect("foreign answer");
            server.send_to(&buffer[..length], from).await.expect("answer");
        });
        // Nobody listens on the discard port, so the first server refuses.
        let refused = "127.0.0.1:9".parse().expect("address");
        let query = [7; 20];
        assert_eq!(ask_by_datagram(&query, &[refused, address]).await.as_deref(), Some(&query[..]));
    }
}
