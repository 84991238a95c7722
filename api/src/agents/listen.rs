//! The address that agents dial: TCP or a unix socket.

use std::{
    fmt, io,
    net::{SocketAddr, TcpListener, ToSocketAddrs},
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

/// Why an address cannot be listened on.
#[derive(Debug, thiserror::Error)]
pub enum ListenError {
    /// It is no address.
    #[error("`{0}` is neither `host:port` nor `unix:/path`")]
    Malformed(String),
    /// Another server listens there.
    #[error("another server listens on {0}")]
    Taken(PathBuf),
    /// The system refused.
    #[error("cannot listen on {addr}")]
    Io {
        /// Where.
        addr: String,
        /// What it said.
        #[source]
        source: io::Error,
    },
}

/// A socket that listens; agents that dial wait until it is served.
#[derive(Debug)]
pub struct AgentListener {
    pub(super) kind: Kind,
}

#[derive(Debug)]
pub(super) enum Kind {
    Tcp(TcpListener, SocketAddr),
    Unix(UnixListener, SocketFile),
}

/// The file of a unix socket, removed when dropped.
#[derive(Debug)]
pub(super) struct SocketFile(PathBuf);

impl Drop for SocketFile {
    fn drop(&mut self) {
        if let Err(error) = std::fs::remove_file(&self.0) {
            tracing::warn!(path = %self.0.display(), %error, "socket was not removed");
        }
    }
}

impl AgentListener {
    /// Listens on `host:port` or `unix:/path`; a leading `https://` is accepted.
    ///
    /// A unix socket that a dead server left is replaced, and only this user can connect to it.
    ///
    /// # Errors
    /// See [`ListenError`].
    pub fn bind(addr: &str) -> Result<Self, ListenError> {
        let kind = match addr.strip_prefix("unix:") {
            Some(path) if path.starts_with('/') => bind_unix(addr, Path::new(path))?,
            Some(_) => return Err(ListenError::Malformed(addr.to_owned())),
            None => bind_tcp(addr)?,
        };
        Ok(Self { kind })
    }

    /// Returns true if it listens on all addresses of the machine, so that agents have to be told which to dial.
    pub fn is_unspecified(&self) -> bool {
        matches!(&self.kind, Kind::Tcp(_, addr) if addr.ip().is_unspecified())
    }

    /// Returns the TCP port.
    pub fn port(&self) -> Option<u16> {
        match &self.kind {
            Kind::Tcp(_, addr) => Some(addr.port()),
            Kind::Unix(..) => None,
        }
    }
}

impl fmt::Display for AgentListener {
    /// The address to dial, as agents take it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.kind {
            Kind::Tcp(_, addr) => write!(f, "{addr}"),
            Kind::Unix(_, SocketFile(path)) => write!(f, "unix:{}", path.display()),
        }
    }
}

fn bind_tcp(text: &str) -> Result<Kind, ListenError> {
    let host_port = text.strip_prefix("https://").unwrap_or(text).trim_end_matches('/');
    let addrs: Vec<SocketAddr> =
        host_port.to_socket_addrs().map_err(|_| ListenError::Malformed(text.to_owned()))?.collect();
    let listen = || {
        let listener = TcpListener::bind(addrs.as_slice())?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        Ok(Kind::Tcp(listener, addr))
    };
    listen().map_err(|source| ListenError::Io { addr: text.to_owned(), source })
}

fn bind_unix(text: &str, path: &Path) -> Result<Kind, ListenError> {
    let listen = || {
        if UnixStream::connect(path).is_ok() {
            return Ok(None);
        }
        match std::fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let listener = UnixListener::bind(path)?;
        let file = SocketFile(path.to_owned());
        std::fs::set_permissions(path, std::fs::Permissions::from_mode(0o600))?;
        listener.set_nonblocking(true)?;
        Ok(Some(Kind::Unix(listener, file)))
    };
    match listen() {
        Ok(Some(kind)) => Ok(kind),
        Ok(None) => Err(ListenError::Taken(path.to_owned())),
        Err(source) => Err(ListenError::Io { addr: text.to_owned(), source }),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_address_is_served_and_named_as_agents_dial_it() {
        for good in ["127.0.0.1:0", "https://127.0.0.1:0/", "localhost:0"] {
            let listener = AgentListener::bind(good).unwrap();
            assert!(!listener.is_unspecified());
            assert!(listener.to_string().ends_with(&format!(":{}", listener.port().unwrap())), "{listener}");
        }
        assert!(AgentListener::bind("0.0.0.0:0").unwrap().is_unspecified());
    }

    #[test]
    fn what_is_no_address_is_said_to_be_none() {
        for bad in
            ["", "127.0.0.1", "unix:relative", "unix:", "https://", "http://127.0.0.1:1", "ftp://127.0.0.1:1"]
        {
            assert!(matches!(AgentListener::bind(bad), Err(ListenError::Malformed(_))), "{bad:?}");
        }
    }

    #[test]
    fn a_dead_servers_socket_is_replaced_and_a_living_ones_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("agents.sock");
        let addr = format!("unix:{}", path.display());
        drop(UnixListener::bind(&path).unwrap());

        let listener = AgentListener::bind(&addr).unwrap();
        assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert!(matches!(AgentListener::bind(&addr), Err(ListenError::Taken(_))));
        drop(listener);
        assert!(!path.exists());
    }
}
