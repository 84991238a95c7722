//! The time of a process: when it is, and how to wait.
//!
//! ```text
//!   Clock::process() ─▶ tokio's time, which a paused runtime stops
//!   Clock::manual()  ─▶ stands until ManualClock::advance; on every thread and runtime alike
//! ```
//!
//! Waits and backoffs go by this clock. What is kept in the database is stamped and judged by Postgres' clock.

use std::{
    fmt,
    future::Future,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use chrono::{DateTime, Utc};
use tokio::{sync::watch, time};

/// A clock, which is given to whatever needs the time; clones share it.
#[derive(Clone)]
pub struct Clock(Source);

#[derive(Clone)]
enum Source {
    Process,
    Manual(Arc<Manual>),
}

struct Manual {
    began: Instant,
    wall_began: SystemTime,
    passed: watch::Sender<Duration>,
}

/// Error of a wait whose time was over first.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Elapsed;

impl fmt::Display for Elapsed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the time is over")
    }
}

impl std::error::Error for Elapsed {}

#[expect(clippy::disallowed_methods, reason = "the one place that asks for the time")]
impl Clock {
    /// Returns the clock of the process. For `main` alone: everything else is given one.
    pub const fn process() -> Self {
        Self(Source::Process)
    }

    /// Returns a clock that stands, and the hand that advances it, for tests.
    pub fn manual() -> (Self, ManualClock) {
        let (passed, _) = watch::channel(Duration::ZERO);
        let manual = Manual { began: Instant::now(), wall_began: SystemTime::now(), passed };
        let manual = Arc::new(manual);
        (Self(Source::Manual(manual.clone())), ManualClock(manual))
    }

    /// Returns the instant, which never goes back.
    pub fn now(&self) -> Instant {
        match &self.0 {
            Source::Process => time::Instant::now().into_std(),
            Source::Manual(manual) => manual.began + *manual.passed.borrow(),
        }
    }

    /// Returns the time of day, which can be set and go back: for logs, files and what people see.
    pub fn wall(&self) -> SystemTime {
        match &self.0 {
            Source::Process => SystemTime::now(),
            Source::Manual(manual) => manual.wall_began + *manual.passed.borrow(),
        }
    }

    /// Returns the time of day as a date.
    pub fn utc(&self) -> DateTime<Utc> {
        self.wall().into()
    }
}

impl Clock {
    /// Returns how long ago an instant was; zero for one to come.
    pub fn since(&self, instant: Instant) -> Duration {
        self.now().saturating_duration_since(instant)
    }

    /// Waits until an instant.
    pub async fn sleep_until(&self, deadline: Instant) {
        match &self.0 {
            Source::Process => time::sleep_until(deadline.into()).await,
            Source::Manual(manual) => {
                let mut passed = manual.passed.subscribe();
                let is_due = |passed: &Duration| manual.began + *passed >= deadline;
                // The sender lives in `manual`, so the channel is open.
                let _ = passed.wait_for(is_due).await;
            }
        }
    }

    /// Waits for a while.
    pub async fn sleep(&self, duration: Duration) {
        match &self.0 {
            Source::Process => time::sleep(duration).await,
            Source::Manual(_) => self.sleep_until(self.now() + duration).await,
        }
    }

    /// Waits for `future`, at most for a while.
    ///
    /// # Errors
    /// [`Elapsed`] if the time is over; the future is dropped then.
    pub async fn timeout<F: Future>(&self, within: Duration, future: F) -> Result<F::Output, Elapsed> {
        tokio::select! {
            biased;
            done = future => Ok(done),
            () = self.sleep(within) => Err(Elapsed),
        }
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.0 {
            Source::Process => "Clock(process)",
            Source::Manual(_) => "Clock(manual)",
        })
    }
}

/// The hand of a clock that stands.
pub struct ManualClock(Arc<Manual>);

impl ManualClock {
    /// Lets time pass; whoever waits for a moment that is over by then goes on.
    pub fn advance(&self, duration: Duration) {
        self.0.passed.send_modify(|passed| *passed += duration);
    }

    /// Returns how many waits there are, so that a test can wait until somebody waits.
    pub fn sleepers(&self) -> usize {
        self.0.passed.receiver_count()
    }
}

impl fmt::Debug for ManualClock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ManualClock").field("passed", &*self.0.passed.borrow()).finish()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const HOUR: Duration = Duration::from_secs(3600);

    #[tokio::test]
    async fn a_clock_that_stands_wakes_those_whose_time_has_come() {
        let (clock, hand) = Clock::manual();
        let begun = clock.now();
        let sleeper = clock.clone();
        let late = tokio::spawn(async move { sleeper.sleep(HOUR * 2).await });
        let sleeper = clock.clone();
        let early = tokio::spawn(async move { sleeper.timeout(HOUR, std::future::pending::<()>()).await });
        while hand.sleepers() < 2 {
            tokio::task::yield_now().await;
        }
        hand.advance(HOUR);
        assert_eq!(early.await.unwrap(), Err(Elapsed));
        assert_eq!(clock.since(begun), HOUR);
        assert!(!late.is_finished());
        hand.advance(HOUR);
        late.await.unwrap();
        assert_eq!(hand.sleepers(), 0);
    }

    #[tokio::test(start_paused = true)]
    #[expect(clippy::disallowed_methods, reason = "that clock is tested")]
    async fn the_clock_of_the_process_is_that_of_its_runtime() {
        let clock = Clock::process();
        let begun = clock.now();
        clock.sleep(HOUR).await;
        assert!(clock.since(begun) >= HOUR);
        assert_eq!(clock.timeout(HOUR, async { 7 }).await, Ok(7));
    }
}
