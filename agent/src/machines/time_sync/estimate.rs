//! The rules of the exchange: which sample counts, which correction it calls for, and when the next check is due.

use std::{
    fmt,
    time::{Duration, Instant, SystemTime},
};

use wrenn_base::{Backoff, Rng};

use crate::guest::{Correction, UnixTime};

/// Greatest distance of a guest's wall clock from the host's.
pub const LIMIT: Duration = Duration::from_millis(50);
/// Error bound of a sample after which no other one is taken: a round trip to an emulated guest that was just restored.
const PRECISE: Duration = Duration::from_millis(10);
/// Offset from which the clock is stepped. The kernel slews half a millisecond a second, so that less than this takes less than
/// 50 s.
const STEP_FROM: Duration = Duration::from_millis(25);
/// Offset below which the clock is left alone, however precise the sample.
const NOISE: Duration = Duration::from_millis(1);
/// Waits between checks of a clock that is right. At the drift of two crystals, 50 millionths, four minutes make 13 ms.
const CERTAIN: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(256));
/// Waits between checks while the clock may be further away than the limit.
const DOUBTFUL: Backoff = Backoff::new(Duration::from_secs(2), Duration::from_secs(32));
/// Time in doubt that the operator is told of.
const DOUBT_MAX: Duration = Duration::from_secs(120);

/// Comparison of a guest's clock with the host's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Sample {
    /// Time of the host less that of the guest, in nanoseconds.
    offset_ns: i64,
    /// Error bound of the offset: half of the round trip.
    error: Duration,
}

/// Outcome of a check.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Checked {
    /// The clock is within the limit, and was not stepped.
    Right,
    /// The clock was stepped; the next check confirms it.
    Stepped,
    /// The clock may be further away than the limit.
    Doubtful,
}

impl Sample {
    /// Evaluates a round trip that began at `sent` by the host's clock.
    pub(super) fn new(sent: SystemTime, round_trip: Duration, guest: UnixTime) -> Self {
        let error = round_trip / 2;
        let sent = sent.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        let host_ns = i128::try_from((sent + error).as_nanos()).unwrap_or(i128::MAX);
        // The guest may say anything.
        let offset_ns = host_ns.saturating_sub(guest.nanoseconds.into());
        Self { offset_ns: clamp(offset_ns), error }
    }

    /// Returns the sample of the shorter round trip.
    pub(super) fn better(self, other: Self) -> Self {
        if other.error < self.error { other } else { self }
    }

    /// Returns true if another sample would not be worth its cost.
    pub(super) fn is_precise(&self) -> bool {
        self.error <= PRECISE
    }

    fn distance(&self) -> Duration {
        Duration::from_nanos(self.offset_ns.unsigned_abs())
    }

    /// Returns the correction that the sample calls for; `None` if the offset may be an error of the measurement.
    pub(super) fn correction(&self) -> Option<Correction> {
        let distance = self.distance();
        if distance <= self.error.max(NOISE) {
            None
        } else if distance < STEP_FROM {
            Some(Correction::Slew { nanoseconds: self.offset_ns })
        } else {
            Some(Correction::Step { nanoseconds: self.offset_ns })
        }
    }

    /// Returns the outcome of a check that made this correction.
    pub(super) fn outcome(&self, correction: Option<Correction>) -> Checked {
        let (farthest, certain) = match correction {
            Some(Correction::Step { .. }) => (self.error, Checked::Stepped),
            Some(Correction::Slew { .. }) | None => (self.distance() + self.error, Checked::Right),
        };
        if farthest <= LIMIT { certain } else { Checked::Doubtful }
    }
}

impl fmt::Display for Sample {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} µs ± {} µs", self.offset_ns / 1000, self.error.as_micros())
    }
}

fn clamp(nanoseconds: i128) -> i64 {
    i64::try_from(nanoseconds).unwrap_or(if nanoseconds < 0 { i64::MIN } else { i64::MAX })
}

/// Times of the checks of one clock.
#[derive(Debug, Default)]
pub(super) struct Schedule {
    right: u32,
    doubtful: u32,
}

impl Schedule {
    /// Returns the wait before the check that follows one with this outcome.
    pub(super) fn rest(&mut self, outcome: Checked, rng: &mut Rng) -> Duration {
        (self.right, self.doubtful) = match outcome {
            Checked::Right => (self.right.saturating_add(1), 0),
            Checked::Stepped => (1, 0),
            Checked::Doubtful => (0, self.doubtful.saturating_add(1)),
        };
        match outcome {
            Checked::Right | Checked::Stepped => CERTAIN.delay(self.right, rng),
            Checked::Doubtful => DOUBTFUL.delay(self.doubtful, rng),
        }
    }
}

/// Memory of a doubt, so that a long one is reported once.
#[derive(Debug, Default)]
pub(super) struct Doubt {
    since: Option<Instant>,
    is_reported: bool,
}

impl Doubt {
    /// Notes the outcome of a check; returns true if the doubt has become worth a report.
    pub(super) fn note(&mut self, outcome: Checked, now: Instant) -> bool {
        if outcome != Checked::Doubtful {
            *self = Self::default();
            return false;
        }
        let since = *self.since.get_or_insert(now);
        let is_due = !self.is_reported && now.saturating_duration_since(since) >= DOUBT_MAX;
        self.is_reported |= is_due;
        is_due
    }
}
