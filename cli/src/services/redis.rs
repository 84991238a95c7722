//! The private Redis, or Valkey, which has the same protocol and settings. It writes nothing to disk: losing it loses no build.

use std::{os::unix::fs::chown, time::Duration};

use anyhow::Context;
use nix::{sys::signal::Signal, unistd::User};

use super::socket::wait_for_socket;
use crate::{
    data::{DataFolder, make_folder},
    process::{Launch, ProcessSpec, ProcessStack, find_program},
};

/// A server that can keep the queue, as Debian installs it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QueueServer {
    /// Name of the program, and of Debian's package.
    pub program: &'static str,
    /// User that it runs as.
    user: &'static str,
}

/// Preferred where both are installed.
pub const REDIS: QueueServer = QueueServer { program: "redis-server", user: "redis" };
/// In Debian since 13.
const VALKEY: QueueServer = QueueServer { program: "valkey-server", user: "valkey" };

/// Where Redis sees the folder of its socket; see [`super::postgres`] for why.
const INSIDE: &str = "/mnt";
const READY_LIMIT: Duration = Duration::from_secs(20);

/// The server that is installed, if one is.
pub fn installed() -> Option<QueueServer> {
    choose(|program| find_program(program).is_some())
}

fn choose(is_installed: impl Fn(&str) -> bool) -> Option<QueueServer> {
    [REDIS, VALKEY].into_iter().find(|server| is_installed(server.program))
}

/// Starts Redis and returns its URL.
pub(super) async fn start(data: &DataFolder, stack: &mut ProcessStack) -> anyhow::Result<String> {
    let sockets = data.runtime().join("redis");
    let server = installed().context("Redis is not installed; install the package redis-server")?;
    let user = User::from_name(server.user)?.with_context(|| {
        let QueueServer { program, user } = server;
        format!("there is no user {user}; install the package {program}")
    })?;
    make_folder(&sockets, 0o700)?;
    chown(&sockets, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .with_context(|| format!("cannot give {} to {}", sockets.display(), server.user))?;
    let inside = format!("{INSIDE}/redis.sock");
    let settings = [
        ["--port", "0"],
        ["--unixsocket", &inside],
        ["--unixsocketperm", "700"],
        ["--save", ""],
        ["--appendonly", "no"],
        ["--dir", INSIDE],
        ["--daemonize", "no"],
    ];
    let spec = ProcessSpec {
        name: "redis",
        launch: Launch::new(server.program, settings.as_flattened()).user(server.user).bind(&sockets, INSIDE),
        envs: Vec::new(),
        stop_signal: Signal::SIGTERM,
        stop_limit: Duration::from_secs(10),
    };
    let socket = sockets.join("redis.sock");
    let clock = stack.clock().clone();
    let process = stack.start(data, spec)?;
    wait_for_socket(process, &socket, READY_LIMIT, &clock).await?;
    Ok(format!("redis+unix://{}", socket.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn valkey_does_where_there_is_no_redis() {
        let chosen = |installed: &[&str]| choose(|program| installed.contains(&program));
        assert_eq!(chosen(&["redis-server", "valkey-server"]), Some(REDIS));
        assert_eq!(chosen(&["valkey-server"]), Some(VALKEY));
        assert_eq!(chosen(&["redis-cli"]), None);
    }
}
