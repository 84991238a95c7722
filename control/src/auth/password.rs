//! Hashing of passwords with argon2id, off the threads that serve requests.

use std::{sync::Arc, time::Duration};

use argon2::{
    Argon2,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::{sync::Semaphore, time::timeout};

/// Concurrent hashes; each takes 19 MiB and a whole core.
const CONCURRENT_HASHES: usize = 2;
/// Longest wait of a hash for its turn.
const TURN_WITHIN: Duration = Duration::from_secs(5);

/// The reason for which a password could not be hashed or compared. A wrong password is no error.
#[derive(Debug, thiserror::Error)]
pub enum PasswordError {
    /// The hash function failed.
    #[error("hashing failed")]
    Hash(#[source] argon2::password_hash::Error),
    /// The hash in the database cannot be parsed.
    #[error("a stored hash cannot be read")]
    StoredHash(#[source] argon2::password_hash::phc::Error),
    /// Other hashes left no capacity in time.
    #[error("too many passwords are being compared; try again in a moment")]
    Busy,
    /// The thread that hashes panicked.
    #[error("the hashing thread was lost")]
    Lost,
}

/// Hashes and compares passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    turn_within: Duration,
    /// Hash to compare with if there is no account, so that the response takes the same time.
    decoy: String,
}

impl Passwords {
    /// Computes the decoy, which takes as long as one hash.
    pub(crate) fn new() -> Result<Self, PasswordError> {
        Ok(Self {
            permits: Arc::new(Semaphore::new(CONCURRENT_HASHES)),
            turn_within: TURN_WITHIN,
            decoy: hash("no account has this one")?,
        })
    }

    /// Returns the PHC string of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        self.off_thread(move || hash(&password)).await
    }

    /// Returns true if the password matches the stored hash. Without a hash it returns false, and takes the same time.
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
        // The permit moves into the work, which continues if the client disconnects.
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
