//! `GET /v1/hosts`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::host_list;
use wrenn_domain::{
    action::Action,
    host::{self, HostStatus},
};

use crate::{app::App, auth::Authorized, error::ApiError};

/// Owner of a host.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum HostType {
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

/// List hosts
///
/// Platform administrators see every host, others those that their team brought.
#[utoipa::path(
    get, path = Action::HostList.path(), tag = "hosts",
    responses((status = 200, description = "The hosts, oldest first", body = [Host])),
)]
pub(crate) async fn list_hosts(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let hosts = host_list::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(hosts.into_iter().map(Host::from).collect::<Vec<_>>()))
}
