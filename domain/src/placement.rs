//! Least loaded first, as a pure function.
//!
//! For each host that could take the demand: what share of its processors, memory and disk would be
//! promised afterwards? The largest of the three is the host's tightness; the least tight host wins, and
//! among equals the one whose id sorts first. But hosts that have the template come before all those that would have to
//! fetch it.

use std::{cmp::Ordering, fmt};

use crate::{ids::HostId, lifecycle::Hold};

/// Factors by which a host's resources may be promised several times over.
///
/// Memory is never promised twice: a sandbox keeps what it touched. Processors are shared in time. Disks
/// are sparse and share their template's blocks, so most of what is promised is never written; what is
/// really free is watched by `disk_reserve_mb`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Overcommit {
    /// vCPUs per processor.
    pub cpu: u32,
    /// Promised per existing megabyte of disk.
    pub disk: u32,
    /// A host that has less disk than this really free takes no new sandbox.
    pub disk_reserve_mb: u64,
}

impl Default for Overcommit {
    fn default() -> Self {
        Self { cpu: 4, disk: 8, disk_reserve_mb: 1024 }
    }
}

/// Resources that a sandbox takes, or many do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Demand {
    /// Processors.
    pub vcpus: u64,
    /// Memory.
    pub memory_mb: u64,
    /// Size of the disk as the guest sees it.
    pub disk_mb: u64,
}

impl Demand {
    /// Returns what of it is in use by a sandbox that holds this much.
    pub fn held(self, hold: Hold) -> Self {
        match hold {
            Hold::Nothing => Self::default(),
            Hold::Disk => Self { disk_mb: self.disk_mb, ..Self::default() },
            Hold::Machine => self,
        }
    }
}

impl std::ops::AddAssign for Demand {
    fn add_assign(&mut self, other: Self) {
        self.vcpus += other.vcpus;
        self.memory_mb += other.memory_mb;
        self.disk_mb += other.disk_mb;
    }
}

/// Place of the template from a host's point of view; the lesser comes first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum TemplateIs {
    /// The host has it.
    Here,
    /// The host would have to fetch it.
    Elsewhere,
}

/// A host that could take it, if it has room.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Candidate {
    /// Which host.
    pub host: HostId,
    /// Place of the template.
    pub template: TemplateIs,
    /// Resources of the host.
    pub capacity: Demand,
    /// Resources that are promised.
    pub reserved: Demand,
    /// Disk that is really free, as the host said last; `None` if it has not said.
    pub disk_available_mb: Option<u64>,
}

/// Resource of which there is too little.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Resource {
    /// Processors.
    Vcpus,
    /// Memory.
    Memory,
    /// Disk.
    Disk,
}

/// Shortage on the host that comes nearest.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Shortage {
    /// Resource of which there is too little.
    pub resource: Resource,
    /// Amount that is asked for, in vCPUs or megabytes.
    pub wanted: u64,
    /// Amount that is left, in vCPUs or megabytes.
    pub left: u64,
}

impl fmt::Display for Shortage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { wanted, left, .. } = self;
        match self.resource {
            Resource::Vcpus => write!(f, "{wanted} vCPUs are wanted and {left} are left"),
            Resource::Memory => write!(f, "{wanted} MB of memory are wanted and {left} MB are left"),
            Resource::Disk => write!(f, "{wanted} MB of disk are wanted and {left} MB are left"),
        }
    }
}

/// Why no host was chosen.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NoRoom {
    /// There is no candidate.
    NoCandidate,
    /// None of the candidates has room.
    Shortage(Shortage),
}

/// Chooses the least loaded of the candidates that have room, and of those the ones that have the template.
///
/// # Errors
/// What is missing where least is missing, if nothing fits.
pub fn choose(demand: Demand, candidates: &[Candidate], overcommit: &Overcommit) -> Result<HostId, NoRoom> {
    let mut best: Option<(TemplateIs, Share, HostId)> = None;
    let mut nearest: Option<Shortage> = None;
    for candidate in candidates {
        match tightness(demand, candidate, overcommit) {
            Ok(share) => {
                let better = best.as_ref().is_none_or(|(template, least, host)| {
                    let nearer = candidate.template.cmp(template);
                    nearer.then_with(|| share.compare(least)).then_with(|| candidate.host.cmp(host)).is_lt()
                });
                if better {
                    best = Some((candidate.template, share, candidate.host));
                }
            }
            Err(shortage) => {
                let nearer = nearest.is_none_or(|known| is_nearer(&shortage, &known));
                if nearer {
                    nearest = Some(shortage);
                }
            }
        }
    }
    match (best, nearest) {
        (Some((.., host)), _) => Ok(host),
        (None, Some(shortage)) => Err(NoRoom::Shortage(shortage)),
        (None, None) => Err(NoRoom::NoCandidate),
    }
}

/// Checks that one candidate has room.
///
/// # Errors
/// What is missing.
pub fn fits(demand: Demand, candidate: &Candidate, overcommit: &Overcommit) -> Result<(), Shortage> {
    tightness(demand, candidate, overcommit).map(drop)
}

/// `promised` of `total`; compared exactly, without rounding.
#[derive(Debug, Clone, Copy)]
struct Share {
    promised: u64,
    total: u64,
}

impl Share {
    fn compare(&self, other: &Self) -> Ordering {
        let this = u128::from(self.promised) * u128::from(other.total);
        let that = u128::from(other.promised) * u128::from(self.total);
        this.cmp(&that)
    }
}

/// The largest share promised after placement, or what is missing.
fn tightness(demand: Demand, candidate: &Candidate, overcommit: &Overcommit) -> Result<Share, Shortage> {
    let Candidate { capacity, reserved, disk_available_mb, .. } = candidate;
    if let Some(available) = *disk_available_mb
        && available < overcommit.disk_reserve_mb
    {
        return Err(Shortage {
            resource: Resource::Disk,
            wanted: overcommit.disk_reserve_mb,
            left: available,
        });
    }
    let resources = [
        (Resource::Memory, demand.memory_mb, reserved.memory_mb, capacity.memory_mb),
        (Resource::Vcpus, demand.vcpus, reserved.vcpus, capacity.vcpus.saturating_mul(overcommit.cpu.into())),
        (
            Resource::Disk,
            demand.disk_mb,
            reserved.disk_mb,
            capacity.disk_mb.saturating_mul(overcommit.disk.into()),
        ),
    ];
    let mut tightest = Share { promised: 0, total: 1 };
    for (resource, wanted, reserved, total) in resources {
        let left = total.saturating_sub(reserved);
        if wanted > left {
            return Err(Shortage { resource, wanted, left });
        }
        // A host without any of a resource takes only what wants none of it.
        let share = Share { promised: reserved + wanted, total: total.max(1) };
        if share.compare(&tightest).is_gt() {
            tightest = share;
        }
    }
    Ok(tightest)
}

/// Returns true if `shortage` is the smaller one: less is missing of what is wanted.
fn is_nearer(shortage: &Shortage, known: &Shortage) -> bool {
    let missing = |of: &Shortage| Share { promised: of.wanted - of.left, total: of.wanted.max(1) };
    missing(shortage).compare(&missing(known)).is_lt()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use uuid::Uuid;

    use super::*;

    const SMALL: Demand = Demand { vcpus: 1, memory_mb: 512, disk_mb: 5120 };

    fn host(n: u128) -> HostId {
        HostId(Uuid::from_u128(n))
    }

    fn candidate(n: u128, memory_mb: u64, reserved_mb: u64) -> Candidate {
        Candidate {
            host: host(n),
            template: TemplateIs::Here,
            capacity: Demand { vcpus: 8, memory_mb, disk_mb: 100_000 },
            reserved: Demand { memory_mb: reserved_mb, ..Demand::default() },
            disk_available_mb: Some(50_000),
        }
    }

    fn choose_default(candidates: &[Candidate]) -> Result<HostId, NoRoom> {
        choose(SMALL, candidates, &Overcommit::default())
    }

    #[test]
    fn the_least_loaded_host_wins_and_equals_are_told_apart_by_id() {
        let busy = candidate(1, 8192, 6000);
        let idle = candidate(3, 8192, 0);
        let also_idle = candidate(2, 8192, 0);
        assert_eq!(choose_default(&[busy, idle]), Ok(host(3)));
        assert_eq!(choose_default(&[idle, also_idle, busy]), Ok(host(2)));
        assert_eq!(choose_default(&[also_idle, busy, idle]), Ok(host(2)));
    }

    #[test]
    fn a_host_that_has_the_template_wins_if_it_has_room_however_busy_it_is() {
        let elsewhere = |candidate| Candidate { template: TemplateIs::Elsewhere, ..candidate };
        let (busy, full) = (candidate(3, 8192, 7000), candidate(4, 8192, 8000));
        let (idle, idler) = (elsewhere(candidate(2, 8192, 100)), elsewhere(candidate(1, 8192, 0)));
        assert_eq!(choose_default(&[idle, busy, idler, full]), Ok(host(3)));
        assert_eq!(choose_default(&[idle, full, idler]), Ok(host(1)));
        assert_eq!(choose_default(&[full, idle]), Ok(host(2)));
    }

    #[test]
    fn the_tightest_resource_counts_not_the_sum() {
        let mut no_processors_left = candidate(1, 1_000_000, 0);
        no_processors_left.reserved.vcpus = 31;
        let half_full = candidate(2, 1024, 0);
        assert_eq!(choose_default(&[no_processors_left, half_full]), Ok(host(2)));
    }

    #[test]
    fn what_does_not_fit_is_refused_with_what_is_missing_where_least_is() {
        let far = candidate(1, 512, 512);
        let near = candidate(2, 1024, 600);
        let shortage = Shortage { resource: Resource::Memory, wanted: 512, left: 424 };
        assert_eq!(choose_default(&[far, near]), Err(NoRoom::Shortage(shortage)));
        assert_eq!(choose_default(&[]), Err(NoRoom::NoCandidate));
    }

    #[test]
    fn a_host_that_boasts_is_no_reason_to_panic() {
        let mut boaster = candidate(1, u64::MAX, 0);
        boaster.capacity = Demand { vcpus: u64::MAX, memory_mb: u64::MAX, disk_mb: u64::MAX };
        assert_eq!(choose_default(&[boaster]), Ok(host(1)));
    }

    #[test]
    fn a_host_whose_disk_is_really_full_takes_nothing() {
        let mut full = candidate(1, 8192, 0);
        full.disk_available_mb = Some(100);
        assert!(matches!(choose_default(&[full]), Err(NoRoom::Shortage(s)) if s.resource == Resource::Disk));
    }

    proptest! {
        #[test]
        fn what_is_chosen_has_room_and_nothing_is_chosen_only_if_nothing_has(
            sizes in proptest::collection::vec((0_u64..20, 0_u64..9000, 0_u64..40, 0_u64..9000), 0..6),
        ) {
            let candidates: Vec<_> = (1..)
                .zip(&sizes)
                .map(|(n, &(vcpus, memory_mb, reserved_vcpus, reserved_memory_mb))| Candidate {
                    host: host(n),
                    template: if n % 2 == 0 { TemplateIs::Here } else { TemplateIs::Elsewhere },
                    capacity: Demand { vcpus, memory_mb, disk_mb: 10_000 },
                    reserved: Demand { vcpus: reserved_vcpus, memory_mb: reserved_memory_mb, disk_mb: 0 },
                    disk_available_mb: None,
                })
                .collect();
            let overcommit = Overcommit { cpu: 2, disk: 1, disk_reserve_mb: 0 };
            let fits = |c: &Candidate| {
                c.reserved.vcpus < c.capacity.vcpus * 2 && c.reserved.memory_mb + 512 <= c.capacity.memory_mb
            };
            match choose(SMALL, &candidates, &overcommit) {
                Ok(chosen) => {
                    let chosen = candidates.iter().find(|c| c.host == chosen).unwrap();
                    prop_assert!(fits(chosen));
                    let has_template = |c: &&Candidate| c.template == TemplateIs::Here;
                    let could_have = candidates.iter().filter(has_template).any(fits);
                    prop_assert_eq!(chosen.template == TemplateIs::Here, could_have);
                }
                Err(_) => prop_assert!(!candidates.iter().any(fits)),
            }
        }
    }
}
