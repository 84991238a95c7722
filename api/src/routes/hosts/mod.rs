//! Hosts.

pub(crate) mod create;
pub(crate) mod delete;
pub(crate) mod delete_preview;
pub(crate) mod drain;
pub(crate) mod get;
pub(crate) mod heartbeat;
pub(crate) mod list;
pub(crate) mod refresh;
pub(crate) mod register;
pub(crate) mod tags;
pub(crate) mod token;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_actors::DeleteHostError as ActorError;
use wrenn_control::{
    HostCredentials, host_delete::DeleteHostError, host_error::HostError, host_shown::ShownHost,
};
use wrenn_domain::{
    error_code::ErrorCode,
    host::{self, HostKind, HostRefusal, HostStatus},
    ids::SandboxId,
};

use super::teams::refusal_code;
use crate::error::{ApiError, ClientError};

/// Owner of a host.
#[derive(Debug, Clone, Copy, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum HostType {
    /// The platform.
    Regular,
    /// A team.
    Byoc,
}

/// Status of a host.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = HostStatus)]
enum HostStatusName {
    Pending,
    Online,
    Offline,
    Draining,
    Unreachable,
}

impl From<HostStatus> for HostStatusName {
    fn from(status: HostStatus) -> Self {
        match status {
            HostStatus::Pending => Self::Pending,
            HostStatus::Online => Self::Online,
            HostStatus::Offline => Self::Offline,
            HostStatus::Draining => Self::Draining,
            HostStatus::Unreachable => Self::Unreachable,
        }
    }
}

/// A machine that runs capsules.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct Host {
    id: String,
    #[serde(rename = "type")]
    kind: HostType,
    #[schema(required = true)]
    team_id: Option<String>,
    /// Name of the team that brought it; only for administrators of the platform.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    team_name: Option<String>,
    #[schema(required = true)]
    provider: Option<String>,
    #[schema(required = true)]
    availability_zone: Option<String>,
    #[schema(required = true)]
    arch: Option<String>,
    #[schema(required = true)]
    cpu_cores: Option<u32>,
    #[schema(required = true)]
    memory_mb: Option<u64>,
    #[schema(required = true)]
    disk_gb: Option<u64>,
    #[schema(required = true)]
    address: Option<String>,
    status: HostStatusName,
    #[schema(required = true)]
    last_heartbeat_at: Option<DateTime<Utc>>,
    /// User who made the record of the host; absent if no user did.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    created_by: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<host::Host> for Host {
    fn from(host: host::Host) -> Self {
        let status = host.shown_status().into();
        Self {
            id: host.id.to_string(),
            kind: host.kind().into(),
            team_id: host.team_id.map(|id| id.to_string()),
            team_name: None,
            provider: host.provider,
            availability_zone: host.availability_zone,
            arch: host.arch,
            cpu_cores: host.capacity.map(|capacity| capacity.cpu_cores),
            memory_mb: host.capacity.map(|capacity| capacity.memory_mb),
            disk_gb: host.capacity.map(|capacity| capacity.disk_mb / 1024),
            address: host.address,
            status,
            last_heartbeat_at: host.last_heartbeat_at,
            created_by: host.created_by.map(|id| id.to_string()),
            created_at: host.created_at,
            updated_at: host.updated_at,
        }
    }
}

impl From<ShownHost> for Host {
    fn from(shown: ShownHost) -> Self {
        Self { team_name: shown.team_name, ..shown.host.into() }
    }
}

impl From<HostKind> for HostType {
    fn from(kind: HostKind) -> Self {
        match kind {
            HostKind::Regular => Self::Regular,
            HostKind::Byoc => Self::Byoc,
        }
    }
}

impl From<HostType> for HostKind {
    fn from(kind: HostType) -> Self {
        match kind {
            HostType::Regular => Self::Regular,
            HostType::Byoc => Self::Byoc,
        }
    }
}

/// A host with a token for its registration.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CreateHostResponse {
    host: Host,
    /// Token with which the host registers once, within an hour. This answer is the only one that carries it.
    registration_token: String,
}

/// A host with its credentials.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct RegisterHostResponse {
    host: Host,
    /// Token of the host, for the header `X-Host-Token`.
    token: String,
    /// Token that renews both, once.
    refresh_token: String,
}

impl RegisterHostResponse {
    fn of((host, credentials): (host::Host, HostCredentials)) -> Self {
        let HostCredentials { host_token: token, refresh_token } = credentials;
        Self { host: host.into(), token, refresh_token }
    }
}

impl ClientError for HostError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Store(error) => return ApiError::of_store(error),
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Limit(_) => ErrorCode::InvalidRequest,
            Self::Refused(refusal) => match refusal {
                HostRefusal::Gone(_) | HostRefusal::NoTag(_) => ErrorCode::NotFound,
                HostRefusal::Team(refusal) => refusal_code(refusal),
                HostRefusal::NoOwnHosts => ErrorCode::Forbidden,
                HostRefusal::TooManyHosts | HostRefusal::TooManyTags => ErrorCode::Conflict,
                HostRefusal::Online(_) => ErrorCode::InvalidState,
            },
        };
        ApiError::new(code, self.to_string())
    }
}

impl ClientError for DeleteHostError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Host(error) => error.api_error(),
            Self::Delete(ActorError::NotFound(_)) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Delete(ActorError::HasSandboxes { sandboxes, .. }) => ApiError {
                capsules: Some(sandboxes.iter().map(SandboxId::to_string).collect()),
                ..ApiError::new(ErrorCode::HostHasCapsules, self.to_string())
            },
            Self::Delete(ActorError::Store(error)) => ApiError::of_store(error),
            Self::Delete(ActorError::Interrupted(_) | ActorError::Objects(_)) => ApiError::internal(),
        }
    }
}
