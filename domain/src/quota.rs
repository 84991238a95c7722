//! Quotas: how much of the platform a team may use at once.
//!
//! The platform has defaults, and each team limits of its own that take their place. A capsule counts as running for as
//! long as it has, or may have, a machine ([`Hold::Machine`](crate::lifecycle::Hold)), and its disk counts until it is
//! gone. The database counts, under a lock on the team's row, in the statement that takes something more.

use serde::{Deserialize, Serialize};

use crate::word::words;

/// Largest limit.
pub const MAX_LIMIT: u64 = 1_000_000_000_000;

words! {
    /// Resource that has a limit.
    QuotaResource, "quota" {
        /// Capsules that have a machine.
        RunningCapsules = "running_capsules",
        /// vCPUs of the capsules that have a machine.
        Vcpus = "vcpus",
        /// Memory of the capsules that have a machine, in MiB.
        MemoryMb = "memory_mb",
        /// Disks of all capsules, in MiB.
        DiskMb = "disk_mb",
        /// Templates, by name.
        Templates = "templates",
        /// Capsules that are paused, or being paused.
        PausedCapsules = "paused_capsules",
        /// Builds that have not ended.
        ConcurrentBuilds = "concurrent_builds",
    }
}

/// A value for each resource.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct PerResource<T: Default> {
    /// Capsules that have a machine.
    pub running_capsules: T,
    /// vCPUs of the capsules that have a machine.
    pub vcpus: T,
    /// Memory of the capsules that have a machine, in MiB.
    pub memory_mb: T,
    /// Disks of all capsules, in MiB.
    pub disk_mb: T,
    /// Templates, by name.
    pub templates: T,
    /// Capsules that are paused, or being paused.
    pub paused_capsules: T,
    /// Builds that have not ended.
    pub concurrent_builds: T,
}

/// Limits of a team or of the platform. In a team's own, `None` stands for the platform's default; in the platform's, and
/// in the two together, for no limit.
pub type Quota = PerResource<Option<u64>>;

/// Use of each resource.
pub type Usage = PerResource<u64>;

impl<T: Copy + Default> PerResource<T> {
    /// Returns the value of one resource.
    pub const fn get(&self, resource: QuotaResource) -> T {
        match resource {
            QuotaResource::RunningCapsules => self.running_capsules,
            QuotaResource::Vcpus => self.vcpus,
            QuotaResource::MemoryMb => self.memory_mb,
            QuotaResource::DiskMb => self.disk_mb,
            QuotaResource::Templates => self.templates,
            QuotaResource::PausedCapsules => self.paused_capsules,
            QuotaResource::ConcurrentBuilds => self.concurrent_builds,
        }
    }

    /// Makes the values of all resources.
    pub fn of(mut value: impl FnMut(QuotaResource) -> T) -> Self {
        Self {
            running_capsules: value(QuotaResource::RunningCapsules),
            vcpus: value(QuotaResource::Vcpus),
            memory_mb: value(QuotaResource::MemoryMb),
            disk_mb: value(QuotaResource::DiskMb),
            templates: value(QuotaResource::Templates),
            paused_capsules: value(QuotaResource::PausedCapsules),
            concurrent_builds: value(QuotaResource::ConcurrentBuilds),
        }
    }
}

impl Quota {
    /// Returns the limits of a team with these limits of its own.
    #[must_use]
    pub fn over(&self, defaults: &Self) -> Self {
        Self::of(|resource| self.get(resource).or(defaults.get(resource)))
    }

    /// Checks that no limit is larger than [`MAX_LIMIT`].
    ///
    /// # Errors
    /// The first that is.
    pub fn check(&self) -> Result<(), LimitTooLarge> {
        let too_large = |resource: &QuotaResource| self.get(*resource).is_some_and(|limit| limit > MAX_LIMIT);
        match QuotaResource::ALL.iter().copied().find(too_large) {
            Some(resource) => Err(LimitTooLarge(resource)),
            None => Ok(()),
        }
    }
}

/// A limit that is larger than any may be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("{0}: must be at most {MAX_LIMIT}")]
pub struct LimitTooLarge(QuotaResource);

/// The reason for which a team does not get what it asks for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum NotAdmitted {
    /// The team's quota does not allow it.
    #[error(transparent)]
    Exceeded(#[from] QuotaExceeded),
    /// The team was deleted meanwhile.
    #[error("the team was deleted")]
    TeamGone,
}

/// A change that would use more than a team may.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, thiserror::Error)]
#[error(
    "{resource}: the team's quota is {limit}, of which {used} is used; free some, or ask an administrator of the platform for more"
)]
pub struct QuotaExceeded {
    /// The resource.
    pub resource: QuotaResource,
    /// Its limit.
    pub limit: u64,
    /// Its use before the change.
    pub used: u64,
}

impl<'de> Deserialize<'de> for QuotaResource {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_teams_own_limits_take_the_place_of_the_defaults() {
        let defaults = Quota { running_capsules: Some(10), vcpus: Some(20), ..Quota::default() };
        let own = Quota { running_capsules: Some(0), templates: Some(3), ..Quota::default() };
        let both = own.over(&defaults);
        assert_eq!(
            both,
            Quota { running_capsules: Some(0), vcpus: Some(20), templates: Some(3), ..Quota::default() }
        );
        assert_eq!(Quota::default().over(&defaults), defaults);
        assert_eq!(defaults.over(&Quota::default()), defaults);
    }

    #[test]
    fn each_resource_has_a_value_under_its_own_name() {
        let numbered = Usage::of(|resource| resource as u64 + 1);
        let json = serde_json::to_value(numbered).unwrap();
        for resource in QuotaResource::ALL {
            assert_eq!(json[resource.as_str()], numbered.get(*resource), "{resource}");
        }
        assert_eq!(json.as_object().unwrap().len(), QuotaResource::ALL.len());
    }

    #[test]
    fn limits_are_bounded_and_fields_of_other_versions_ignored() {
        assert!(Quota { vcpus: Some(MAX_LIMIT), ..Quota::default() }.check().is_ok());
        let error = Quota { vcpus: Some(MAX_LIMIT + 1), ..Quota::default() }.check().unwrap_err();
        assert!(error.to_string().starts_with("vcpus: "), "{error}");
        let read: Quota = serde_json::from_str(r#"{"vcpus": 4, "gpus": 1}"#).unwrap();
        assert_eq!(read, Quota { vcpus: Some(4), ..Quota::default() });
    }
}
