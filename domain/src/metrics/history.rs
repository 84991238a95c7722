//! The measurements of one capsule in three tiers.
//!
//! ```text
//!   push(sample) ─▶ a later period of 30 s or 5 min? ── yes ─▶ mean of the fine points of the period that ended
//!                └▶ fine point
//! ```
//!
//! Coarser points are means of fine ones, and are made when a sample of a later period comes; until then a reader gets the
//! mean of what there is. So nothing is kept but points: a history that was read from a file goes on as if it had never
//! been away.
//!
//! Time is the host's time of day, which can be set. A sample that is older than the newest point takes the place of
//! everything that is not older than itself.

use std::collections::VecDeque;

use super::{Point, Tier, mean};

/// Measurements of one capsule.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct History {
    fine: VecDeque<Point>,
    medium: VecDeque<Point>,
    coarse: VecDeque<Point>,
}

/// Effect of a sample, for a copy of the history that has a place for each period of a tier's span. Removals come first,
/// then additions in their order.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Change {
    /// Points that are gone, by tier and time.
    pub removed: Vec<(Tier, u64)>,
    /// Points that are new, or replace one of the same time.
    pub added: Vec<(Tier, Point)>,
}

impl History {
    /// Returns the history of which these are the points, in any order. Those that are too old are left out.
    pub fn of(points: impl IntoIterator<Item = (Tier, Point)>) -> Self {
        let mut history = Self::default();
        for (tier, point) in points {
            let point = Point { at_ms: tier.period_of(point.at_ms), ..point };
            history.tier_mut(tier).push_back(point);
        }
        for tier in Tier::ALL {
            let points = history.tier_mut(*tier);
            points.make_contiguous().sort_by_key(|point| point.at_ms);
            let mut distinct: Vec<Point> = std::mem::take(points).into();
            distinct.dedup_by_key(|point| point.at_ms);
            *points = distinct.into();
        }
        history.trim(&mut Change::default());
        history
    }

    /// Takes a sample; a second one of the same period is dropped.
    pub fn push(&mut self, sample: Point) -> Change {
        let mut change = Change::default();
        let at_ms = Tier::Fine.period_of(sample.at_ms);
        match self.newest() {
            Some(newest) if newest.at_ms == at_ms => return change,
            Some(newest) if newest.at_ms > at_ms => self.set_back(at_ms, &mut change),
            _ => {}
        }
        if let Some(newest) = self.newest() {
            for tier in [Tier::Medium, Tier::Coarse] {
                if tier.period_of(newest.at_ms) != tier.period_of(at_ms)
                    && let Some(point) = self.unfinished(tier)
                {
                    self.tier_mut(tier).push_back(point);
                    change.added.push((tier, point));
                }
            }
        }
        let point = Point { at_ms, ..sample };
        self.fine.push_back(point);
        change.added.push((Tier::Fine, point));
        self.trim(&mut change);
        change
    }

    /// Returns the newest fine point.
    pub fn newest(&self) -> Option<Point> {
        self.fine.back().copied()
    }

    /// Returns the points of a tier in the order of time; the last one may be the mean of a period that goes on.
    pub fn points(&self, tier: Tier) -> Vec<Point> {
        let finished = self.tier(tier).iter().copied();
        finished.chain(self.unfinished(tier)).collect()
    }

    /// Removes what is not older than a time to which the clock was set back.
    fn set_back(&mut self, at_ms: u64, change: &mut Change) {
        for tier in Tier::ALL {
            let from = tier.period_of(at_ms);
            let points = self.tier_mut(*tier);
            while let Some(point) = points.pop_back_if(|point| point.at_ms >= from) {
                change.removed.push((*tier, point.at_ms));
            }
        }
    }

    /// Returns the mean of the newest period of a coarser tier; `None` if its point was made already.
    fn unfinished(&self, tier: Tier) -> Option<Point> {
        if tier == Tier::Fine {
            return None;
        }
        let begins = tier.period_of(self.newest()?.at_ms);
        if self.tier(tier).back().is_some_and(|point| point.at_ms >= begins) {
            return None;
        }
        // Fine points are kept for longer than any period lasts.
        let first = self.fine.partition_point(|point| point.at_ms < begins);
        mean(begins, self.fine.range(first..).copied())
    }

    /// Removes what is too old. A copy that has a place for each period need not hear of points whose place the newest one
    /// takes, which is all of them as long as there are no gaps.
    fn trim(&mut self, change: &mut Change) {
        for tier in Tier::ALL {
            let points = self.tier_mut(*tier);
            let newest = points.back().map_or(0, |point| point.at_ms);
            while let Some(point) = points.pop_front_if(|point| point.at_ms + tier.span_ms() <= newest) {
                if !(newest - point.at_ms).is_multiple_of(tier.span_ms()) {
                    change.removed.push((*tier, point.at_ms));
                }
            }
        }
    }

    fn tier(&self, tier: Tier) -> &VecDeque<Point> {
        match tier {
            Tier::Fine => &self.fine,
            Tier::Medium => &self.medium,
            Tier::Coarse => &self.coarse,
        }
    }

    fn tier_mut(&mut self, tier: Tier) -> &mut VecDeque<Point> {
        match tier {
            Tier::Fine => &mut self.fine,
            Tier::Medium => &mut self.medium,
            Tier::Coarse => &mut self.coarse,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;

    /// A time at which a period of every tier begins.
    const BEGUN: u64 = 1_764_504_000_000;

    fn sample(after_ms: u64, cpu_pct: f32) -> Point {
        Point {
            at_ms: BEGUN + after_ms,
            cpu_pct,
            memory_bytes: after_ms,
            disk_bytes: 4096,
            net_in_bytes: after_ms,
            net_out_bytes: 2 * after_ms,
        }
    }

    fn times(history: &History, tier: Tier) -> Vec<u64> {
        history.points(tier).iter().map(|point| point.at_ms - BEGUN).collect()
    }

    #[test]
    fn samples_become_means_of_their_period_and_the_last_one_goes_on() {
        let mut history = History::default();
        for n in 0..61 {
            history.push(sample(n * 500 + 3, if n < 60 { 50.0 } else { 10.0 }));
        }
        let medium = history.points(Tier::Medium);
        assert_eq!(times(&history, Tier::Medium), [0, 30_000]);
        assert_eq!((medium[0].cpu_pct, medium[1].cpu_pct), (50.0, 10.0));
        // The mean of 3, 503, …, 29,503; and the last counter.
        assert_eq!(
            (medium[0].memory_bytes, medium[0].net_in_bytes, medium[0].net_out_bytes),
            (14_753, 29_503, 59_006)
        );
        assert_eq!(times(&history, Tier::Coarse), [0]);
        assert_eq!(history.points(Tier::Fine).len(), 61);
    }

    #[test]
    fn a_gap_is_a_gap_in_every_tier() {
        let mut history = History::default();
        for after in [0, 500, 95_000, 400_000, 2_000_000] {
            history.push(sample(after, 1.0));
        }
        assert_eq!(times(&history, Tier::Fine), [2_000_000], "ten minutes are kept");
        assert_eq!(times(&history, Tier::Medium), [0, 90_000, 390_000, 1_980_000]);
        assert_eq!(times(&history, Tier::Coarse), [0, 300_000, 1_800_000]);
    }

    #[test]
    fn each_tier_keeps_its_span_and_no_more() {
        let mut history = History::default();
        let day = Tier::Coarse.span_ms() / 500;
        for n in 0..day + 1200 {
            history.push(sample(n * 500, 1.0));
        }
        let newest = (day + 1199) * 500;
        for tier in Tier::ALL {
            let times = times(&history, *tier);
            // The period that goes on may come on top.
            assert!(
                (tier.capacity()..=tier.capacity() + 1).contains(&times.len()),
                "{tier}: {}",
                times.len()
            );
            assert_eq!(*times.last().unwrap(), tier.period_of(BEGUN + newest) - BEGUN);
            assert!(times.windows(2).all(|pair| pair[1] - pair[0] == tier.period_ms()));
        }
    }

    #[test]
    fn a_second_sample_of_a_period_is_dropped() {
        let mut history = History::default();
        history.push(sample(0, 1.0));
        assert_eq!(history.push(sample(499, 2.0)), Change::default());
        assert_eq!(history.points(Tier::Fine), [sample(0, 1.0)]);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_back_what_it_said() {
        let mut history = History::default();
        for n in 0..400 {
            history.push(sample(n * 500, 1.0));
        }
        let change = history.push(sample(60_250, 7.0));
        assert_eq!(times(&history, Tier::Medium), [0, 30_000, 60_000]);
        assert_eq!(history.newest(), Some(Point { at_ms: BEGUN + 60_000, ..sample(60_250, 7.0) }));
        assert_eq!(change.removed.iter().filter(|(tier, _)| *tier == Tier::Fine).count(), 280);
        let means = change.removed.iter().filter(|(tier, _)| *tier == Tier::Medium).count();
        assert_eq!(means, 4, "60, 90, 120 and 150 s; that of 180 s was not made yet");
    }

    /// Applies changes as a file does that has a place for each period.
    #[derive(Default)]
    struct Copy(BTreeMap<(Tier, u64), (Tier, Point)>);

    impl Copy {
        fn apply(&mut self, change: &Change) {
            let place = |tier: Tier, at_ms: u64| (tier, at_ms / tier.period_ms() % tier.capacity() as u64);
            for (tier, at_ms) in &change.removed {
                self.0.remove(&place(*tier, *at_ms));
            }
            for (tier, point) in &change.added {
                self.0.insert(place(*tier, point.at_ms), (*tier, *point));
            }
        }
    }

    proptest! {
        #[test]
        fn a_copy_is_what_the_history_is_and_goes_on_like_it(
            steps in prop::collection::vec((prop_oneof![
                8 => 1_u64..1_500, 2 => 1_500_u64..700_000, 1 => 700_000_u64..100_000_000,
            ], 0_u32..400, prop::bool::weighted(0.02), prop::bool::weighted(0.1)), 1..400)
        ) {
            let (mut history, mut copy, mut now) = (History::default(), Copy::default(), BEGUN);
            for (step, cpu, is_back, is_restart) in steps {
                now = if is_back { now - step.min(90_000_000) } else { now + step };
                copy.apply(&history.push(Point { at_ms: now, cpu_pct: cpu as f32, ..Point::default() }));
                let copied = History::of(copy.0.values().copied());
                for tier in Tier::ALL {
                    let points = history.points(*tier);
                    prop_assert!(points.windows(2).all(|pair| pair[0].at_ms < pair[1].at_ms));
                    prop_assert!(points.len() <= tier.capacity() + 1);
                    prop_assert_eq!(&copied.points(*tier), &points);
                }
                if is_restart {
                    history = copied;
                }
            }
        }
    }
}
