//! Waiting for a condition, with a limit.

use std::time::{Duration, Instant};

use anyhow::bail;

/// Longest boot on a machine that emulates and is busy.
pub(crate) const BOOT: Duration = Duration::from_secs(120);
/// Restart of a killed process and everything that it takes up again.
pub(crate) const RECOVERY: Duration = Duration::from_secs(60);

/// Asks again and again until the answer is there. An error counts as "not yet", and is part of the message
/// when time is up.
pub(crate) async fn until<T>(
    what: &str,
    limit: Duration,
    mut probe: impl AsyncFnMut() -> anyhow::Result<Option<T>>,
) -> anyhow::Result<T> {
    let begun = Instant::now();
    loop {
        let last = match probe().await {
            Ok(Some(found)) => return Ok(found),
            Ok(None) => String::new(),
            Err(error) => format!(" (last: {error:#})"),
        };
        if begun.elapsed() > limit {
            bail!("waited {} s until {what}{last}", limit.as_secs());
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
