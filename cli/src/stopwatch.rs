//! The time that something takes.

use std::time::{Duration, Instant};

use wrenn_base::Clock;

/// Measures the time since it was started.
#[derive(Debug, Clone)]
pub struct Stopwatch {
    clock: Clock,
    begun: Instant,
}

impl Stopwatch {
    /// Starts one.
    pub fn start(clock: &Clock) -> Self {
        Self { clock: clock.clone(), begun: clock.now() }
    }

    /// Returns the time since the start.
    pub fn elapsed(&self) -> Duration {
        self.clock.since(self.begun)
    }

    /// Returns the time since the start, in milliseconds.
    pub fn ms(&self) -> f64 {
        self.elapsed().as_secs_f64() * 1000.0
    }
}
