//! Chance: secrets, and the jitter of waits.
//!
//! Ids are the exception: their randomness is `domain/`'s own (`ids.rs`), because no test depends on their value.

use std::{convert::Infallible, sync::Arc};

use parking_lot::Mutex;
use rand::{
    Rng as _, SeedableRng as _, TryRng,
    distr::{Alphanumeric, SampleString as _},
    rngs::StdRng,
};

/// A source of random numbers, fit for secrets if its seed is; clones share it.
#[derive(Debug, Clone)]
pub struct Rng {
    state: Arc<Mutex<StdRng>>,
}

impl Rng {
    /// Returns a source with a seed of the operating system. For `main` alone: everything else is given one.
    pub fn process() -> Self {
        #[expect(clippy::disallowed_methods, reason = "the one place where a process gets its chance from")]
        let state = StdRng::from_rng(&mut rand::rng());
        Self { state: Arc::new(Mutex::new(state)) }
    }

    /// Returns a source that yields the same numbers for the same seed, for tests.
    pub fn seeded(seed: u64) -> Self {
        Self { state: Arc::new(Mutex::new(StdRng::seed_from_u64(seed))) }
    }

    /// Returns `count` random letters and digits of ASCII; each has 5.95 bits.
    pub fn alphanumeric(&self, count: usize) -> String {
        Alphanumeric.sample_string(&mut *self.state.lock(), count)
    }

    /// Returns random bytes.
    pub fn bytes<const N: usize>(&self) -> [u8; N] {
        let mut bytes = [0; N];
        self.state.lock().fill_bytes(&mut bytes);
        bytes
    }
}

/// Lets a source be given to whatever takes one of the `rand` crate.
impl TryRng for Rng {
    type Error = Infallible;

    fn try_next_u32(&mut self) -> Result<u32, Infallible> {
        Ok(self.state.lock().next_u32())
    }

    fn try_next_u64(&mut self) -> Result<u64, Infallible> {
        Ok(self.state.lock().next_u64())
    }

    fn try_fill_bytes(&mut self, bytes: &mut [u8]) -> Result<(), Infallible> {
        self.state.lock().fill_bytes(bytes);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_gives_the_same_numbers_and_clones_share_them() {
        let (one, other) = (Rng::seeded(7), Rng::seeded(7));
        assert_eq!(one.alphanumeric(20), other.alphanumeric(20));
        assert_ne!(one.clone().bytes::<16>(), one.bytes::<16>());
    }
}
