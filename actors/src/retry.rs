//! Asking the database until it answers.

use std::{future::Future, time::Duration};

use wrenn_base::Backoff;
use wrenn_store::{StoreError, sandboxes::TransitionError};

/// Waits between tries. Without jitter: each waits for a connection of the pool, not for its turn.
const BACKOFF: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(5));

/// Repeats `ask` until it succeeds, for what must not be given up while the database is away.
///
/// The caller ends it by dropping the future.
pub(crate) async fn until_answered<T, F>(what: &'static str, ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut failures = 0;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => pause(what, &error, &mut failures).await,
        }
    }
}

/// As [`until_answered`], but for what may be refused for what it says: that would be refused for ever.
///
/// # Errors
/// The refusal.
pub(crate) async fn until_decided<T, F>(what: &'static str, ask: impl Fn() -> F) -> Result<T, TransitionError>
where
    F: Future<Output = Result<T, TransitionError>>,
{
    let mut failures = 0;
    loop {
        match ask().await {
            Err(TransitionError::Store(error)) if !error.is_refusal() => {
                pause(what, &error, &mut failures).await
            }
            decided => return decided,
        }
    }
}

async fn pause(what: &'static str, error: &StoreError, failures: &mut u32) {
    tracing::warn!(what, error = error as &dyn std::error::Error, "database does not answer");
    *failures = failures.saturating_add(1);
    tokio::time::sleep(BACKOFF.plain_delay(*failures)).await;
}
