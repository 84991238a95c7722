//! The part of a sandbox's row that changes as it lives, and the words for it.
//!
//! [`step`](crate::sandbox::step()) decides which change is allowed when; this file holds the words and their spelling
//! in the database and on the wire.

use std::fmt;

use crate::{ids::TemplateId, word::words};

words! {
    /// The last settled state of a sandbox.
    SandboxStatus, "sandbox status" {
        /// The row was written and nothing else happened yet.
        Pending = "pending",
        /// Its first start has begun.
        Starting = "starting",
        /// Its machine runs.
        Running = "running",
        /// Its machine's memory and disk are kept on the host, and no processor works for it.
        Paused = "paused",
        /// As paused, but its memory was dropped.
        Hibernated = "hibernated",
        /// Its machine ended, and its disk is kept: it can be booted again. Or it is gone for ever.
        Stopped = "stopped",
        /// Its host has not been heard of for too long; what became of it is not known.
        Missing = "missing",
        /// The machine is gone with all that belonged to it, without a request.
        Error = "error",
    }
}

words! {
    /// The one operation that is in flight beside the status.
    Operation, "sandbox operation" {
        /// The machine is made and booted or restored.
        Starting = "starting",
        /// The device state is written beside memory and disk, and the machine ended.
        Pausing = "pausing",
        /// The machine is made again from what a pause kept, or booted from the disk that is left.
        Resuming = "resuming",
        /// Disk and memory are copied into a template while the sandbox lives on.
        Snapshotting = "snapshotting",
        /// The disk is copied into a template and made small, while the sandbox lives on.
        Flattening = "flattening",
        /// Machine and all that belongs to it are removed from the host.
        Destroying = "destroying",
    }
}

/// The fencing number of a sandbox.
///
/// Only the sandbox's actor increments it, in the statement that writes `operation`, before any command
/// leaves; a host refuses lower ones than it has accepted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Generation(pub u64);

impl Generation {
    /// Generation of a new row.
    pub const FIRST: Self = Self(1);

    /// The generation after this one; the largest has none, and only a host that lies says that it accepted it.
    pub const fn next(self) -> Self {
        Self(self.0.saturating_add(1))
    }
}

impl fmt::Display for Generation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// Purpose of a sandbox: to live, or to end.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum End {
    /// The sandbox is meant to live.
    NotRequested,
    /// A client asked for its end, which is not reached yet.
    Requested,
    /// The sandbox is gone; its row is settled for ever.
    Reached,
}

/// Resources of its host that a sandbox has, or may have, in use.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Hold {
    /// No resources.
    Nothing,
    /// Its disk, and the memory of a paused one, which is a file.
    Disk,
    /// Disk, memory and processors.
    Machine,
}

impl Hold {
    /// Returns what its host has, or may have, in use for a sandbox that is not gone.
    pub const fn of(status: SandboxStatus, operation: Option<Operation>) -> Self {
        match (status, operation) {
            (_, Some(Operation::Starting | Operation::Resuming)) => Self::Machine,
            (SandboxStatus::Paused | SandboxStatus::Hibernated | SandboxStatus::Stopped, _) => Self::Disk,
            (SandboxStatus::Error, None) => Self::Nothing,
            // What is left of a failed one is not known until it is removed.
            (SandboxStatus::Error, Some(_)) => Self::Machine,
            (
                SandboxStatus::Pending
                | SandboxStatus::Starting
                | SandboxStatus::Running
                | SandboxStatus::Missing,
                _,
            ) => Self::Machine,
        }
    }
}

/// The part of a sandbox's row that its actor writes.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Lifecycle {
    /// The last settled state.
    pub status: SandboxStatus,
    /// The operation in flight.
    pub operation: Option<Operation>,
    /// The fencing number.
    pub generation: Generation,
    /// Purpose: to live, or to end.
    pub end: End,
    /// The template that the operation in flight makes.
    pub template: Option<TemplateId>,
    /// Why the last operation failed; none when it did not.
    pub last_error: Option<String>,
    /// Why the machine is not running any more.
    pub stop_reason: Option<String>,
    /// Address inside the machine.
    pub guest_ip: Option<String>,
    /// Address of the machine on its host.
    pub host_ip: Option<String>,
    /// Parts of the machine that runs that could not be prepared, in words for its user.
    pub warnings: Vec<String>,
}

impl Lifecycle {
    /// Returns the lifecycle of a new row: its start is in flight already.
    pub const fn first() -> Self {
        Self {
            status: SandboxStatus::Starting,
            operation: Some(Operation::Starting),
            generation: Generation::FIRST,
            end: End::NotRequested,
            template: None,
            last_error: None,
            stop_reason: None,
            guest_ip: None,
            host_ip: None,
            warnings: Vec::new(),
        }
    }

    /// Returns what its host has, or may have, in use for it.
    pub fn hold(&self) -> Hold {
        if self.end == End::Reached {
            return Hold::Nothing;
        }
        Hold::of(self.status, self.operation)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_survives_the_round_trip() {
        for &status in SandboxStatus::ALL {
            assert_eq!(status.as_str().parse::<SandboxStatus>().unwrap(), status);
        }
        for &operation in Operation::ALL {
            assert_eq!(operation.as_str().parse::<Operation>().unwrap(), operation);
        }
        assert!("RUNNING".parse::<SandboxStatus>().is_err());
    }

    #[test]
    fn a_settled_failure_holds_nothing_and_its_clean_up_still_does() {
        let clean_up = Some(Operation::Destroying);
        let mut life = Lifecycle { status: SandboxStatus::Error, operation: clean_up, ..Lifecycle::first() };
        assert_eq!(life.hold(), Hold::Machine);
        life.operation = None;
        assert_eq!(life.hold(), Hold::Nothing);
    }

    #[test]
    fn a_paused_sandbox_keeps_its_disk_and_one_that_is_gone_keeps_nothing() {
        let mut life = Lifecycle { status: SandboxStatus::Paused, operation: None, ..Lifecycle::first() };
        assert_eq!(life.hold(), Hold::Disk);
        life.operation = Some(Operation::Resuming);
        assert_eq!(life.hold(), Hold::Machine);
        life = Lifecycle { status: SandboxStatus::Stopped, operation: None, end: End::Reached, ..life };
        assert_eq!(life.hold(), Hold::Nothing);
    }
}
