//! How often an actor may fail before its failure becomes its parent's business.

use std::{
    collections::VecDeque,
    time::{Duration, Instant},
};

use crate::exit::Failure;

/// The number of restarts allowed within a sliding window of time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartLimit {
    max_restarts: u32,
    window: Duration,
}

impl Default for RestartLimit {
    /// Ten restarts within two minutes.
    fn default() -> Self {
        Self::new(10, Duration::from_secs(120))
    }
}

impl RestartLimit {
    /// Allows `max_restarts` restarts within any span of `window`; the next failure escalates.
    pub const fn new(max_restarts: u32, window: Duration) -> Self {
        Self { max_restarts, window }
    }

    /// Allows no restart: the first failure escalates.
    pub const fn never_restart() -> Self {
        Self::new(0, Duration::ZERO)
    }
}

/// What a failure leads to.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Restart; this is the n-th failure within the window (counted from 1).
    Restart { failures_in_window: u32 },
    /// The limit is spent; these are the failures within the window, oldest first, and the span they cover.
    Escalate { failures: Vec<Failure>, within: Duration },
}

/// The failures of one actor that still count against its limit. At most `max_restarts + 1` are kept.
#[derive(Debug)]
pub(crate) struct FailureWindow {
    limit: RestartLimit,
    recent: VecDeque<(Instant, Failure)>,
}

impl FailureWindow {
    pub(crate) fn new(limit: RestartLimit) -> Self {
        Self { limit, recent: VecDeque::new() }
    }

    pub(crate) fn record(&mut self, now: Instant, failure: Failure) -> Verdict {
        while self.recent.front().is_some_and(|(at, _)| now.duration_since(*at) >= self.limit.window) {
            self.recent.pop_front();
        }
        self.recent.push_back((now, failure));
        let failures_in_window = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if failures_in_window > self.limit.max_restarts {
            let within =
                self.recent.front().map_or(Duration::ZERO, |(oldest, _)| now.duration_since(*oldest));
            Verdict::Escalate {
                failures: self.recent.drain(..).map(|(_, failure)| failure).collect(),
                within,
            }
        } else {
            Verdict::Restart { failures_in_window }
        }
    }
}

#[cfg(test)]
mod tests {
    use wrenn_base::Clock;

    use super::*;

    fn failure(n: u32) -> Failure {
        Failure::Declared(n.to_string())
    }

    #[test]
    fn the_failure_after_the_last_allowed_restart_escalates_with_all_of_them() {
        let mut window = FailureWindow::new(RestartLimit::new(2, Duration::from_secs(10)));
        let now = Clock::manual().0.now();
        assert_eq!(window.record(now, failure(1)), Verdict::Restart { failures_in_window: 1 });
        assert_eq!(window.record(now, failure(2)), Verdict::Restart { failures_in_window: 2 });
        let later = now + Duration::from_secs(3);
        let failures = vec![failure(1), failure(2), failure(3)];
        let within = Duration::from_secs(3);
        assert_eq!(window.record(later, failure(3)), Verdict::Escalate { failures, within });
    }

    #[test]
    fn failures_older_than_the_window_are_forgiven() {
        let mut window = FailureWindow::new(RestartLimit::new(1, Duration::from_secs(10)));
        let start = Clock::manual().0.now();
        for n in 0..20 {
            let at = start + Duration::from_secs(10 * n);
            assert_eq!(window.record(at, failure(0)), Verdict::Restart { failures_in_window: 1 });
        }
    }

    #[test]
    fn never_restart_escalates_at_once() {
        let mut window = FailureWindow::new(RestartLimit::never_restart());
        assert!(matches!(window.record(Clock::manual().0.now(), failure(1)), Verdict::Escalate { .. }));
    }
}
