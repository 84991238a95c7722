//! `GET /v1/hosts`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::host::{self, HostStatus};
use wrenn_store::StoreError;

use crate::{
    app::App,
    auth::Session,
    error::{ApiError, ErrorBody, impl_response_error},
};

/// Whose a host is.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HostType {
    /// The platform's.
    Regular,
    /// A team's own.
    Byoc,
}

/// How a host is doing.
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
    /// Absent for a host that nobody in particular made.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(nullable = false, required = false)]
    created_by: Option<String>,
    created_at: DateTime<Utc>,
    updated_at: DateTime<Utc>,
}

impl From<host::Host> for Host {
    fn from(host: host::Host) -> Self {
        Self {
            id: host.id.to_string(),
            kind: if host.team_id.is_some() { HostType::Byoc } else { HostType::Regular },
            team_id: host.team_id.map(|id| id.to_string()),
            provider: host.provider,
            availability_zone: host.availability_zone,
            arch: host.arch,
            cpu_cores: host.capacity.map(|capacity| capacity.cpu_cores),
            memory_mb: host.capacity.map(|capacity| capacity.memory_mb),
            disk_gb: host.capacity.map(|capacity| capacity.disk_mb / 1024),
            address: host.address,
            status: host.status.into(),
            last_heartbeat_at: host.last_heartbeat_at,
            created_by: host.created_by.map(|id| id.to_string()),
            created_at: host.created_at,
            updated_at: host.updated_at,
        }
    }
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("the hosts could not be listed")]
pub(crate) struct ListHostsError(#[from] StoreError);

impl ListHostsError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}
impl_response_error!(ListHostsError);

/// List hosts
///
/// Platform administrators see every host, others those that their team brought.
#[utoipa::path(
    get, path = "/v1/hosts", tag = "hosts", security(("bearerAuth" = [])),
    responses(
        (status = 200, description = "The hosts, oldest first", body = [Host]),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn list_hosts(app: Data<App>, session: Session) -> Result<HttpResponse, ListHostsError> {
    let hosts = if session.user.is_admin {
        app.store.host_list().await?
    } else {
        app.store.host_list_of_team(session.team_id).await?
    };
    Ok(HttpResponse::Ok().json(hosts.into_iter().map(Host::from).collect::<Vec<_>>()))
}
