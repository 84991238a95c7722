//! Capsules: their handlers, and the shape in which clients see one.

mod command;
pub(crate) mod create;
pub(crate) mod destroy;
pub(crate) mod exec;
pub(crate) mod exec_stream;
pub(crate) mod files;
pub(crate) mod get;
pub(crate) mod history;
pub(crate) mod list;
pub(crate) mod metrics;
pub(crate) mod operate;
mod output;
pub(crate) mod pause;
pub(crate) mod ping;
pub(crate) mod preview;
mod process_socket;
pub(crate) mod processes;
pub(crate) mod pty;
pub(crate) mod resume;
mod session;
pub(crate) mod stats;
mod text;
pub(crate) mod timeout;
pub(crate) mod usage;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_domain::{
    ids::{ApiKeyId, UserId},
    lifecycle::{Operation, SandboxStatus},
    preview::{PreviewAccess, PreviewToken},
    principal::Principal,
    sandbox::{Creator, CreatorKind, Sandbox},
};

pub(crate) use output::OutputBudget;
pub(crate) use session::open_error;

use crate::app::App;

/// Last settled state of a capsule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CapsuleStatus {
    Pending,
    Starting,
    Running,
    Paused,
    Hibernated,
    Stopped,
    Missing,
    Error,
}

impl From<SandboxStatus> for CapsuleStatus {
    fn from(status: SandboxStatus) -> Self {
        match status {
            SandboxStatus::Pending => Self::Pending,
            SandboxStatus::Starting => Self::Starting,
            SandboxStatus::Running => Self::Running,
            SandboxStatus::Paused => Self::Paused,
            SandboxStatus::Hibernated => Self::Hibernated,
            SandboxStatus::Stopped => Self::Stopped,
            SandboxStatus::Missing => Self::Missing,
            SandboxStatus::Error => Self::Error,
        }
    }
}

/// Access to the ports of a capsule through its preview addresses.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CapsulePreviewAccess {
    /// For everybody who knows the address.
    Public,
    /// For those who also know `preview_token`.
    Token,
}

impl From<PreviewAccess> for CapsulePreviewAccess {
    fn from(access: PreviewAccess) -> Self {
        match access {
            PreviewAccess::Public => Self::Public,
            PreviewAccess::Token => Self::Token,
        }
    }
}

impl From<CapsulePreviewAccess> for PreviewAccess {
    fn from(access: CapsulePreviewAccess) -> Self {
        match access {
            CapsulePreviewAccess::Public => Self::Public,
            CapsulePreviewAccess::Token => Self::Token,
        }
    }
}

/// Operation on a capsule that is in flight.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum CapsuleOperation {
    Starting,
    Pausing,
    Resuming,
    Snapshotting,
    Flattening,
    Destroying,
}

impl From<Operation> for CapsuleOperation {
    fn from(operation: Operation) -> Self {
        match operation {
            Operation::Starting => Self::Starting,
            Operation::Pausing => Self::Pausing,
            Operation::Resuming => Self::Resuming,
            Operation::Snapshotting => Self::Snapshotting,
            Operation::Flattening => Self::Flattening,
            Operation::Destroying => Self::Destroying,
        }
    }
}

/// Kind of the principal that made a capsule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "snake_case")]
pub(crate) enum CapsuleCreatorType {
    User,
    ApiKey,
    System,
}

/// The user or API key that made a capsule, as it was then.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapsuleCreator {
    #[serde(rename = "type")]
    kind: CapsuleCreatorType,
    /// Id of the user or key, which may be gone; null for the platform itself.
    #[schema(required = true)]
    id: Option<String>,
    #[schema(required = true)]
    name: Option<String>,
}

impl From<Creator> for CapsuleCreator {
    fn from(creator: Creator) -> Self {
        let (kind, id) = match creator.kind {
            CreatorKind::User => (CapsuleCreatorType::User, creator.id.map(|id| UserId(id).to_string())),
            CreatorKind::ApiKey => {
                (CapsuleCreatorType::ApiKey, creator.id.map(|id| ApiKeyId(id).to_string()))
            }
            CreatorKind::System => (CapsuleCreatorType::System, None),
        };
        Self { kind, id, name: creator.name }
    }
}

/// A microVM of the team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Capsule {
    #[schema(example = "cl-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    status: CapsuleStatus,
    /// The operation in flight, if any.
    #[schema(required = true)]
    operation: Option<CapsuleOperation>,
    /// Reason for which the last operation failed, if it did.
    #[schema(required = true)]
    last_error: Option<String>,
    /// Reason for which the machine ended, if it did.
    #[schema(required = true)]
    stop_reason: Option<String>,
    /// Name of the template that it was made from.
    template: String,
    /// Null when that template is gone.
    #[schema(required = true)]
    template_id: Option<String>,
    #[schema(example = "host-01jx3m8k2vdqg5z7c9h4f6t8r")]
    host_id: String,
    vcpus: u32,
    memory_mb: u32,
    /// Size of the disk as the capsule sees it.
    disk_size_mb: u32,
    /// Seconds of no activity after which it is paused; 0 means never.
    timeout_sec: u32,
    /// True if traffic resumes it when it is paused.
    auto_resume: bool,
    /// User of commands that name none.
    default_user: String,
    metadata: BTreeMap<String, String>,
    /// Access to its ports.
    preview_access: CapsulePreviewAccess,
    /// Address of its ports, with `{port}` in place of the port.
    #[schema(example = "http://{port}-cl-01jx3m8k2vdqg5z7c9h4f6t8r.localhost:8000")]
    preview_url: String,
    /// Token that visitors need unless access is public. Each user and each key has its own, and it ends with them. Empty
    /// for a key without the scope `capsules`.
    preview_token: String,
    /// Absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    guest_ip: Option<String>,
    /// Absent while there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    host_ip: Option<String>,
    /// Parts of the machine that could not be prepared because of what is on its disk, for example a file of `/etc` that cannot be
    /// written. It runs without them. Empty unless it runs.
    warnings: Vec<String>,
    /// The user or key that made it; null if it was made before that was recorded.
    #[schema(required = true)]
    created_by: Option<CapsuleCreator>,
    created_at: DateTime<Utc>,
    #[schema(required = true)]
    started_at: Option<DateTime<Utc>>,
    /// To a few seconds.
    #[schema(required = true)]
    last_active_at: Option<DateTime<Utc>>,
    last_updated: DateTime<Utc>,
}

impl Capsule {
    /// Shows a sandbox to a principal of its team.
    fn of(app: &App, viewer: &Principal, sandbox: Sandbox) -> Self {
        let lifecycle = sandbox.lifecycle;
        let preview_token = PreviewToken::issue(&sandbox.preview_secret, viewer);
        Self {
            id: sandbox.id.to_string(),
            status: lifecycle.status.into(),
            operation: lifecycle.operation.map(Into::into),
            last_error: lifecycle.last_error,
            stop_reason: lifecycle.stop_reason,
            template: sandbox.template_name,
            template_id: sandbox.template_id.map(|id| id.to_string()),
            host_id: sandbox.host_id.to_string(),
            vcpus: sandbox.vcpus,
            memory_mb: sandbox.memory_mb,
            disk_size_mb: sandbox.disk_size_mb,
            timeout_sec: sandbox.timeout_sec,
            auto_resume: sandbox.auto_resume,
            default_user: sandbox.default_user,
            metadata: sandbox.metadata,
            preview_access: sandbox.preview_access.into(),
            preview_url: app.previews.url_of(sandbox.id),
            preview_token: preview_token.map(|token| token.to_string()).unwrap_or_default(),
            guest_ip: lifecycle.guest_ip,
            host_ip: lifecycle.host_ip,
            warnings: lifecycle.warnings,
            created_by: sandbox.created_by.map(Into::into),
            created_at: sandbox.created_at,
            started_at: sandbox.started_at,
            last_active_at: sandbox.last_active_at,
            last_updated: sandbox.updated_at,
        }
    }
}
