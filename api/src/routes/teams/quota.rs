//! `GET /v1/teams/{id}/quota`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::team_quota_get;
use wrenn_domain::{
    action::Action,
    quota::{Quota, QuotaResource},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    routes::limit_schemas,
};

/// Limits of a team or of the platform; null or left out is no limit, or for a team the platform's default.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct QuotaLimits {
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    running_capsules: Option<u64>,
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    vcpus: Option<u64>,
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    memory_mb: Option<u64>,
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    disk_mb: Option<u64>,
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    templates: Option<u64>,
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    paused_capsules: Option<u64>,
    #[schema(schema_with = limit_schemas::quota_limit, required = false)]
    concurrent_builds: Option<u64>,
}

impl From<QuotaLimits> for Quota {
    fn from(limits: QuotaLimits) -> Self {
        Self {
            running_capsules: limits.running_capsules,
            vcpus: limits.vcpus,
            memory_mb: limits.memory_mb,
            disk_mb: limits.disk_mb,
            templates: limits.templates,
            paused_capsules: limits.paused_capsules,
            concurrent_builds: limits.concurrent_builds,
        }
    }
}

impl From<Quota> for QuotaLimits {
    fn from(quota: Quota) -> Self {
        Self {
            running_capsules: quota.running_capsules,
            vcpus: quota.vcpus,
            memory_mb: quota.memory_mb,
            disk_mb: quota.disk_mb,
            templates: quota.templates,
            paused_capsules: quota.paused_capsules,
            concurrent_builds: quota.concurrent_builds,
        }
    }
}

/// Limit and use of a resource.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResourceQuota {
    /// Null if there is no limit.
    #[schema(required = true)]
    limit: Option<u64>,
    /// Larger than the limit if that was lowered.
    used: u64,
}

/// Limits of a team, and its use.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamQuota {
    /// Capsules that have a machine: those that run, start or resume.
    running_capsules: ResourceQuota,
    /// vCPUs of these capsules.
    vcpus: ResourceQuota,
    /// Memory of these capsules, in MiB.
    memory_mb: ResourceQuota,
    /// Disks of all capsules, in MiB.
    disk_mb: ResourceQuota,
    templates: ResourceQuota,
    paused_capsules: ResourceQuota,
    /// Builds that have not ended.
    concurrent_builds: ResourceQuota,
}

/// Show the limits of a team, and its use
///
/// Requests beyond a limit are answered with `quota_exceeded`.
#[utoipa::path(
    get, path = Action::TeamQuotaGet.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    responses(
        (status = 200, description = "Limit and use of each resource", body = TeamQuota),
        (status = 404, description = "You belong to no such team", body = ErrorBody),
    ),
)]
pub(crate) async fn get_team_quota(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let (quota, usage) = team_quota_get::run(&app.control, &principal).await?;
    let of = |resource| ResourceQuota { limit: quota.get(resource), used: usage.get(resource) };
    Ok(HttpResponse::Ok().json(TeamQuota {
        running_capsules: of(QuotaResource::RunningCapsules),
        vcpus: of(QuotaResource::Vcpus),
        memory_mb: of(QuotaResource::MemoryMb),
        disk_mb: of(QuotaResource::DiskMb),
        templates: of(QuotaResource::Templates),
        paused_capsules: of(QuotaResource::PausedCapsules),
        concurrent_builds: of(QuotaResource::ConcurrentBuilds),
    }))
}
