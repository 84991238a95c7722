//! Idle WebSockets: each follows a command in a running capsule that prints nothing.

use std::time::Duration;

use futures_util::{
    future::try_join_all,
    stream::{self, StreamExt as _, TryStreamExt as _},
};
use serde_json::json;
use wrenn_base::Clock;

use super::{Capsule, server::Server};
use crate::bench::{fleet::CLIENTS, socket::Socket};

/// Number of sockets.
pub(super) const COUNT: usize = 500;
/// Time after which buffers of earlier requests are free; shorter than the interval of pings, which nobody answers.
const SETTLE: Duration = Duration::from_secs(10);
/// Rounds of opening and closing all sockets.
const ROUNDS: usize = 3;
const KB_PER_MB: f64 = 1024.0;

/// Memory of the server, before the first round and in each.
pub(super) struct Memory {
    pub(super) before_mb: f64,
    pub(super) open_mb: Vec<f64>,
    pub(super) closed_mb: Vec<f64>,
    /// Part of each socket in the first round.
    pub(super) each_kb: f64,
}

/// Measures the memory of the server without, with, and after the sockets, which are spread over the capsules. Later rounds
/// show whether the server reuses what it has kept.
pub(super) async fn measure(
    server: &Server,
    capsules: &[Capsule<'_>],
    clock: &Clock,
) -> anyhow::Result<Memory> {
    clock.sleep(SETTLE).await;
    let before_mb = server.memory_mb()?;
    let (mut open_mb, mut closed_mb) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        let sockets: Vec<Socket> = stream::iter(capsules.iter().cycle().take(COUNT))
            .map(open)
            .buffer_unordered(CLIENTS)
            .try_collect()
            .await?;
        clock.sleep(SETTLE).await;
        open_mb.push(server.memory_mb()?);
        try_join_all(sockets.into_iter().map(end)).await?;
        clock.sleep(SETTLE).await;
        closed_mb.push(server.memory_mb()?);
    }
    let each_kb = (open_mb[0] - before_mb) * KB_PER_MB / COUNT as f64;
    Ok(Memory { before_mb, open_mb, closed_mb, each_kb })
}

async fn open(capsule: &Capsule<'_>) -> anyhow::Result<Socket> {
    let path = format!("/v1/capsules/{}/exec/stream", capsule.id);
    let mut socket = Socket::open(&capsule.team.client, &path).await?;
    // Without input `cat` waits.
    socket.say(json!({ "type": "start", "cmd": "cat" })).await?;
    socket.until("start").await?;
    Ok(socket)
}

/// Ends the command too: it would outlive its socket.
async fn end(mut socket: Socket) -> anyhow::Result<()> {
    socket.say(json!({ "type": "stop" })).await?;
    socket.until("exit").await?;
    socket.close().await
}
