//! The connection to Redis. Nothing but the build queue depends on it: when it is lost, `/health` says
//! so and everything else goes on.

use std::time::Duration;

use bb8_redis::{RedisConnectionManager, bb8, redis};

/// How long anything waits for Redis.
const TIMEOUT: Duration = Duration::from_secs(2);

/// Why Redis did not answer.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RedisError {
    #[error("the address is not valid")]
    Address(#[source] redis::RedisError),
    #[error("no connection within {} s", TIMEOUT.as_secs())]
    Connect(#[source] bb8::RunError<redis::RedisError>),
    #[error("it did not answer")]
    Answer(#[source] redis::RedisError),
    #[error("it did not answer within {} s", TIMEOUT.as_secs())]
    Timeout,
}

/// A small pool of connections, made when they are needed.
#[derive(Debug, Clone)]
pub(crate) struct Redis {
    pool: bb8::Pool<RedisConnectionManager>,
}

impl Redis {
    /// A pool for this address; connects to nothing yet.
    pub(crate) fn new(url: &str) -> Result<Self, RedisError> {
        let manager = RedisConnectionManager::new(url).map_err(RedisError::Address)?;
        let pool = bb8::Pool::builder().max_size(4).connection_timeout(TIMEOUT).build_unchecked(manager);
        Ok(Self { pool })
    }

    /// Succeeds when Redis answers.
    pub(crate) async fn ping(&self) -> Result<(), RedisError> {
        let ping = async {
            let mut connection = self.pool.get().await.map_err(RedisError::Connect)?;
            redis::cmd("PING").query_async::<()>(&mut *connection).await.map_err(RedisError::Answer)
        };
        tokio::time::timeout(TIMEOUT, ping).await.map_err(|_| RedisError::Timeout)?
    }
}
