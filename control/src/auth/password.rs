//! Passwords, hashed with argon2id away from the threads that serve requests.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::{sync::Semaphore, time::timeout};

use crate::error::ApiError;

/// Hashes at the same time. Each takes 19 MiB and a whole core.
const CONCURRENT_HASHES: usize = 2;
/// How long a hash waits for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);
/// Shortest password, in characters.
const MIN_CHARACTERS: usize = 8;
/// Longest password; more would only make hashing an expense.
const MAX_BYTES: usize = 1024;

/// Why a password could not be hashed or compared; never because it is wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PasswordError {
    #[error("hashing failed")]
    Hash(#[source] argon2::password_hash::Error),
    #[error("a stored hash cannot be read")]
    StoredHash(#[source] argon2::password_hash::phc::Error),
    #[error("too many passwords are being compared; try again in a moment")]
    Busy,
    #[error("the hashing thread was lost")]
    Lost,
}

/// Says what is wrong with a new password, if anything.
pub(crate) fn check(password: &str) -> Result<(), ApiError> {
    let wrong = if password.chars().count() < MIN_CHARACTERS {
        format!("password: must have at least {MIN_CHARACTERS} characters")
    } else if password.len() > MAX_BYTES {
        format!("password: must have at most {MAX_BYTES} bytes")
    } else {
        return Ok(());
    };
    Err(ApiError::new(wrenn_domain::error_code::ErrorCode::InvalidRequest, wrong))
}

/// Hashes and compares passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    turn_within: Duration,
    /// Compared with when there is no account, so that the answer takes the same time.
    decoy: String,
}

impl Passwords {
    /// Makes the decoy, which takes as long as one hash.
    pub(crate) fn new() -> Result<Self, PasswordError> {
        Ok(Self {
            permits: Arc::new(Semaphore::new(CONCURRENT_HASHES)),
            turn_within: TURN_WITHIN,
            decoy: hash("no account has this one")?,
        })
    }

    /// The PHC string of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.off_thread(move || hash(&password)).await
    }

    /// Whether the password is the one behind the hash; false, but no sooner, when there is no hash.
    pub(crate) async fn verify(
        &self,
        password: String,
        stored: Option<String>,
    ) -> Result<bool, PasswordError> {
        let exists = stored.is_some();
        let stored = stored.unwrap_or_else(|| self.decoy.clone());
        let matches = self
            .off_thread(move || {
                let stored = PasswordHash::new(&stored).map_err(PasswordError::StoredHash)?;
                Ok(Argon2::default().verify_password(password.as_bytes(), &stored).is_ok())
            })
            .await?;
        Ok(exists && matches)
    }

    async fn off_thread<T: Send + 'static>(
        &self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let turn = timeout(self.turn_within, self.permits.clone().acquire_owned());
        let permit = turn.await.map_err(|_| PasswordError::Busy)?.map_err(|_| PasswordError::Lost)?;
        // The permit goes with the work, which goes on when its client leaves.
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        tokio::task::spawn_blocking(work).await.map_err(|_| PasswordError::Lost)?
    }
}

fn hash(password: &str) -> Result<String, PasswordError> {
    let hash = Argon2::default().hash_password(password.as_bytes()).map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let passwords = Passwords::new().unwrap();
        let stored = passwords.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(passwords.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("correct house".into(), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_turn() {
        let mut passwords = Passwords::new().unwrap();
        passwords.turn_within = Duration::ZERO;
        let permits = passwords.permits.clone();
        let _taken = permits.acquire_many(2).await.unwrap();
        assert!(matches!(passwords.hash("correct horse".into()).await, Err(PasswordError::Busy)));
    }

    #[tokio::test]
    async fn the_decoy_opens_nothing() {
        let passwords = Passwords::new().unwrap();
        assert!(!passwords.verify("no account has this one".into(), None).await.unwrap());
    }
}
