//! Percentiles.

use serde::Serialize;

/// What a list of values says.
#[derive(Debug, Clone, Copy, PartialEq, Serialize)]
pub(super) struct Summary {
    /// How many values there were.
    pub(super) samples: usize,
    /// The smallest: what it costs when nothing is in the way.
    pub(super) min: f64,
    /// The median.
    pub(super) p50: f64,
    /// Nine of ten are not larger.
    pub(super) p90: f64,
    /// 99 of 100 are not larger; the largest when there are fewer.
    pub(super) p99: f64,
}

impl Summary {
    /// Summarises; `None` without values.
    pub(super) fn of(values: &[f64]) -> Option<Self> {
        let mut sorted = values.to_vec();
        sorted.sort_by(f64::total_cmp);
        let min = *sorted.first()?;
        Some(Self {
            samples: sorted.len(),
            min,
            p50: percentile(&sorted, 50)?,
            p90: percentile(&sorted, 90)?,
            p99: percentile(&sorted, 99)?,
        })
    }
}

/// The smallest value that at least `percent` of a hundred of them do not exceed.
fn percentile(sorted: &[f64], percent: usize) -> Option<f64> {
    let rank = (sorted.len() * percent).div_ceil(100).max(1);
    sorted.get(rank - 1).copied()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_values_that_were_measured() {
        let values: Vec<f64> = (1..=100).rev().map(f64::from).collect();
        let summary = Summary::of(&values).expect("values");
        assert_eq!(summary, Summary { samples: 100, min: 1.0, p50: 50.0, p90: 90.0, p99: 99.0 });
    }

    #[test]
    fn one_value_is_every_percentile_and_none_is_none() {
        let summary = Summary::of(&[7.0]).expect("a value");
        assert_eq!(summary, Summary { samples: 1, min: 7.0, p50: 7.0, p90: 7.0, p99: 7.0 });
        assert_eq!(Summary::of(&[]), None);
    }
}
