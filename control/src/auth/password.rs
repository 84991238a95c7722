//! Hashing of passwords with argon2id, off the threads that serve requests.

use std::{io, sync::Arc, time::Duration};

use argon2::{
    Argon2, RECOMMENDED_SALT_LEN,
    password_hash::{PasswordHasher as _, PasswordVerifier as _, phc::PasswordHash},
};
use tokio::{sync::Semaphore, time::timeout};
use wrenn_base::{Rng, blocking};

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
    Lost(#[from] io::Error),
}

/// Hashes and compares passwords.
#[derive(Debug)]
pub(crate) struct Passwords {
    permits: Arc<Semaphore>,
    /// Source of salts.
    rng: Rng,
    turn_within: Duration,
    /// Hash to compare with if there is no account, so that the response takes the same time.
    decoy: String,
}

impl Passwords {
    /// Computes the decoy, which takes as long as one hash.
    pub(crate) fn new(rng: Rng) -> Result<Self, PasswordError> {
        Ok(Self {
            permits: Arc::new(Semaphore::new(CONCURRENT_HASHES)),
            turn_within: TURN_WITHIN,
            decoy: hash("no account has this one", &rng)?,
            rng,
        })
    }

    /// Returns the PHC string of a password.
    pub(crate) async fn hash(&self, password: String) -> Result<String, PasswordError> {
        let rng = self.rng.clone();
        self.off_thread(move || hash(&password, &rng)).await
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
        let permit = turn.await.map_err(|_| PasswordError::Busy)?.map_err(io::Error::other)?;
        // The permit moves into the work, which continues if the client disconnects.
        let work = move || {
            let done = work();
            drop(permit);
            done
        };
        blocking(work).await
    }
}

fn hash(password: &str, rng: &Rng) -> Result<String, PasswordError> {
    let salt: [u8; RECOMMENDED_SALT_LEN] = rng.bytes();
    let hash = Argon2::default().hash_password_with_salt(password.as_bytes(), &salt);
    let hash = hash.map_err(PasswordError::Hash)?;
    Ok(hash.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn only_the_right_password_matches() {
        let passwords = Passwords::new(Rng::seeded(1)).unwrap();
        let stored = passwords.hash("correct horse".into()).await.unwrap();
        assert!(stored.starts_with("$argon2id$"));
        assert!(passwords.verify("correct horse".into(), Some(stored.clone())).await.unwrap());
        assert!(!passwords.verify("correct house".into(), Some(stored)).await.unwrap());
    }

    #[tokio::test]
    async fn nobody_waits_long_for_a_turn() {
        let mut passwords = Passwords::new(Rng::seeded(1)).unwrap();
        passwords.turn_within = Duration::ZERO;
        let permits = passwords.permits.clone();
        let _taken = permits.acquire_many(2).await.unwrap();
        assert!(matches!(passwords.hash("correct horse".into()).await, Err(PasswordError::Busy)));
    }

    #[tokio::test]
    async fn the_decoy_opens_nothing() {
        let passwords = Passwords::new(Rng::seeded(1)).unwrap();
        assert!(!passwords.verify("no account has this one".into(), None).await.unwrap());
    }
}
