//! The queue of builds, in Redis: it wakes a worker as soon as there is something to do.
//!
//! ```text
//!   build is stored ─▶ push ─▶ Redis list ─▶ wait ─▶ a worker ─▶ claims in Postgres the build whose turn it is
//! ```
//!
//! What a worker takes out of the list is only the news that there is work; which build it takes up, and that nobody
//! else does, is decided in Postgres. So Redis may lose everything, at any moment: a build whose news is lost is found by
//! whoever looks now and then (see [`keeper`](super::keeper)), and news of a build that was taken up already is
//! followed by one look in vain. The order in which builds arrive is that of their rows.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, redis};
use tokio::time::timeout;
use wrenn_proto::ids::BuildId;

/// How long anything but a wait may take.
const ANSWER_WITHIN: Duration = Duration::from_secs(2);
/// The list.
const KEY: &str = "wrenn:builds";
/// Entries that are kept: more news than that tells nothing new.
const MAX_ENTRIES: usize = 10_000;

/// Why Redis did not do what it should.
#[derive(Debug, thiserror::Error)]
pub enum QueueError {
    /// REDIS_URL is no address.
    #[error("the address is not valid")]
    Address(#[source] redis::RedisError),
    /// There is no connection.
    #[error("no connection within {} s", ANSWER_WITHIN.as_secs())]
    Connect(#[source] bb8::RunError<redis::RedisError>),
    /// It answered with an error, or broke the connection.
    #[error("it did not answer as expected")]
    Answer(#[source] redis::RedisError),
    /// It took too long.
    #[error("it did not answer in time")]
    Timeout,
}

/// The way to the queue; clones share it.
#[derive(Debug, Clone)]
pub(crate) struct BuildQueue {
    pool: bb8::Pool<RedisConnectionManager>,
}

impl BuildQueue {
    /// Makes the way to Redis at this address, for so many that wait; connects to nothing yet.
    ///
    /// # Errors
    /// [`QueueError::Address`].
    pub(crate) fn new(url: &str, waiting: usize) -> Result<Self, QueueError> {
        let manager = RedisConnectionManager::new(url).map_err(QueueError::Address)?;
        // Whoever waits has a connection to himself.
        let size = u32::try_from(waiting).unwrap_or(u32::MAX).saturating_add(2);
        let pool = bb8::Pool::builder().max_size(size).connection_timeout(ANSWER_WITHIN);
        Ok(Self { pool: pool.build_unchecked(manager) })
    }

    /// Succeeds when Redis answers.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub(crate) async fn ping(&self) -> Result<(), QueueError> {
        self.ask::<()>(&redis::cmd("PING"), ANSWER_WITHIN).await
    }

    /// Tells that a build waits.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub(crate) async fn push(&self, build: BuildId) -> Result<(), QueueError> {
        self.ask::<()>(redis::cmd("LPUSH").arg(KEY).arg(build.to_string()), ANSWER_WITHIN).await?;
        self.ask::<()>(redis::cmd("LTRIM").arg(KEY).arg(0).arg(MAX_ENTRIES - 1), ANSWER_WITHIN).await
    }

    /// Waits until there is news, for at most `within`; returns whether there was.
    ///
    /// # Errors
    /// See [`QueueError`].
    pub(crate) async fn wait(&self, within: Duration) -> Result<bool, QueueError> {
        let mut pop = redis::cmd("BRPOP");
        pop.arg(KEY).arg(within.as_secs_f64());
        let popped = self.ask::<Option<(String, String)>>(&pop, within + ANSWER_WITHIN).await?;
        Ok(popped.is_some())
    }

    async fn ask<T: redis::FromRedisValue>(
        &self,
        command: &redis::Cmd,
        within: Duration,
    ) -> Result<T, QueueError> {
        let ask = async {
            let mut connection = self.pool.get().await.map_err(QueueError::Connect)?;
            // The library's own limit is shorter than a wait is long.
            connection.set_response_timeout(within);
            command.query_async::<T>(&mut *connection).await.map_err(QueueError::Answer)
        };
        timeout(within + ANSWER_WITHIN, ask).await.map_err(|_| QueueError::Timeout)?
    }
}
