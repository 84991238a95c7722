//! The ranges of time for which clients ask.
//!
//! A range ends with the newest point, not with the present: so a capsule that is paused or gone shows its last minutes or
//! hours, and a host whose clock is wrong shows what it has.

use super::{Point, Tier, mean};
use crate::word::words;

words! {
    /// Range of measurements.
    MetricsRange, "range" {
        /// Five minutes.
        Minutes5 = "5m",
        /// Ten minutes.
        Minutes10 = "10m",
        /// One hour.
        Hour = "1h",
        /// Two hours.
        Hours2 = "2h",
        /// Six hours.
        Hours6 = "6h",
        /// Twelve hours.
        Hours12 = "12h",
        /// A day.
        Day = "24h",
    }
}

impl MetricsRange {
    /// Range of whoever names none.
    pub const DEFAULT: Self = Self::Minutes10;

    /// Returns how long it is, in ms.
    pub const fn span_ms(self) -> u64 {
        const MINUTE: u64 = 60_000;
        match self {
            Self::Minutes5 => 5 * MINUTE,
            Self::Minutes10 => 10 * MINUTE,
            Self::Hour => 60 * MINUTE,
            Self::Hours2 => 120 * MINUTE,
            Self::Hours6 => 360 * MINUTE,
            Self::Hours12 => 720 * MINUTE,
            Self::Day => 1440 * MINUTE,
        }
    }

    /// Returns the tier from which it is answered: the finest that covers it.
    pub const fn tier(self) -> Tier {
        match self {
            Self::Minutes5 | Self::Minutes10 => Tier::Fine,
            Self::Hour | Self::Hours2 => Tier::Medium,
            Self::Hours6 | Self::Hours12 | Self::Day => Tier::Coarse,
        }
    }

    /// Returns the time from one point of the answer to the next, in ms: whole seconds, since times of points are.
    pub const fn step_ms(self) -> u64 {
        match self.tier() {
            Tier::Fine => 1000,
            tier => tier.period_ms(),
        }
    }

    /// Returns the points of the answer: those of the range's tier that are not older than the range, counted from the
    /// newest, one for each step.
    pub fn select(self, points: &[Point]) -> Vec<Point> {
        let step_of = |at_ms: u64| at_ms - at_ms % self.step_ms();
        let Some(newest) = points.last() else { return Vec::new() };
        let after = step_of(newest.at_ms).checked_sub(self.span_ms());
        let first = points.partition_point(|point| after.is_some_and(|after| step_of(point.at_ms) <= after));
        let steps = points[first..].chunk_by(|a, b| step_of(a.at_ms) == step_of(b.at_ms));
        steps.filter_map(|step| mean(step_of(step.first()?.at_ms), step.iter().copied())).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn every(period_ms: u64, count: u64) -> Vec<Point> {
        let point = |n: u64| Point {
            at_ms: 1_764_504_000_000 + n * period_ms,
            cpu_pct: n as f32,
            net_in_bytes: n,
            ..Point::default()
        };
        (0..count).map(point).collect()
    }

    #[test]
    fn each_range_has_as_many_points_as_it_is_long() {
        let expected =
            [("5m", 300), ("10m", 600), ("1h", 120), ("2h", 240), ("6h", 72), ("12h", 144), ("24h", 288)];
        assert_eq!(expected.len(), MetricsRange::ALL.len());
        for (name, count) in expected {
            let range: MetricsRange = name.parse().unwrap();
            assert!(range.span_ms() <= range.tier().span_ms(), "{name} is covered");
            let points = every(range.tier().period_ms(), range.tier().capacity() as u64 + 1);
            let selected = range.select(&points);
            assert_eq!(selected.len(), count, "{name}");
            assert!(selected.windows(2).all(|pair| pair[1].at_ms - pair[0].at_ms == range.step_ms()));
            let newest = points.last().unwrap().at_ms;
            assert_eq!(selected.last().unwrap().at_ms, newest - newest % range.step_ms());
        }
        assert!("3h".parse::<MetricsRange>().is_err());
    }

    #[test]
    fn two_samples_of_a_second_become_one_point() {
        let selected = MetricsRange::Minutes5.select(&every(500, 5));
        let cpu: Vec<f32> = selected.iter().map(|point| point.cpu_pct).collect();
        assert_eq!(cpu, [0.5, 2.5, 4.0]);
        assert_eq!(selected[1].net_in_bytes, 3, "the last counter");
    }

    #[test]
    fn gaps_stay_and_a_range_ends_with_the_newest_point() {
        let mut points = every(30_000, 200);
        points.drain(100..180);
        let selected = MetricsRange::Hour.select(&points);
        let newest = points.last().unwrap().at_ms;
        assert!(selected.iter().all(|point| point.at_ms > newest - 3_600_000));
        assert_eq!(selected.len(), 20 + 20, "an hour has 120 points, and 80 of them are missing");
        assert_eq!(MetricsRange::Hour.select(&[]), []);
    }
}
