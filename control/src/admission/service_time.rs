//! Smoothed time for which a request holds its slot.

use std::time::Duration;

/// Estimate of a server that has measured nothing: a handful of statements of 1 to 2 ms. Too low rather than too high,
/// as a cold server must not refuse the burst that follows its start; a wrong start is forgotten within 200 requests.
const INITIAL: Duration = Duration::from_millis(10);
/// Lower bound of the estimate: no use case is faster than one round trip to the database. A burst of cheap requests,
/// or of ones that fail validation, therefore does not promise what the next real ones cannot keep.
const SHORTEST: Duration = Duration::from_millis(1);
/// Weight of one sample is 1 / `WINDOW`: the deviation of the estimate is an eighth of that of the samples.
const WINDOW: u32 = 32;
/// A sample counts as at most this multiple of the estimate. A single request that is stuck for a minute raises the
/// estimate by a tenth; a database that became 10 times slower raises it by 10 within 26 requests.
const MAX_RATIO: u32 = 4;

/// Exponentially weighted moving average of the time from grant to release.
#[derive(Debug, Clone, Copy)]
pub(super) struct ServiceTime {
    smoothed: Duration,
    longest: Duration,
}

impl ServiceTime {
    /// Starts with a default; the estimate never exceeds `longest`.
    pub(super) fn new(longest: Duration) -> Self {
        Self { smoothed: INITIAL.min(longest), longest }
    }

    /// Adds a measured time.
    pub(super) fn record(&mut self, sample: Duration) {
        let sample = sample.min(self.smoothed * MAX_RATIO);
        let smoothed = (self.smoothed * (WINDOW - 1) + sample) / WINDOW;
        self.smoothed = smoothed.clamp(SHORTEST, self.longest);
    }

    /// Returns the estimate, given that every request in flight has held its slot for at least `held`.
    ///
    /// Without that bound the estimate would stay low while the database hangs, since nothing is released then.
    pub(super) fn estimate(&self, held: Duration) -> Duration {
        self.smoothed.max(held).min(self.longest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONGEST: Duration = Duration::from_secs(5);

    fn after(samples: impl IntoIterator<Item = Duration>) -> Duration {
        let mut time = ServiceTime::new(LONGEST);
        samples.into_iter().for_each(|sample| time.record(sample));
        time.estimate(Duration::ZERO)
    }

    #[test]
    fn converges_to_the_true_time_from_either_side() {
        for (sample, requests) in [(1, 200), (5, 200), (40, 200), (1000, 300)] {
            let sample = Duration::from_millis(sample);
            let estimate = after(std::iter::repeat_n(sample, requests));
            assert!(estimate.abs_diff(sample) < sample / 5, "{sample:?} was estimated as {estimate:?}");
        }
    }

    #[test]
    fn ten_times_slower_is_noticed_within_26_requests() {
        assert!(after([INITIAL * 40; 26]) >= INITIAL * 10);
    }

    #[test]
    fn a_stuck_request_raises_the_estimate_by_a_tenth() {
        let estimate = after([Duration::from_secs(3600)]);
        assert!(estimate < INITIAL * 11 / 10, "{estimate:?}");
    }

    #[test]
    fn estimate_stays_within_its_bounds() {
        assert_eq!(after([Duration::ZERO; 10_000]), SHORTEST);
        assert_eq!(after([Duration::from_secs(60); 10_000]), LONGEST);
        assert_eq!(ServiceTime::new(LONGEST).estimate(Duration::from_secs(60)), LONGEST);
    }

    #[test]
    fn a_stall_counts_only_as_long_as_it_lasts() {
        let time = ServiceTime::new(LONGEST);
        assert_eq!(time.estimate(Duration::from_secs(2)), Duration::from_secs(2));
        assert_eq!(time.estimate(Duration::ZERO), INITIAL);
    }
}
