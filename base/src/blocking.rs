//! Work that blocks its thread, on a thread that is there for it.

use std::io;

use tokio::task::spawn_blocking;

/// Runs `work` on tokio's threads for blocking work and waits for it.
///
/// Work that has begun goes on if the caller drops the future.
///
/// # Errors
/// The error of the work; [`io::ErrorKind::Other`] if it panicked, or the runtime ended before it began.
pub async fn blocking<T, E>(work: impl FnOnce() -> Result<T, E> + Send + 'static) -> Result<T, E>
where
    T: Send + 'static,
    E: From<io::Error> + Send + 'static,
{
    spawn_blocking(work).await.unwrap_or_else(|lost| Err(io::Error::other(lost).into()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn work_that_panics_is_an_error() {
        assert_eq!(blocking(|| io::Result::Ok(7)).await.unwrap(), 7);
        let lost = blocking(|| -> io::Result<()> { panic!("on purpose") }).await.unwrap_err();
        assert_eq!(lost.kind(), io::ErrorKind::Other);
    }
}
