//! Sandboxes: their rows, the state machine of their life, and what is always true of it.
//!
//! [`step()`] is the state machine; the actor, the tests and the model check call the same function.

#[cfg(test)]
mod exhaustive;
pub mod handling;
pub mod invariants;
pub mod inventory;
pub mod state;
mod step;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use uuid::Uuid;

pub use self::{
    state::{Memory, Refusal},
    step::step,
};
use crate::{
    build::Claim,
    ids::{AuditId, HostId, SandboxId, TeamId, TemplateId},
    lifecycle::{Hold, Lifecycle},
    preview::PreviewAccess,
    template::TemplateSource,
    word::words,
};

words! {
    /// Kind of the principal that made a sandbox.
    CreatorKind, "creator kind" {
        /// A signed-in user.
        User = "user",
        /// A program with an API key.
        ApiKey = "api_key",
        /// The control plane itself.
        System = "system",
    }
}

/// The principal that made a sandbox, as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Creator {
    /// Kind of the principal.
    pub kind: CreatorKind,
    /// UUID of the user or key, which may be gone; `None` for the control plane.
    pub id: Option<Uuid>,
    /// Name of the user or key; of the control plane, the reason for which it acted.
    pub name: Option<String>,
}

/// A sandbox as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sandbox {
    /// Its id.
    pub id: SandboxId,
    /// Team that owns it.
    pub team_id: TeamId,
    /// Template from which it was made; `None` when that template is gone.
    pub template_id: Option<TemplateId>,
    /// The template's name when it was made.
    pub template_name: String,
    /// File name of the image that it was started from; none if it came from files that were made on its host.
    pub template_image: Option<String>,
    /// Host on which it lives.
    pub host_id: HostId,
    /// Processors.
    pub vcpus: u32,
    /// Memory.
    pub memory_mb: u32,
    /// Size of its disk as the guest sees it.
    pub disk_size_mb: u32,
    /// Idle time after which it is paused; 0 means never.
    pub timeout_sec: u32,
    /// True if traffic resumes it.
    pub auto_resume: bool,
    /// User of commands that name none.
    pub default_user: String,
    /// Environment of every command.
    pub envs: BTreeMap<String, String>,
    /// Whatever its owner noted.
    pub metadata: BTreeMap<String, String>,
    /// Visitors that may reach its ports.
    pub preview_access: PreviewAccess,
    /// Secret of which the tokens of those visitors are made.
    pub preview_secret: String,
    /// Part of the row that its actor writes.
    pub lifecycle: Lifecycle,
    /// Source of the template that its operation makes; `None` if it makes none.
    pub making: Option<TemplateSource>,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// When it ran first.
    pub started_at: Option<DateTime<Utc>>,
    /// When it was used last, to a few seconds.
    pub last_active_at: Option<DateTime<Utc>>,
    /// When the row changed last.
    pub updated_at: DateTime<Utc>,
    /// When its requested end was reached.
    pub destroyed_at: Option<DateTime<Utc>>,
    /// The audit entry of the operation in flight.
    pub audit_id: Option<AuditId>,
    /// The principal that made it; `None` if it was made before that was recorded.
    pub created_by: Option<Creator>,
}

/// Content of a new sandbox's row. Sizes must be within the range of an `i32`; the database refuses others.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewSandbox {
    /// Its id.
    pub id: SandboxId,
    /// Team that owns it.
    pub team_id: TeamId,
    /// Template from which it is made.
    pub template_id: TemplateId,
    /// The template's name.
    pub template_name: String,
    /// File name of the template's image, if it has one.
    pub template_image: Option<String>,
    /// The hosts that have the template, which are preferred; none if every host has it.
    pub template_hosts: Option<Vec<HostId>>,
    /// Processors.
    pub vcpus: u32,
    /// Memory.
    pub memory_mb: u32,
    /// Size of its disk as the guest sees it.
    pub disk_size_mb: u32,
    /// Idle time after which it is paused; 0 means never.
    pub timeout_sec: u32,
    /// True if traffic resumes it.
    pub auto_resume: bool,
    /// User of commands that name none.
    pub default_user: String,
    /// Environment of every command.
    pub envs: BTreeMap<String, String>,
    /// Whatever its owner wants to note.
    pub metadata: BTreeMap<String, String>,
    /// Visitors that may reach its ports.
    pub preview_access: PreviewAccess,
    /// The attempt at a build that it is for; it is destroyed when that is over.
    pub build: Option<Claim>,
}

/// Resources that a sandbox takes from its host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct SandboxReservation {
    /// Which sandbox.
    pub id: SandboxId,
    /// On which host.
    pub host_id: HostId,
    /// Processors.
    pub vcpus: u32,
    /// Memory.
    pub memory_mb: u32,
    /// Size of its disk as the guest sees it.
    pub disk_size_mb: u32,
    /// Part of them that it has, or may have.
    pub hold: Hold,
}
