//! Series: the samples of a range, downsampled into buckets of equal length.
//!
//! ```text
//!            now - range              now
//!   ├────────┼─┼────────┼────────┼─────┼──┤
//!   first bucket                last bucket       buckets begin at multiples of their length since 1970, in UTC
//! ```
//!
//! Buckets do not move with the time of the request, so a bucket that is over has the same label and the same value in
//! every answer. The first one holds the beginning of the range, the last one the time of the request.

use chrono::{DateTime, TimeDelta, Utc};

use super::{Reserved, Sample};
use crate::word::words;

words! {
    /// Time over which statistics are shown.
    StatsRange, "range" {
        /// Five minutes, each sample.
        FiveMinutes = "5m",
        /// An hour, by minutes.
        Hour = "1h",
        /// Six hours, by five minutes.
        SixHours = "6h",
        /// A day, by quarters of an hour.
        Day = "24h",
        /// Thirty days, by quarters of a day.
        ThirtyDays = "30d",
    }
}

impl StatsRange {
    /// Range unless a client says otherwise.
    pub const DEFAULT: Self = Self::Hour;
    /// Range of the peaks.
    pub const LONGEST: Self = Self::ThirtyDays;

    /// Returns the length of the range.
    pub const fn length(self) -> TimeDelta {
        match self {
            Self::FiveMinutes => TimeDelta::minutes(5),
            Self::Hour => TimeDelta::hours(1),
            Self::SixHours => TimeDelta::hours(6),
            Self::Day => TimeDelta::hours(24),
            Self::ThirtyDays => TimeDelta::days(30),
        }
    }

    /// Returns the length of a bucket.
    pub const fn bucket(self) -> TimeDelta {
        match self {
            Self::FiveMinutes => TimeDelta::seconds(10),
            Self::Hour => TimeDelta::minutes(1),
            Self::SixHours => TimeDelta::minutes(5),
            Self::Day => TimeDelta::minutes(15),
            Self::ThirtyDays => TimeDelta::hours(6),
        }
    }

    /// Returns the buckets of the range that ends at `now`.
    pub fn window(self, now: DateTime<Utc>) -> Window {
        let bucket = self.bucket();
        Window { first: floor(now - self.length(), bucket), last: floor(now, bucket), bucket }
    }
}

/// Returns the start of the bucket that holds a time.
fn floor(at: DateTime<Utc>, bucket: TimeDelta) -> DateTime<Utc> {
    let seconds = at.timestamp();
    let start = seconds - seconds.rem_euclid(bucket.num_seconds());
    DateTime::from_timestamp(start, 0).unwrap_or(at)
}

/// Buckets of a range.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Window {
    /// Start of the first bucket.
    first: DateTime<Utc>,
    /// Start of the last bucket.
    last: DateTime<Utc>,
    /// Length of a bucket.
    bucket: TimeDelta,
}

impl Window {
    /// Returns the time of the earliest sample that belongs to the window.
    pub fn since(&self) -> DateTime<Utc> {
        self.first
    }

    /// Returns the time before which the latest sample was taken that belongs to the window.
    pub fn until(&self) -> DateTime<Utc> {
        self.last + self.bucket
    }

    /// Returns the length of a bucket.
    pub fn bucket(&self) -> TimeDelta {
        self.bucket
    }

    /// Returns the number of buckets.
    fn count(&self) -> usize {
        let count = (self.until() - self.first).num_seconds() / self.bucket.num_seconds();
        usize::try_from(count).unwrap_or_default()
    }

    /// Returns the place of the bucket that holds a time; `None` if none does.
    fn index(&self, at: DateTime<Utc>) -> Option<usize> {
        if at < self.first || at >= self.until() {
            return None;
        }
        usize::try_from((at - self.first).num_seconds() / self.bucket.num_seconds()).ok()
    }

    /// Returns the largest of each value in each bucket, oldest first. A bucket without samples is zero; `current` belongs
    /// to the last one. Samples outside of the window are left out, and their order does not matter.
    pub fn series(&self, samples: impl IntoIterator<Item = Sample>, current: Reserved) -> Vec<Sample> {
        let starts = std::iter::successors(Some(self.first), |start| Some(*start + self.bucket));
        let empty = starts.map(|at| Sample { at, reserved: Reserved::default() });
        let mut series: Vec<Sample> = empty.take(self.count()).collect();
        for sample in samples {
            if let Some(bucket) = self.index(sample.at).and_then(|index| series.get_mut(index)) {
                bucket.reserved = bucket.reserved.max(sample.reserved);
            }
        }
        if let Some(last) = series.last_mut() {
            last.reserved = last.reserved.max(current);
        }
        series
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn time(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn reserved(value: u64) -> Reserved {
        Reserved { running_count: value, vcpus: 2 * value, memory_mb: 512 * value }
    }

    fn sample(at: DateTime<Utc>, value: u64) -> Sample {
        Sample { at, reserved: reserved(value) }
    }

    const NOTHING: Reserved = Reserved { running_count: 0, vcpus: 0, memory_mb: 0 };

    #[test]
    fn each_range_has_its_buckets_on_round_times() {
        let now = time("2026-11-30T13:47:38.5Z");
        for (range, count, first, last) in [
            (StatsRange::FiveMinutes, 31, "2026-11-30T13:42:30Z", "2026-11-30T13:47:30Z"),
            (StatsRange::Hour, 61, "2026-11-30T12:47:00Z", "2026-11-30T13:47:00Z"),
            (StatsRange::SixHours, 73, "2026-11-30T07:45:00Z", "2026-11-30T13:45:00Z"),
            (StatsRange::Day, 97, "2026-11-29T13:45:00Z", "2026-11-30T13:45:00Z"),
            (StatsRange::ThirtyDays, 121, "2026-10-31T12:00:00Z", "2026-11-30T12:00:00Z"),
        ] {
            let series = range.window(now).series([], NOTHING);
            assert_eq!(series.len(), count, "{range}");
            assert_eq!((series[0].at, series[count - 1].at), (time(first), time(last)), "{range}");
            assert!(series.iter().all(|bucket| bucket.reserved == NOTHING), "{range}");
        }
        assert_eq!(StatsRange::ALL.len(), 5);
    }

    #[test]
    fn a_request_at_the_edge_of_a_bucket_begins_a_bucket() {
        let edge = time("2026-11-30T12:00:00Z");
        for &range in StatsRange::ALL {
            let (before, at) = (range.window(edge - TimeDelta::nanoseconds(1)), range.window(edge));
            assert_eq!(before.until(), edge, "{range}");
            assert_eq!((at.last, at.first), (edge, edge - range.length()), "{range}");
            assert_eq!(before.count(), at.count(), "{range}");
        }
    }

    #[test]
    fn samples_at_both_edges_of_the_window_are_in_it_and_their_neighbours_are_not() {
        for &range in StatsRange::ALL {
            let now = time("2026-11-30T13:47:38.5Z");
            let window = range.window(now);
            let (since, until) = (window.since(), window.until());
            let tick = TimeDelta::microseconds(1);
            for (at, is_in) in [
                (since - tick, false),
                (since, true),
                (now - range.length(), true),
                (now, true),
                (until - tick, true),
                (until, false),
            ] {
                let series = window.series([sample(at, 1)], NOTHING);
                let hits: Vec<_> = series.iter().filter(|bucket| bucket.reserved != NOTHING).collect();
                assert_eq!(hits.len(), usize::from(is_in), "{range} {at}");
                assert!(hits.iter().all(|hit| hit.at <= at && at < hit.at + window.bucket()), "{range} {at}");
            }
        }
    }

    #[test]
    fn a_bucket_has_the_largest_of_each_value_and_gaps_are_zero() {
        let now = time("2026-11-30T13:47:38Z");
        let many = Reserved { running_count: 9, vcpus: 1, memory_mb: 1 };
        let large = Reserved { running_count: 1, vcpus: 7, memory_mb: 8 };
        let samples = [
            Sample { at: time("2026-11-30T13:40:00Z"), reserved: many },
            Sample { at: time("2026-11-30T13:40:59.999999Z"), reserved: large },
            sample(time("2026-11-30T13:42:10Z"), 3),
        ];
        let series = StatsRange::Hour.window(now).series(samples, NOTHING);
        let filled: Vec<_> = series.iter().filter(|bucket| bucket.reserved != NOTHING).collect();
        let both = Reserved { running_count: 9, vcpus: 7, memory_mb: 8 };
        assert_eq!(*filled[0], Sample { at: time("2026-11-30T13:40:00Z"), reserved: both });
        assert_eq!(*filled[1], sample(time("2026-11-30T13:42:00Z"), 3));
        assert_eq!(filled.len(), 2);
    }

    #[test]
    fn current_values_belong_to_the_last_bucket() {
        let now = time("2026-11-30T13:47:38Z");
        let window = StatsRange::FiveMinutes.window(now);
        for (sampled, current, expected) in [(0, 2, 2), (3, 2, 3), (2, 3, 3), (1, 0, 1)] {
            let samples = (sampled > 0).then(|| sample(time("2026-11-30T13:47:30Z"), sampled));
            let series = window.series(samples, reserved(current));
            assert_eq!(series[30].reserved, reserved(expected));
            assert!(series[..30].iter().all(|bucket| bucket.reserved == NOTHING));
        }
    }

    #[test]
    fn times_before_1970_have_buckets_too() {
        for now in ["1969-12-31T23:59:59.25Z", "1970-01-01T00:00:00Z"] {
            let now = time(now);
            for &range in StatsRange::ALL {
                let window = range.window(now);
                assert!(window.last <= now && now - window.last < window.bucket(), "{now} {range}");
                assert_eq!(window.last.timestamp_subsec_nanos(), 0);
            }
        }
    }

    proptest! {
        #[test]
        fn every_sample_of_the_range_raises_exactly_its_own_bucket(
            now_ms in 1_000_000_000_000_i64..4_000_000_000_000,
            ages_ms in proptest::collection::vec(0_i64..3_000_000_000, 0..40),
            range in proptest::sample::select(StatsRange::ALL),
        ) {
            let now = DateTime::from_timestamp_millis(now_ms).unwrap();
            let window = range.window(now);
            let samples: Vec<_> = ages_ms
                .iter()
                .zip(1..)
                .map(|(age, value)| sample(now - TimeDelta::milliseconds(*age), value))
                .collect();
            let series = window.series(samples.iter().copied(), NOTHING);
            for pair in series.windows(2) {
                prop_assert_eq!(pair[1].at - pair[0].at, window.bucket());
            }
            for bucket in &series {
                let of_bucket = |sample: &&Sample| bucket.at <= sample.at && sample.at < bucket.at + window.bucket();
                let largest = samples.iter().filter(of_bucket).fold(NOTHING, |max, sample| max.max(sample.reserved));
                prop_assert_eq!(bucket.reserved, largest);
            }
            for sample in samples.iter().filter(|sample| sample.at >= now - range.length()) {
                prop_assert!(window.index(sample.at).is_some());
            }
        }
    }
}
