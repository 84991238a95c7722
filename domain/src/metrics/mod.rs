//! Measurements of a capsule over time, as its host takes them and clients see them.
//!
//! ```text
//!   sample ─▶ History ─┬─ fine    500 ms   10 min ──▶ 5m, 10m          packed ─▶ link, database
//!                      ├─ medium  30 s     2 h    ──▶ 1h, 2h
//!                      └─ coarse  5 min    24 h   ──▶ 6h, 12h, 24h
//! ```
//!
//! | file | what it is |
//! |---|---|
//! | [`history`] | the three tiers of one capsule, and how samples become means |
//! | [`packed`] | the bytes in which a tier travels and is stored |
//! | [`range`] | the ranges that clients ask for |
//! | [`guest`] | what the guest says of itself |
//!
//! A point stands for the period that begins at its time. CPU, memory and disk are gauges: a coarser point is the mean of
//! the finer ones. Network figures are counters of all bytes so far: a coarser point has the last value. A period without
//! a sample has no point, in every tier.

pub mod guest;
pub mod history;
pub mod packed;
pub mod range;

use crate::word::words;

pub use self::{
    guest::GuestFigures,
    history::{Change, History},
    packed::{PackedError, pack, unpack},
    range::MetricsRange,
};

words! {
    /// Resolution in which measurements are kept.
    Tier, "tier of metrics" {
        /// Samples as they are taken.
        Fine = "fine",
        /// Means of half a minute.
        Medium = "medium",
        /// Means of five minutes.
        Coarse = "coarse",
    }
}

impl Tier {
    /// Returns the time from one point to the next, in ms.
    pub const fn period_ms(self) -> u64 {
        match self {
            Self::Fine => 500,
            Self::Medium => 30_000,
            Self::Coarse => 300_000,
        }
    }

    /// Returns the time for which points are kept, in ms.
    pub const fn span_ms(self) -> u64 {
        match self {
            Self::Fine => 600_000,
            Self::Medium => 7_200_000,
            Self::Coarse => 86_400_000,
        }
    }

    /// Returns the number of points that are kept at most.
    pub const fn capacity(self) -> usize {
        (self.span_ms() / self.period_ms()) as usize
    }

    /// Returns the beginning of the period in which a time lies.
    pub const fn period_of(self, at_ms: u64) -> u64 {
        at_ms - at_ms % self.period_ms()
    }
}

/// Measurements of one period.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// Beginning of the period, in ms since 1970.
    pub at_ms: u64,
    /// Processor time of the machine's process; 100 is one vCPU.
    pub cpu_pct: f32,
    /// Memory of the host that the machine occupies.
    pub memory_bytes: u64,
    /// Blocks of the host that the machine's disk occupies.
    pub disk_bytes: u64,
    /// All that the capsule has received so far.
    pub net_in_bytes: u64,
    /// All that the capsule has sent so far.
    pub net_out_bytes: u64,
}

/// Returns one point for several of a period, which are in the order of time; `None` if there are none.
fn mean(at_ms: u64, points: impl Iterator<Item = Point>) -> Option<Point> {
    let (mut count, mut cpu_pct, mut memory, mut disk) = (0_u64, 0.0_f64, 0_u128, 0_u128);
    let mut last = None;
    for point in points {
        count += 1;
        cpu_pct += f64::from(point.cpu_pct);
        memory += u128::from(point.memory_bytes);
        disk += u128::from(point.disk_bytes);
        last = Some(point);
    }
    let last = last?;
    // A mean is no larger than the largest value, so it fits.
    let of = |sum: u128| u64::try_from(sum / u128::from(count)).unwrap_or(u64::MAX);
    Some(Point {
        at_ms,
        cpu_pct: (cpu_pct / count as f64) as f32,
        memory_bytes: of(memory),
        disk_bytes: of(disk),
        net_in_bytes: last.net_in_bytes,
        net_out_bytes: last.net_out_bytes,
    })
}

/// Joins points of the same tier from two sources, in the order of time; where both have one, that of `newer` counts.
pub fn merge(older: &[Point], newer: &[Point]) -> Vec<Point> {
    let mut merged = Vec::with_capacity(older.len().max(newer.len()));
    let (mut older, mut newer) = (older.iter().copied().peekable(), newer.iter().copied().peekable());
    loop {
        merged.push(match (older.peek(), newer.peek()) {
            (Some(a), Some(b)) if a.at_ms < b.at_ms => older.next(),
            (Some(a), Some(b)) if a.at_ms == b.at_ms => {
                older.next();
                newer.next()
            }
            (Some(_), None) => older.next(),
            (_, Some(_)) => newer.next(),
            (None, None) => return merged.into_iter().flatten().collect(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(at_ms: u64, memory_bytes: u64) -> Point {
        Point { at_ms, memory_bytes, ..Point::default() }
    }

    #[test]
    fn the_tiers_hold_what_they_promise() {
        assert_eq!(Tier::ALL.iter().map(|tier| tier.capacity()).collect::<Vec<_>>(), [1200, 240, 288]);
        assert_eq!(Tier::Medium.period_of(59_999), 30_000);
        assert_eq!(Tier::Medium.period_of(60_000), 60_000);
    }

    #[test]
    fn points_of_two_sources_are_joined_by_their_time() {
        let (older, newer) = ([at(1, 1), at(2, 1), at(5, 1)], [at(2, 2), at(3, 2), at(9, 2)]);
        assert_eq!(merge(&older, &newer), [at(1, 1), at(2, 2), at(3, 2), at(5, 1), at(9, 2)]);
        assert_eq!(merge(&older, &[]), older);
        assert_eq!(merge(&[], &newer), newer);
        assert_eq!(merge(&[], &[]), []);
    }

    #[test]
    fn a_mean_is_exact_for_large_values_and_keeps_the_last_counter() {
        let large = |net: u64| Point { net_in_bytes: net, net_out_bytes: net * 2, ..at(0, u64::MAX) };
        let one = mean(7, [large(3), large(4)].into_iter()).unwrap();
        assert_eq!((one.at_ms, one.memory_bytes, one.net_in_bytes, one.net_out_bytes), (7, u64::MAX, 4, 8));
        assert_eq!(mean(7, std::iter::empty()), None);
    }
}
