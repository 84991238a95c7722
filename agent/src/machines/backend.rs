//! What a machine is made of, as the machine actors see it: real ([`RealBackend`](super::RealBackend)) or
//! simulated (`sim::SimBackend`).
//!
//! A backend offers the single steps and knows nothing of their order, of generations or of records. Every
//! `take` step either has its whole effect or leaves nothing; every release step may be repeated, and succeeds
//! when there is nothing to release.

use std::sync::Arc;

use futures_util::future::BoxFuture;
use wrenn_proto::{agent as wire, ids::SandboxId};

use super::{
    library::{Admitted, Library, Made, Parts, Template},
    manifest::{Incompatible, Manifest},
    record::{FailureKind, MachineSpec, Resources},
};
use crate::{
    guest::{Guest, GuestError},
    metrics::MeterSource,
    net::SlotNumber,
    vmm::{VmExit, VmProcess},
};

/// Any error, where only its text and its causes matter.
pub type BoxError = Box<dyn std::error::Error + Send + Sync>;

/// What is thrown away of what was saved of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Discard {
    /// The device state: the machine has gone on, and uses the memory.
    State,
    /// Memory and device state: nobody will use them.
    Memory,
}

/// The steps from which machines are made, and by which they are removed.
pub trait Backend: Library + MeterSource {
    /// Checks that a machine of this kind can be made here now: its template is there, and there is room.
    fn admit<'a>(&'a self, spec: &'a MachineSpec) -> BoxFuture<'a, Result<Admitted, StartError>>;

    /// Takes a network slot for the machine.
    fn take_slot(&self, id: SandboxId) -> BoxFuture<'_, Result<SlotNumber, StartError>>;

    /// Makes the machine's folder, and in it a disk of a template, of at least this size in MiB.
    fn make_disk<'a>(
        &'a self,
        id: SandboxId,
        template: &'a Template,
        size_mb: u32,
    ) -> BoxFuture<'a, Result<(), StartError>>;

    /// Makes the machine's folder, and in it disk, memory and device state of a template or boot snapshot.
    fn clone_saved<'a>(&'a self, id: SandboxId, source: &'a Made) -> BoxFuture<'a, Result<(), StartError>>;

    /// Boots the machine from the disk in its folder; returns when its virtual CPUs run.
    fn boot<'a>(
        &'a self,
        id: SandboxId,
        spec: &'a MachineSpec,
        slot: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>>;

    /// Makes the machine from disk, memory and device state in its folder; its virtual CPUs do not run yet.
    fn restore<'a>(
        &'a self,
        id: SandboxId,
        spec: &'a MachineSpec,
        slot: SlotNumber,
    ) -> BoxFuture<'a, Result<VmProcess, StartError>>;

    /// Stops the machine and writes its device state beside its memory, with the manifest; both are durable then.
    fn suspend<'a>(
        &'a self,
        id: SandboxId,
        vm: &'a VmProcess,
        manifest: &'a Manifest,
    ) -> BoxFuture<'a, Result<(), SaveError>>;

    /// Reads the manifest of what was saved of the machine.
    fn saved(&self, id: SandboxId) -> BoxFuture<'_, Result<Manifest, StartError>>;

    /// Waits until the disk has the machine's memory and disk, or those of its `parts`. It may run meanwhile.
    fn sync_files(&self, id: SandboxId, parts: Parts) -> BoxFuture<'_, Result<(), SaveError>>;

    /// Throws away what was saved of the machine. Its disk stays.
    fn discard(&self, id: SandboxId, what: Discard) -> BoxFuture<'_, Result<(), ReleaseError>>;

    /// Returns a client of the guest behind a slot that this machine has taken or adopted. Connects when it is used.
    fn guest(&self, id: SandboxId) -> Arc<dyn Guest>;

    /// Returns the address under which the host reaches the namespace of the slot.
    fn host_ip(&self, slot: SlotNumber) -> String;

    /// Takes over what a machine held when the agent ended.
    ///
    /// # Errors
    /// See [`AdoptError`]. What was taken over until then is released like everything else of the machine.
    fn adopt<'a>(
        &'a self,
        id: SandboxId,
        resources: &'a Resources,
    ) -> BoxFuture<'a, Result<VmProcess, AdoptError>>;

    /// Kills the machine, waits until it is dead, and removes its cgroup and its sockets.
    fn kill<'a>(&'a self, id: SandboxId, resources: &'a Resources)
    -> BoxFuture<'a, Result<(), ReleaseError>>;

    /// Removes the machine's folder and everything in it. It is dead.
    fn remove_files(&self, id: SandboxId) -> BoxFuture<'_, Result<(), ReleaseError>>;

    /// Gives the machine's slot back. It is dead.
    fn release_slot<'a>(
        &'a self,
        id: SandboxId,
        resources: &'a Resources,
    ) -> BoxFuture<'a, Result<(), ReleaseError>>;

    /// Returns what runs the machines, for people: `qemu 7.2 (tcg)`.
    fn vmm(&self) -> String;

    /// Returns what this host has in all.
    fn capacity(&self) -> wire::Capacity;

    /// Returns what this host has left, except the number of machines. May block for a moment.
    fn load(&self) -> wire::Heartbeat;
}

/// Why a machine could not be started or resumed. Its text is for the owner of the machine and names no path of the host;
/// the causes are for the operator's log.
#[derive(Debug, thiserror::Error)]
pub enum StartError {
    /// The order itself is wrong.
    #[error("{0}")]
    Spec(String),
    /// This host has no such template.
    #[error("this host has no template {name:?}")]
    TemplateMissing {
        /// Its id, or the file name of its image.
        name: String,
    },
    /// The template was made on another host, and could not be fetched.
    #[error("the template could not be fetched: {reason}")]
    NotFetched {
        /// Why.
        reason: String,
    },
    /// What was saved cannot be restored here.
    #[error(
        "the saved memory cannot be restored: {0}; with `drop_memory` the machine is booted from its disk"
    )]
    Incompatible(#[source] Incompatible),
    /// The template's memory cannot be restored here.
    #[error("the template's memory cannot be restored on this host: {0}")]
    IncompatibleTemplate(#[source] Incompatible),
    /// The files of what was saved cannot be understood.
    #[error("the saved memory cannot be read; with `drop_memory` the machine is booted from its disk")]
    Unreadable(#[source] BoxError),
    /// The volume is too full.
    #[error("the host has {free_mb} MiB of disk left, and keeps {reserve_mb} MiB free")]
    NoSpace {
        /// What is left.
        free_mb: u64,
        /// What must stay free.
        reserve_mb: u64,
    },
    /// A step failed.
    #[error("could not {step}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
    /// The machine ended before its guest was ready.
    #[error("the machine ended while it was starting: {}", .0.reason)]
    Exited(VmExit),
    /// The machine was booted, and its guest never said hello.
    #[error("the guest did not answer within {limit_sec} s")]
    GuestSilent {
        /// How long it was given.
        limit_sec: u64,
    },
    /// The guest answered, but not as it must.
    #[error("the guest could not be set up")]
    GuestInit(#[source] GuestError),
    /// A command of a higher generation took precedence.
    #[error("overtaken by a later command")]
    Overtaken,
}

impl StartError {
    /// Makes the error of a failed step.
    pub fn step(step: &'static str) -> impl FnOnce(BoxError) -> Self {
        move |source| Self::Step { step, source }
    }

    /// Returns the kind that the control plane is told.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::TemplateMissing { .. } | Self::NotFetched { .. } => FailureKind::TemplateMissing,
            Self::NoSpace { .. } => FailureKind::NoSpace,
            Self::Exited(_) | Self::GuestSilent { .. } | Self::GuestInit(_) => FailureKind::BootFailed,
            Self::Incompatible(_) | Self::IncompatibleTemplate(_) | Self::Unreadable(_) => {
                FailureKind::Incompatible
            }
            Self::Overtaken => FailureKind::StaleGeneration,
            Self::Spec(_) | Self::Step { .. } => FailureKind::Internal,
        }
    }
}

/// Why the state of a machine could not be saved, or no template be made of it. Its text is for the owner of the
/// machine and names no path of the host.
#[derive(Debug, thiserror::Error)]
pub enum SaveError {
    /// The volume is too full.
    #[error("the host has {free_mb} MiB of disk left, and keeps {reserve_mb} MiB free")]
    NoSpace {
        /// What is left.
        free_mb: u64,
        /// What must stay free.
        reserve_mb: u64,
    },
    /// There is such a template, or it is being made or removed.
    #[error("the template is there already, or somebody works on it")]
    Taken,
    /// The guest did not stop writing to its disk, or did not go on.
    #[error("the guest could not {what} its file system")]
    Guest {
        /// What it was asked to do.
        what: &'static str,
        /// Why it did not.
        #[source]
        source: GuestError,
    },
    /// A step failed.
    #[error("could not {step}")]
    Step {
        /// What was being done.
        step: &'static str,
        /// Why it failed.
        #[source]
        source: BoxError,
    },
    /// The machine ended meanwhile.
    #[error("the machine ended: {}", .0.reason)]
    Exited(VmExit),
    /// A command of a higher generation took precedence.
    #[error("overtaken by a later command")]
    Overtaken,
}

impl SaveError {
    /// Makes the error of a failed step.
    pub fn step(step: &'static str) -> impl FnOnce(BoxError) -> Self {
        move |source| Self::Step { step, source }
    }

    /// Returns the kind that the control plane is told.
    pub fn kind(&self) -> FailureKind {
        match self {
            Self::NoSpace { .. } => FailureKind::NoSpace,
            Self::Taken => FailureKind::InvalidState,
            Self::Guest { .. } => FailureKind::Guest,
            Self::Step { .. } | Self::Exited(_) => FailureKind::Internal,
            Self::Overtaken => FailureKind::StaleGeneration,
        }
    }
}

/// Why a machine could not be taken over. Its text is for the owner of the machine, the cause for the operator's log.
#[derive(Debug, thiserror::Error)]
pub enum AdoptError {
    /// It is gone, or can never be used again.
    #[error("{reason}")]
    Gone {
        /// Why.
        reason: &'static str,
        /// What was found.
        #[source]
        source: BoxError,
    },
    /// It may be alive, but could not be reached; worth another try.
    #[error("the machine did not answer after a restart of the agent")]
    Unclear(#[source] BoxError),
}

/// Why something of a machine could not be released. It will be tried again.
#[derive(Debug, thiserror::Error)]
#[error("could not {step}")]
pub struct ReleaseError {
    /// What was being done.
    pub step: &'static str,
    /// Why it failed.
    #[source]
    pub source: BoxError,
}

impl ReleaseError {
    /// Makes the error of a failed step.
    pub fn step(step: &'static str) -> impl FnOnce(BoxError) -> Self {
        move |source| Self { step, source }
    }
}
