//! Waiting for a condition, with a limit and a message that says what was waited for.

use std::time::Duration;

use tokio::time::{sleep, timeout};

/// Time limit for anything that should happen at once.
pub const PATIENCE: Duration = Duration::from_secs(20);
/// Pause between two looks at a condition.
const POLL_EVERY: Duration = Duration::from_millis(10);

/// Waits until a condition holds.
///
/// # Panics
/// If it does not hold in time.
pub async fn eventually(what: &str, holds: impl AsyncFnMut() -> bool) {
    eventually_within(PATIENCE, what, holds).await;
}

/// Waits until a condition holds, with a limit of the caller's.
///
/// # Panics
/// If it does not hold in time.
pub async fn eventually_within(limit: Duration, what: &str, mut holds: impl AsyncFnMut() -> bool) {
    in_time_within(limit, what, poll(async || holds().await.then_some(()))).await;
}

/// Waits until something can be found, and returns it.
///
/// # Panics
/// If it is not found in time.
pub async fn found<T>(what: &str, look: impl AsyncFnMut() -> Option<T>) -> T {
    in_time(what, poll(look)).await
}

/// Waits for a future.
///
/// # Panics
/// If it does not complete in time.
pub async fn in_time<F: Future>(what: &str, future: F) -> F::Output {
    in_time_within(PATIENCE, what, future).await
}

/// Waits for a future, with a limit of the caller's.
///
/// # Panics
/// If it does not complete in time.
pub async fn in_time_within<F: Future>(limit: Duration, what: &str, future: F) -> F::Output {
    timeout(limit, future).await.unwrap_or_else(|_| panic!("not in time: {what}"))
}

async fn poll<T>(mut look: impl AsyncFnMut() -> Option<T>) -> T {
    loop {
        if let Some(found) = look().await {
            return found;
        }
        sleep(POLL_EVERY).await;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test(start_paused = true)]
    async fn a_condition_is_asked_until_it_holds() {
        let mut asked = 0;
        let third = async || {
            asked += 1;
            (asked == 3).then_some("third")
        };
        assert_eq!(found("the third time", third).await, "third");
        eventually("nothing", async || true).await;
    }

    #[tokio::test(start_paused = true)]
    #[should_panic(expected = "not in time: the moon")]
    async fn a_condition_that_never_holds_is_named() {
        eventually("the moon", async || false).await;
    }
}
