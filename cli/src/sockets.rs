//! Listening sockets that a service manager has opened for this process (`sd_listen_fds(3)`).
//!
//! A server that has them needs no right to bind ports below 1024, and clients that connect while it restarts wait instead of
//! being refused. Their names say what they are for: `FileDescriptorName=` of systemd's socket units.

use std::{env, io, net::TcpListener};

use listenfd::ListenFd;

/// Sockets by their use.
#[derive(Debug, Default)]
pub struct InheritedSockets {
    /// For plain HTTP: REST and dashboard, or the redirect if they are served over TLS.
    pub http: Option<TcpListener>,
    /// For REST and dashboard over TLS.
    pub https: Option<TcpListener>,
}

/// The reason for which inherited sockets cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum SocketsError {
    /// There are more sockets than names, or fewer.
    #[error("LISTEN_FDNAMES: has {names} name(s) for {sockets} socket(s); expected a name for each")]
    Count {
        /// Names that were given.
        names: usize,
        /// Sockets that were given.
        sockets: usize,
    },
    /// A name has no meaning here.
    #[error(
        "LISTEN_FDNAMES: {0:?} is no known name; expected FileDescriptorName=http or https in the socket unit"
    )]
    Name(String),
    /// Two sockets have the same name.
    #[error(
        "LISTEN_FDNAMES: {0:?} names two sockets; expected one, such as ListenStream=443 for all addresses"
    )]
    Twice(String),
    /// A socket is no TCP socket.
    #[error("the inherited socket {name:?} is no listening TCP socket")]
    Socket {
        /// Its name.
        name: String,
        /// The system's error.
        #[source]
        source: io::Error,
    },
}

/// Use of a socket.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Use {
    Http,
    Https,
}

impl InheritedSockets {
    /// Takes the sockets that the environment announces; none if it announces none, or those of another process.
    pub fn take() -> Result<Self, SocketsError> {
        let mut inherited = ListenFd::from_env();
        if inherited.len() == 0 {
            return Ok(Self::default());
        }
        let names = env::var("LISTEN_FDNAMES").unwrap_or_default();
        let mut sockets = Self::default();
        for (place, used_for) in uses(&names, inherited.len())?.into_iter().enumerate() {
            let name = || names.split(':').nth(place).unwrap_or_default().to_owned();
            let socket = inherited
                .take_tcp_listener(place)
                .map_err(|source| SocketsError::Socket { name: name(), source })?;
            match used_for {
                Use::Http => sockets.http = socket,
                Use::Https => sockets.https = socket,
            }
        }
        Ok(sockets)
    }
}

fn uses(names: &str, sockets: usize) -> Result<Vec<Use>, SocketsError> {
    let names: Vec<_> = names.split(':').filter(|name| !name.is_empty()).collect();
    if names.len() != sockets {
        return Err(SocketsError::Count { names: names.len(), sockets });
    }
    let mut uses = Vec::new();
    for name in names {
        let used_for = match name {
            "http" => Use::Http,
            "https" => Use::Https,
            other => return Err(SocketsError::Name(other.to_owned())),
        };
        if uses.contains(&used_for) {
            return Err(SocketsError::Twice(name.to_owned()));
        }
        uses.push(used_for);
    }
    Ok(uses)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_socket_has_a_known_name_of_its_own() {
        assert_eq!(uses("https:http", 2).unwrap(), [Use::Https, Use::Http]);
        assert!(matches!(uses("https", 2), Err(SocketsError::Count { names: 1, sockets: 2 })));
        assert!(matches!(uses("", 1), Err(SocketsError::Count { names: 0, sockets: 1 })));
        assert!(matches!(uses("https:https", 2), Err(SocketsError::Twice(_))));
        let error = uses("wrenn.socket", 1).unwrap_err().to_string();
        assert!(error.contains("wrenn.socket") && error.contains("FileDescriptorName"), "{error}");
    }
}
