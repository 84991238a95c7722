//! Statistics of a team: its reservations now, their course over time, and its usage by day.
//!
//! ```text
//!   capsules ─ Reserved::of ─▶ sample, each 10 s ─┬─▶ Window::series        the largest of each bucket
//!                                                 └─▶ UsagePeriod::points   minutes of each day
//! ```
//!
//! A sample exists only where something runs or is paused, so a missing sample counts as zero. That also holds for a time
//! in which no server ran, beyond the [`BRIDGED_SEC`] that the next sampler fills with the last samples: nobody knows what
//! ran then, and usage is rather too small than invented.
//!
//! Capsules in which builds work count for the team, as they do for its quota.

mod series;
mod usage;

use chrono::{DateTime, Utc};

pub use self::{
    series::{StatsRange, Window},
    usage::{MAX_USAGE_DAYS, UsageDay, UsagePeriod, UsageTotals, minutes},
};
use crate::lifecycle::{Hold, Operation, SandboxStatus};

/// Seconds from a sample to the next, and the time for which a sample counts in the usage.
pub const SAMPLE_SEC: u32 = 10;
/// Seconds from one measurement of a team's storage to the next, and the time for which each counts in the usage.
pub const STORAGE_SEC: u32 = 300;
/// Longest time without a sampler that is filled with the last samples, in seconds: a server that restarts, or another one
/// that takes over.
pub const BRIDGED_SEC: u32 = 300;
/// Seconds of a roll-up, which has the largest of its samples and their sum. Divides a day, and equals the buckets of the
/// longest range.
pub const ROLLUP_SEC: u32 = 6 * 3600;

/// Capsules of a team that have the same status and operation. None of them is gone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CapsuleGroup {
    /// Last settled state.
    pub status: SandboxStatus,
    /// Operation in flight.
    pub operation: Option<Operation>,
    /// Number of capsules.
    pub count: u64,
    /// vCPUs of all of them.
    pub vcpus: u64,
    /// Memory of all of them, in MiB.
    pub memory_mb: u64,
    /// Disks of all of them, in MiB.
    pub disk_mb: u64,
}

impl CapsuleGroup {
    fn hold(&self) -> Hold {
        Hold::of(self.status, self.operation)
    }

    /// Returns true if the capsules have no machine, and can get one back from their memory.
    fn is_paused(&self) -> bool {
        self.hold() == Hold::Disk && matches!(self.status, SandboxStatus::Paused | SandboxStatus::Hibernated)
    }
}

/// Running capsules of a team, and the resources that are reserved for it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Reserved {
    /// Capsules that have a machine, as the quota counts them.
    pub running_count: u64,
    /// vCPUs.
    pub vcpus: u64,
    /// Memory, in MiB.
    pub memory_mb: u64,
}

impl Reserved {
    /// Returns the reservations for a team's capsules: those that have a machine, or may have one, count in full, and of
    /// the sum over the paused ones half, which is rounded up once.
    pub fn of(groups: &[CapsuleGroup]) -> Self {
        let (mut full, mut paused) = (Self::default(), Self::default());
        for group in groups {
            let sum = match group.hold() {
                Hold::Machine => &mut full,
                Hold::Disk if group.is_paused() => &mut paused,
                Hold::Disk | Hold::Nothing => continue,
            };
            sum.running_count += group.count;
            sum.vcpus += group.vcpus;
            sum.memory_mb += group.memory_mb;
        }
        Self {
            running_count: full.running_count,
            vcpus: full.vcpus + paused.vcpus.div_ceil(2),
            memory_mb: full.memory_mb + paused.memory_mb.div_ceil(2),
        }
    }

    /// Returns the larger of each value.
    #[must_use]
    pub fn max(self, other: Self) -> Self {
        Self {
            running_count: self.running_count.max(other.running_count),
            vcpus: self.vcpus.max(other.vcpus),
            memory_mb: self.memory_mb.max(other.memory_mb),
        }
    }

    /// Returns true if nothing runs and nothing is paused: no sample is written then.
    pub fn is_nothing(self) -> bool {
        self == Self::default()
    }
}

/// Returns the disks that a team's capsules have on hosts, in MiB, as the quota counts them.
pub fn disk_mb(groups: &[CapsuleGroup]) -> u64 {
    groups.iter().filter(|group| group.hold() != Hold::Nothing).map(|group| group.disk_mb).sum()
}

/// Reservations at one time, or the largest of a bucket that begins then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Sample {
    /// Time of the sample, or start of the bucket.
    pub at: DateTime<Utc>,
    /// Reservations.
    pub reserved: Reserved,
}

/// Statistics of a team over a range.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TeamStatistics {
    /// Time of the values that are current.
    pub now: DateTime<Utc>,
    /// Reservations now.
    pub current: Reserved,
    /// Largest of each value in the longest range.
    pub peaks: Reserved,
    /// Largest of each value in each bucket of the range, oldest first.
    pub series: Vec<Sample>,
}

#[cfg(test)]
mod tests {
    use super::*;

    fn group(status: SandboxStatus, operation: Option<Operation>, count: u64) -> CapsuleGroup {
        CapsuleGroup { status, operation, count, vcpus: count, memory_mb: 513 * count, disk_mb: 5120 * count }
    }

    fn paused(vcpus: u64, memory_mb: u64) -> CapsuleGroup {
        CapsuleGroup { vcpus, memory_mb, ..group(SandboxStatus::Paused, None, 1) }
    }

    fn reserved(running_count: u64, vcpus: u64, memory_mb: u64) -> Reserved {
        Reserved { running_count, vcpus, memory_mb }
    }

    #[test]
    fn half_of_the_paused_is_rounded_up_once_for_the_team() {
        assert_eq!(Reserved::of(&[]), Reserved::default());
        for (paused_vcpus, expected) in [(0, 0), (1, 1), (2, 1), (3, 2), (4, 2), (5, 3), (32, 16), (33, 17)] {
            let sum = [paused(paused_vcpus, 2 * paused_vcpus + 1)];
            assert_eq!(Reserved::of(&sum), reserved(0, expected, paused_vcpus + 1), "{paused_vcpus}");
        }
        // Rounded for each capsule they would be three.
        assert_eq!(Reserved::of(&[paused(1, 1), paused(1, 1), paused(1, 1)]), reserved(0, 2, 2));
        // The sums are rounded each for itself.
        assert_eq!(Reserved::of(&[paused(1, 512), paused(1, 513)]), reserved(0, 1, 513));
    }

    #[test]
    fn what_has_a_machine_counts_in_full_beside_half_of_the_paused() {
        let groups = [
            group(SandboxStatus::Running, None, 2),
            group(SandboxStatus::Starting, Some(Operation::Starting), 1),
            group(SandboxStatus::Paused, None, 3),
            group(SandboxStatus::Hibernated, None, 2),
            group(SandboxStatus::Stopped, None, 7),
            group(SandboxStatus::Error, None, 7),
        ];
        assert_eq!(Reserved::of(&groups), reserved(3, 3 + 3, 513 * 3 + (513 * 5_u64).div_ceil(2)));
        assert_eq!(disk_mb(&groups), 5120 * (2 + 1 + 3 + 2 + 7));
    }

    #[test]
    fn each_state_counts_in_full_in_half_or_not_at_all_as_its_hold_says() {
        let operations = [None].into_iter().chain(Operation::ALL.iter().copied().map(Some));
        for operation in operations {
            for &status in SandboxStatus::ALL {
                let counted = Reserved::of(&[group(status, operation, 2)]);
                let is_paused = matches!(status, SandboxStatus::Paused | SandboxStatus::Hibernated);
                let expected = match Hold::of(status, operation) {
                    Hold::Machine => reserved(2, 2, 1026),
                    Hold::Disk if is_paused => reserved(0, 1, 513),
                    Hold::Disk | Hold::Nothing => Reserved::default(),
                };
                assert_eq!(counted, expected, "{status} {operation:?}");
            }
        }
        // Its memory is still there until it is paused, and again from when it resumes.
        for (status, operation) in
            [(SandboxStatus::Running, Operation::Pausing), (SandboxStatus::Paused, Operation::Resuming)]
        {
            assert_eq!(Reserved::of(&[group(status, Some(operation), 1)]), reserved(1, 1, 513));
        }
    }

    #[test]
    fn constants_fit_each_other() {
        assert_eq!(86_400 % ROLLUP_SEC, 0, "no roll-up is of two days");
        assert_eq!(ROLLUP_SEC % STORAGE_SEC, 0);
        assert_eq!(STORAGE_SEC % SAMPLE_SEC, 0);
        assert_eq!(i64::from(ROLLUP_SEC), StatsRange::LONGEST.bucket().num_seconds());
    }
}
