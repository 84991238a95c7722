//! What is remembered of a machine.
//!
//! ```text
//!   Starting ─▶ Running ─▶ Pausing ─▶ Paused ─▶ Resuming ─▶ Running
//!      │           │  ▲                  │          │
//!      ▼           │  └─ MakingTemplate ─┘          │     (a template is made of whatever is at rest)
//!   Exited         ▼                                ▼
//!               Releasing ─▶ Stopped ─▶ Resuming    Paused, Stopped
//! ```
//!
//! [`Phase`] says for each what a restarted agent does about it. Two of its steps are commit points, durable before
//! anything that depends on them is done: `Paused` (the device state is complete; the VMM is killed only afterwards),
//! and [`Vcpus::MayHaveRun`] (saved memory that a machine has run on must never be restored again).

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};
use wrenn_proto::{
    agent as wire,
    ids::{SandboxId, TemplateId},
};

use super::{
    fence::Presence,
    manifest::{GuestVersions, Kind},
};
pub use super::{
    outcome::{CommandError, FailureKind, MachineState, Origin, Outcome},
    store::{Durability, RecordStore, StateError, remove_durably},
};
use crate::{net::SlotNumber, vmm::VmRecord};

/// Properties of a machine, as its start ordered them, and for the guest's defaults the latest resumption.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MachineSpec {
    /// Template it comes from.
    pub template_id: String,
    /// File name of the template's image, for templates that every host is given; empty for one that was made here.
    pub image: String,
    /// Number of virtual CPUs.
    pub vcpus: u32,
    /// Memory in MiB.
    pub memory_mb: u32,
    /// Size of its disk in MiB.
    pub disk_size_mb: u32,
    /// Host name inside.
    pub hostname: String,
    /// User that commands run as when they name none; empty means root. A resumption that names one replaces it and
    /// the environment, before the guest is initialized; so the record has what the next initialization sends.
    pub default_user: String,
    /// Environment of every command, below its own; replaced together with the user.
    pub default_env: BTreeMap<String, String>,
}

/// User and environment of commands that name none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GuestDefaults {
    /// The user.
    pub user: String,
    /// The environment, below the command's own.
    pub env: BTreeMap<String, String>,
}

impl GuestDefaults {
    /// Returns the defaults that a resumption carries; `None` from a server that does not send them.
    pub(super) fn of_resume(resume: wire::ResumeMachine) -> Option<Self> {
        let wire::ResumeMachine { default_user: user, default_env, .. } = resume;
        (!user.is_empty()).then(|| Self { user, env: default_env.into_iter().collect() })
    }
}

impl MachineSpec {
    /// Replaces what commands in the guest have by default.
    pub(super) fn set_defaults(&mut self, GuestDefaults { user, env }: GuestDefaults) {
        (self.default_user, self.default_env) = (user, env);
    }
}

impl From<wire::StartMachine> for MachineSpec {
    fn from(start: wire::StartMachine) -> Self {
        Self {
            template_id: start.template_id,
            image: start.image,
            vcpus: start.vcpus,
            memory_mb: start.memory_mb,
            disk_size_mb: start.disk_size_mb,
            hostname: start.hostname,
            default_user: start.default_user,
            default_env: start.default_env.into_iter().collect(),
        }
    }
}

/// Whether the files of a paused machine would survive a loss of power.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OnDisk {
    /// Device state and record would; memory and disk may still be in the host's cache.
    InPart,
    /// They would not for certain: bringing them to the disk has failed. It is not tried again, since Linux reports a
    /// failed write once and calls the next try a success.
    Doubtful,
    /// All of them would.
    Whole,
}

/// The saved memory of a machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Saved {
    /// The boot of the host's kernel in which it was saved.
    pub boot_id: String,
    /// How much of it is on the disk.
    pub on_disk: OnDisk,
}

impl Saved {
    /// Whether the memory is certain to be what was saved, in this boot of the host's kernel.
    pub fn is_sound(&self, boot_id: &str) -> bool {
        self.on_disk == OnDisk::Whole || self.boot_id == boot_id
    }
}

/// What a machine is while nothing is done to it and something of it is left.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "state", rename_all = "snake_case")]
pub enum Rest {
    /// It runs.
    Running,
    /// Its memory and its disk are kept.
    Paused {
        /// The memory.
        saved: Saved,
    },
    /// Its disk is kept.
    Stopped {
        /// Why it does not run.
        reason: String,
    },
}

impl From<Rest> for Phase {
    fn from(rest: Rest) -> Self {
        match rest {
            Rest::Running => Self::Running,
            Rest::Paused { saved } => Self::Paused { saved },
            Rest::Stopped { reason } => Self::Stopped { reason },
        }
    }
}

impl Rest {
    /// Returns how that is told.
    pub fn state(&self) -> MachineState {
        match self {
            Self::Running => MachineState::Running,
            Self::Paused { .. } => MachineState::Paused,
            Self::Stopped { .. } => MachineState::Stopped,
        }
    }
}

/// Whether the virtual CPUs of a machine that is being resumed have touched what was saved.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Vcpus {
    /// For certain not: the saved memory is as it was.
    NotStarted,
    /// Perhaps: the saved memory is that of a machine that ran on, and only that machine can use it.
    MayHaveRun,
}

/// What is kept of a machine whose virtual machine is gone.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Keeps {
    /// Nothing.
    #[default]
    Nothing,
    /// Its disk.
    Disk,
}

/// Where a machine is in its life, as far as a restarted agent has to know.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "phase", rename_all = "snake_case")]
pub enum Phase {
    /// It is being started. After a crash of the agent: undone.
    Starting,
    /// It runs. After a crash: adopted.
    Running,
    /// It is being paused. After a crash: adopted, and paused again.
    Pausing,
    /// It is paused. After a crash: what still runs of it is ended.
    Paused {
        /// Its memory.
        saved: Saved,
    },
    /// It is being resumed. After a crash: taken back, if its virtual CPUs have not run, else adopted.
    Resuming {
        /// Whether they have.
        vcpus: Vcpus,
        /// What it was before.
        from: Rest,
    },
    /// A template is being made of it. After a crash: finished if it is complete, else undone.
    MakingTemplate {
        /// Which one.
        template_id: TemplateId,
        /// What kind.
        kind: Kind,
        /// What the machine is.
        of: Rest,
    },
    /// Its virtual machine is gone and what it used is being released. After a crash: released to the end.
    Releasing {
        /// Why it is gone.
        reason: String,
        /// What is kept.
        #[serde(default)]
        keeps: Keeps,
    },
    /// Its virtual machine is gone; its disk is kept, and can be booted.
    Stopped {
        /// Why it is gone.
        reason: String,
    },
    /// Its virtual machine is gone and nothing of it is left but this record.
    Exited {
        /// Why it is gone.
        reason: String,
    },
    /// Everything of it is being removed. After a crash: removed to the end.
    Destroying,
}

/// What a machine holds on this host, beside its files.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resources {
    /// Number of its network slot.
    pub slot: Option<SlotNumber>,
    /// Its VMM process.
    pub vm: Option<VmRecord>,
}

/// Everything that is remembered of one machine.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Record {
    /// The sandbox it belongs to.
    pub id: SandboxId,
    /// Highest generation accepted.
    pub generation: u64,
    /// Where it is in its life.
    #[serde(flatten)]
    pub phase: Phase,
    /// Its properties.
    pub spec: MachineSpec,
    /// What it holds.
    pub resources: Resources,
    /// What came of the command of `generation`; none while it is being carried out.
    pub outcome: Option<Outcome>,
    /// What runs inside, as far as it was told.
    #[serde(default)]
    pub guest: GuestVersions,
    /// Parts of the machine that its guest could not prepare when it came to life last.
    #[serde(default)]
    pub warnings: Vec<String>,
}

impl Record {
    /// Makes the record of a machine that is to be started.
    pub fn new(id: SandboxId, generation: u64, spec: MachineSpec) -> Self {
        Self {
            id,
            generation,
            phase: Phase::Starting,
            spec,
            resources: Resources::default(),
            outcome: None,
            guest: GuestVersions::default(),
            warnings: Vec::new(),
        }
    }

    /// Returns what is true of the machine now, and why, for a machine that does not run.
    pub fn state(&self) -> (MachineState, &str) {
        match &self.phase {
            Phase::Starting | Phase::Resuming { vcpus: Vcpus::MayHaveRun, .. } => {
                (MachineState::Starting, "")
            }
            Phase::Running | Phase::Pausing => (MachineState::Running, ""),
            Phase::Paused { .. } => (MachineState::Paused, ""),
            Phase::Resuming { from: rest, .. } | Phase::MakingTemplate { of: rest, .. } => match rest {
                Rest::Stopped { reason } => (MachineState::Stopped, reason),
                rest => (rest.state(), ""),
            },
            Phase::Releasing { reason, keeps: Keeps::Disk } | Phase::Stopped { reason } => {
                (MachineState::Stopped, reason)
            }
            Phase::Releasing { reason, keeps: Keeps::Nothing } | Phase::Exited { reason } => {
                (MachineState::Exited, reason)
            }
            Phase::Destroying => (MachineState::Exited, "being destroyed"),
        }
    }

    /// Whether there is a disk that must be there after a loss of power.
    pub fn keeps_disk(&self) -> bool {
        match &self.phase {
            Phase::Starting | Phase::Exited { .. } | Phase::Destroying => false,
            Phase::Releasing { keeps, .. } => *keeps == Keeps::Disk,
            Phase::Running
            | Phase::Pausing
            | Phase::Paused { .. }
            | Phase::Resuming { .. }
            | Phase::MakingTemplate { .. }
            | Phase::Stopped { .. } => true,
        }
    }

    /// Returns what commands have to fit, when nobody works on the machine.
    pub fn presence(&self) -> Presence {
        match self.state().0 {
            MachineState::Running | MachineState::Starting => Presence::Running,
            MachineState::Paused => Presence::Paused,
            MachineState::Stopped => Presence::Stopped,
            MachineState::Exited => Presence::Exited,
        }
    }

    /// Returns what the machine is at rest; none if it is being worked on, or nothing of it is left.
    pub fn rest(&self) -> Option<Rest> {
        match self.phase.clone() {
            Phase::Running => Some(Rest::Running),
            Phase::Paused { saved } => Some(Rest::Paused { saved }),
            Phase::Stopped { reason } => Some(Rest::Stopped { reason }),
            _ => None,
        }
    }

    /// Returns what the control plane is told of this machine.
    ///
    /// `busy` in the report says that somebody works on the machine.
    pub fn report(&self, busy: bool) -> wire::MachineReport {
        let (state, reason) = self.state();
        wire::MachineReport {
            sandbox_id: self.id.to_string(),
            generation: self.generation,
            state: wire::MachineState::from(state).into(),
            reason: reason.to_owned(),
            busy,
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    pub(crate) fn spec() -> MachineSpec {
        MachineSpec {
            template_id: "tpl".into(),
            image: "minimal.ext4".into(),
            vcpus: 1,
            memory_mb: 256,
            disk_size_mb: 1024,
            hostname: "box".into(),
            default_user: String::new(),
            default_env: BTreeMap::from([("LANG".into(), "C.UTF-8".into())]),
        }
    }

    fn record(phase: Phase, outcome: Option<Outcome>) -> Record {
        let resources = Resources { slot: Some(SlotNumber(3)), vm: None };
        Record { phase, resources, outcome, ..Record::new(SandboxId::new(), 7, spec()) }
    }

    pub(crate) fn every_record() -> Vec<Record> {
        let reason = || "why".to_owned();
        let saved = || Saved { boot_id: "boot".into(), on_disk: OnDisk::InPart };
        let failed =
            CommandError { kind: FailureKind::NoSpace, message: reason(), state: MachineState::Exited };
        let made = Outcome::TemplateMade {
            template_id: TemplateId::new(),
            size_bytes: 1,
            disk_size_mb: 2,
            state: MachineState::Paused,
        };
        let making = |kind, of| Phase::MakingTemplate { template_id: TemplateId::new(), kind, of };
        let started = Outcome::Started {
            guest_ip: "1".into(),
            host_ip: "2".into(),
            boot_ms: 3,
            origin: Origin::Restored,
            warnings: Vec::new(),
        };
        vec![
            record(Phase::Starting, None),
            record(Phase::Running, Some(started)),
            record(Phase::Running, Some(made)),
            record(Phase::Pausing, None),
            record(Phase::Paused { saved: saved() }, Some(Outcome::Paused)),
            record(Phase::Resuming { vcpus: Vcpus::NotStarted, from: Rest::Paused { saved: saved() } }, None),
            record(
                Phase::Resuming { vcpus: Vcpus::MayHaveRun, from: Rest::Stopped { reason: reason() } },
                None,
            ),
            record(making(Kind::Snapshot, Rest::Running), None),
            record(making(Kind::Base, Rest::Stopped { reason: reason() }), None),
            record(Phase::Releasing { reason: reason(), keeps: Keeps::Nothing }, None),
            record(Phase::Releasing { reason: reason(), keeps: Keeps::Disk }, None),
            record(Phase::Stopped { reason: reason() }, None),
            record(Phase::Exited { reason: reason() }, Some(Outcome::Failed(failed))),
            record(Phase::Destroying, Some(Outcome::Destroyed)),
        ]
    }

    #[test]
    fn records_of_the_version_before_are_understood() {
        let text = r#"{"id":"ID","generation":4,"phase":"running","spec":{"template_id":"t","image":"i","vcpus":1,
            "memory_mb":2,"disk_size_mb":3,"hostname":"h","default_user":"","default_env":{}},
            "resources":{"slot":3,"vm":null},
            "outcome":{"outcome":"started","guest_ip":"1","host_ip":"2","boot_ms":3}}"#;
        let text = text.replace("ID", &SandboxId::new().to_string());
        let record: Record = serde_json::from_str(&text).unwrap();
        assert_eq!((record.phase, record.guest), (Phase::Running, GuestVersions::default()));
        assert!(matches!(record.outcome, Some(Outcome::Started { origin: Origin::Booted, .. })));
        let text = text.replace(r#""phase":"running""#, r#""phase":"releasing","reason":"why""#);
        let record: Record = serde_json::from_str(&text).unwrap();
        assert_eq!(record.phase, Phase::Releasing { reason: "why".into(), keeps: Keeps::Nothing });
    }

    #[test]
    fn memory_that_may_not_be_on_the_disk_is_sound_only_until_the_next_boot() {
        for (on_disk, boot_id, sound) in [
            (OnDisk::InPart, "this", true),
            (OnDisk::InPart, "other", false),
            (OnDisk::Doubtful, "this", true),
            (OnDisk::Doubtful, "other", false),
            (OnDisk::Whole, "this", true),
            (OnDisk::Whole, "other", true),
        ] {
            assert_eq!(Saved { boot_id: boot_id.into(), on_disk }.is_sound("this"), sound);
        }
    }

    #[test]
    fn a_template_in_the_making_does_not_change_what_is_told_of_a_machine() {
        for of in [
            Rest::Running,
            Rest::Paused { saved: Saved { boot_id: String::new(), on_disk: OnDisk::Whole } },
            Rest::Stopped { reason: "why".into() },
        ] {
            let at_rest = record(of.clone().into(), None);
            assert_eq!(at_rest.rest().as_ref(), Some(&of));
            let template_id = TemplateId::new();
            let phase = Phase::MakingTemplate { template_id, kind: Kind::Base, of };
            let making = Record { phase, ..at_rest.clone() };
            assert_eq!(making.report(true), at_rest.report(true));
        }
    }
}
