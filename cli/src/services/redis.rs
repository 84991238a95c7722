//! The private Redis. It writes nothing to disk: losing it loses no build.

use std::{os::unix::fs::chown, time::Duration};

use anyhow::Context;
use nix::{sys::signal::Signal, unistd::User};

use super::socket::wait_for_socket;
use crate::{
    data::{DataFolder, make_folder},
    process::{Launch, ProcessSpec, ProcessStack},
};

const USER: &str = "redis";
/// Where Redis sees the folder of its socket; see [`super::postgres`] for why.
const INSIDE: &str = "/mnt";
const READY_LIMIT: Duration = Duration::from_secs(20);

/// Starts Redis and returns its URL.
pub(super) async fn start(data: &DataFolder, stack: &mut ProcessStack) -> anyhow::Result<String> {
    let sockets = data.runtime().join("redis");
    let user = User::from_name(USER)?.context("there is no user redis; install the package redis-server")?;
    make_folder(&sockets, 0o700)?;
    chown(&sockets, Some(user.uid.as_raw()), Some(user.gid.as_raw()))
        .with_context(|| format!("cannot give {} to {USER}", sockets.display()))?;
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
        launch: Launch::new("redis-server", settings.as_flattened()).user(USER).bind(&sockets, INSIDE),
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
