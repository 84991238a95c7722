//! What came of a command, as it is recorded and as it is told.

use serde::{Deserialize, Serialize};
use wrenn_proto::{
    agent as wire,
    ids::{SandboxId, TemplateId},
};

/// What came of a command.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case")]
pub enum Outcome {
    /// The machine runs.
    Started {
        /// Address of the guest inside its namespace.
        guest_ip: String,
        /// Address under which the host reaches the machine's namespace.
        host_ip: String,
        /// From the command to a guest that is ready, in milliseconds.
        boot_ms: u64,
        /// Whether it goes on from saved memory, or was booted.
        #[serde(default)]
        origin: Origin,
        /// Parts of it that its guest could not prepare, as the guest put it.
        #[serde(default)]
        warnings: Vec<String>,
    },
    /// Its memory and its disk are kept, and nothing of it runs.
    Paused,
    /// A template was made of it.
    TemplateMade {
        /// The template.
        template_id: TemplateId,
        /// What its files occupy.
        size_bytes: u64,
        /// Least disk that a machine of it needs, in MiB.
        disk_size_mb: u32,
        /// What is true of the machine afterwards.
        state: MachineState,
    },
    /// Nothing of the machine is left.
    Destroyed,
    /// It failed.
    Failed(CommandError),
}

/// What a machine that runs came from.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Origin {
    /// Its disk alone.
    #[default]
    Booted,
    /// Saved memory.
    Restored,
}

/// Why a command failed, in the words of the link.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct CommandError {
    /// What kind of failure it is.
    pub kind: FailureKind,
    /// For people.
    pub message: String,
    /// What is true of the machine after the failure.
    pub state: MachineState,
}

/// Kinds of failed commands, as in `agent.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FailureKind {
    /// A higher generation was accepted before; nothing was done.
    StaleGeneration,
    /// The machine is in a state in which this cannot be done.
    InvalidState,
    /// This host does not have the template.
    TemplateMissing,
    /// There is not enough room on the volume.
    NoSpace,
    /// The virtual machine or its guest did not come up.
    BootFailed,
    /// Anything else.
    Internal,
    /// What was saved cannot be restored by this host; the disk can be booted.
    Incompatible,
    /// The guest did not do its part.
    Guest,
}

/// States of a machine, as in `agent.proto`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MachineState {
    /// It is being started.
    Starting,
    /// It runs.
    Running,
    /// Its memory and its disk are kept.
    Paused,
    /// Its disk is kept.
    Stopped,
    /// It is gone, or on its way out.
    Exited,
}

impl From<FailureKind> for wire::FailureKind {
    fn from(kind: FailureKind) -> Self {
        match kind {
            FailureKind::StaleGeneration => Self::StaleGeneration,
            FailureKind::InvalidState => Self::InvalidState,
            FailureKind::TemplateMissing => Self::TemplateMissing,
            FailureKind::NoSpace => Self::NoSpace,
            FailureKind::BootFailed => Self::BootFailed,
            FailureKind::Internal => Self::Internal,
            FailureKind::Incompatible => Self::Incompatible,
            FailureKind::Guest => Self::Guest,
        }
    }
}

impl From<MachineState> for wire::MachineState {
    fn from(state: MachineState) -> Self {
        match state {
            MachineState::Starting => Self::Starting,
            MachineState::Running => Self::Running,
            MachineState::Paused => Self::Paused,
            MachineState::Stopped => Self::Stopped,
            MachineState::Exited => Self::Exited,
        }
    }
}

impl Outcome {
    /// Returns what was true of the machine when this was its outcome.
    pub fn state(&self) -> MachineState {
        match self {
            Self::Started { .. } => MachineState::Running,
            Self::Paused => MachineState::Paused,
            Self::TemplateMade { state, .. } => *state,
            Self::Destroyed => MachineState::Exited,
            Self::Failed(error) => error.state,
        }
    }

    /// Returns the frame that tells the control plane.
    pub fn to_wire(&self, id: SandboxId, generation: u64) -> wire::CommandResult {
        use wire::command_result::Outcome as Wire;
        let to_wire = |state: MachineState| wire::MachineState::from(state).into();
        let outcome = match self.clone() {
            Self::Started { guest_ip, host_ip, boot_ms, origin, warnings } => Wire::Started(wire::Started {
                guest_ip,
                host_ip,
                boot_ms,
                restored: origin == Origin::Restored,
                warnings,
            }),
            Self::Paused => Wire::Paused(wire::Paused {}),
            Self::TemplateMade { template_id, size_bytes, disk_size_mb, state } => {
                Wire::TemplateMade(wire::TemplateMade {
                    template_id: template_id.to_string(),
                    size_bytes,
                    disk_size_mb,
                    state: to_wire(state),
                })
            }
            Self::Destroyed => Wire::Destroyed(wire::Destroyed {}),
            Self::Failed(CommandError { kind, message, state }) => Wire::Failed(wire::CommandFailed {
                kind: wire::FailureKind::from(kind).into(),
                message,
                state: to_wire(state),
            }),
        };
        wire::CommandResult { sandbox_id: id.to_string(), generation, outcome: Some(outcome) }
    }
}
