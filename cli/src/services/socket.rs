//! Waiting for a service that listens on a unix socket.

use std::{path::Path, time::Duration};

use anyhow::bail;
use tokio::net::UnixStream;
use wrenn_base::Clock;

use crate::{process::Process, stopwatch::Stopwatch};

/// Waits until somebody answers on a socket; gives up when its process has died thrice or time is up.
pub(super) async fn wait_for_socket(
    process: &Process,
    socket: &Path,
    limit: Duration,
    clock: &Clock,
) -> anyhow::Result<()> {
    let begun = Stopwatch::start(clock);
    while UnixStream::connect(socket).await.is_err() {
        if process.starts() > 3 || begun.elapsed() > limit {
            bail!("{} does not answer. The end of {}", process.name(), process.last_output());
        }
        clock.sleep(Duration::from_millis(30)).await;
    }
    Ok(())
}
