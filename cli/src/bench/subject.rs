//! The installation that is measured, and the clock by which it is.

use wrenn_base::{Clock, Rng};

use crate::{client::Client, stopwatch::Stopwatch};

/// Running installation that is measured.
pub(super) struct Subject {
    pub(super) client: Client,
    pub(super) clock: Clock,
    /// Source of the contents of files.
    pub(super) rng: Rng,
}

impl Subject {
    /// Starts to measure a time.
    pub(super) fn stopwatch(&self) -> Stopwatch {
        Stopwatch::start(&self.clock)
    }
}
