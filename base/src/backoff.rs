//! The wait before the next try of something that failed.

use std::time::Duration;

use rand::{Rng, RngExt};

/// An exponential backoff with jitter.
///
/// The delay before the n-th try in a row is `initial * factor^(n-1)`, at most `max`, and is then moved
/// by up to `jitter` in either direction so that siblings that failed together do not return together. The
/// result never exceeds `max`.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Backoff {
    initial: Duration,
    max: Duration,
    factor: f64,
    jitter: f64,
}

impl Default for Backoff {
    /// 100 ms, doubling up to 30 s, with a fifth of jitter.
    fn default() -> Self {
        Self::new(Duration::from_millis(100), Duration::from_secs(30))
    }
}

impl Backoff {
    /// Creates a backoff that doubles from `initial` up to `max`, with a fifth of jitter.
    pub const fn new(initial: Duration, max: Duration) -> Self {
        Self { initial, max, factor: 2.0, jitter: 0.2 }
    }

    /// Creates a backoff that always waits exactly `delay`.
    pub const fn fixed(delay: Duration) -> Self {
        Self { initial: delay, max: delay, factor: 1.0, jitter: 0.0 }
    }

    /// Sets the growth per try; values below 1 count as 1.
    pub const fn factor(mut self, factor: f64) -> Self {
        self.factor = factor.max(1.0);
        self
    }

    /// Sets the jitter as a fraction of the delay, clamped to 0 (none) ..= 1 (anything from nothing to double).
    pub const fn jitter(mut self, jitter: f64) -> Self {
        self.jitter = jitter.clamp(0.0, 1.0);
        self
    }

    /// Returns the delay without jitter, for waits that nobody shares: see [`delay`](Self::delay).
    pub fn plain_delay(&self, failures: u32) -> Duration {
        // A huge exponent saturates at infinity, which `min` brings back to `max`.
        let exponent = i32::try_from(failures.saturating_sub(1)).unwrap_or(i32::MAX);
        let grown_sec = self.initial.as_secs_f64() * self.factor.powi(exponent);
        let delay_sec = grown_sec.min(self.max.as_secs_f64());
        Duration::try_from_secs_f64(delay_sec).unwrap_or(self.max).min(self.max)
    }

    /// Returns the delay before the try that follows the `failures`-th failure in a row (counted from 1).
    pub fn delay(&self, failures: u32, rng: &mut impl Rng) -> Duration {
        let max_sec = self.max.as_secs_f64();
        let swing = if self.jitter > 0.0 { rng.random_range(-self.jitter..=self.jitter) } else { 0.0 };
        let delay_sec = (self.plain_delay(failures).as_secs_f64() * (1.0 + swing)).clamp(0.0, max_sec);
        Duration::try_from_secs_f64(delay_sec).unwrap_or(self.max).min(self.max)
    }
}

#[cfg(test)]
mod tests {
    use rand::{SeedableRng, rngs::StdRng};

    use super::*;

    #[test]
    fn delays_double_up_to_the_maximum() {
        let backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(1)).jitter(0.0);
        let mut rng = StdRng::seed_from_u64(1);
        let delays: Vec<_> = (1..=6).map(|n| backoff.delay(n, &mut rng).as_millis()).collect();
        assert_eq!(delays, [100, 200, 400, 800, 1000, 1000]);
    }

    #[test]
    fn jitter_stays_within_its_bounds_and_varies() {
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(60)).jitter(0.2);
        let mut rng = StdRng::seed_from_u64(7);
        let delays: Vec<_> = (0..200).map(|_| backoff.delay(1, &mut rng)).collect();
        assert!(delays.iter().all(|d| (800..=1200).contains(&d.as_millis())));
        assert!(delays.iter().any(|d| *d != delays[0]));
    }

    #[test]
    fn the_same_seed_gives_the_same_delays() {
        let backoff = Backoff::default();
        let delays = |seed| {
            let mut rng = StdRng::seed_from_u64(seed);
            (1..8).map(|n| backoff.delay(n, &mut rng)).collect::<Vec<_>>()
        };
        assert_eq!(delays(3), delays(3));
        assert_ne!(delays(3), delays(4));
    }

    #[test]
    fn extreme_values_saturate() {
        let mut rng = StdRng::seed_from_u64(1);
        let backoff = Backoff::new(Duration::from_secs(1), Duration::from_secs(30)).factor(1e300);
        assert!(backoff.delay(u32::MAX, &mut rng) <= Duration::from_secs(30));
        assert!(backoff.delay(0, &mut rng) <= Duration::from_secs(2));
        let endless = Backoff::new(Duration::MAX, Duration::MAX);
        assert!(endless.delay(9, &mut rng) <= Duration::MAX);
        assert_eq!(Backoff::fixed(Duration::ZERO).delay(9, &mut rng), Duration::ZERO);
    }
}
