//! Asking the database until it answers.

use std::{future::Future, time::Duration};

use wrenn_store::StoreError;

const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(5);

/// Repeats `ask` until it succeeds, for what must not be given up while the database is away.
///
/// The caller ends it by dropping the future.
pub(crate) async fn until_answered<T, F>(what: &'static str, ask: impl Fn() -> F) -> T
where
    F: Future<Output = Result<T, StoreError>>,
{
    let mut delay = FIRST_DELAY;
    loop {
        match ask().await {
            Ok(answer) => return answer,
            Err(error) => {
                tracing::warn!(what, error = &error as &dyn std::error::Error, "database does not answer")
            }
        }
        tokio::time::sleep(delay).await;
        delay = (delay * 2).min(LONGEST_DELAY);
    }
}
