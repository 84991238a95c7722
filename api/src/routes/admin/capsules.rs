//! `GET /v1/admin/capsules`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use wrenn_control::sandbox_list_all;
use wrenn_domain::{
    action::Action, error_code::ErrorCode, ids::TeamId, lifecycle::SandboxStatus, sandbox::Sandbox,
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
    routes::capsules::{CapsuleOperation, CapsuleStatus},
};

/// A capsule and its team. What gives access to it, such as its preview token, is its team's alone.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminCapsule {
    id: String,
    team_id: String,
    team_name: String,
    status: CapsuleStatus,
    /// The operation in flight, if any.
    #[schema(required = true)]
    operation: Option<CapsuleOperation>,
    #[schema(required = true)]
    last_error: Option<String>,
    #[schema(required = true)]
    stop_reason: Option<String>,
    /// Name of the template that it was made from.
    template: String,
    host_id: String,
    vcpus: u32,
    memory_mb: u32,
    disk_size_mb: u32,
    timeout_sec: u32,
    auto_resume: bool,
    metadata: BTreeMap<String, String>,
    created_at: DateTime<Utc>,
    #[schema(required = true)]
    started_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    last_active_at: Option<DateTime<Utc>>,
    last_updated: DateTime<Utc>,
}

impl From<(Sandbox, String)> for AdminCapsule {
    fn from((sandbox, team_name): (Sandbox, String)) -> Self {
        let lifecycle = sandbox.lifecycle;
        Self {
            id: sandbox.id.to_string(),
            team_id: sandbox.team_id.to_string(),
            team_name,
            status: lifecycle.status.into(),
            operation: lifecycle.operation.map(Into::into),
            last_error: lifecycle.last_error,
            stop_reason: lifecycle.stop_reason,
            template: sandbox.template_name,
            host_id: sandbox.host_id.to_string(),
            vcpus: sandbox.vcpus,
            memory_mb: sandbox.memory_mb,
            disk_size_mb: sandbox.disk_size_mb,
            timeout_sec: sandbox.timeout_sec,
            auto_resume: sandbox.auto_resume,
            metadata: sandbox.metadata,
            created_at: sandbox.created_at,
            started_at: sandbox.started_at,
            last_active_at: sandbox.last_active_at,
            last_updated: sandbox.updated_at,
        }
    }
}

/// Capsules that are wanted.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct AdminCapsulesQuery {
    /// Leave out those of other teams.
    #[param(nullable = false, required = false)]
    team_id: Option<String>,
    /// Leave out those with another status.
    #[param(nullable = false, required = false)]
    status: Option<String>,
}

impl AdminCapsulesQuery {
    fn filter(&self) -> Result<(Option<TeamId>, Option<SandboxStatus>), ApiError> {
        let invalid = |message: String| ApiError::new(ErrorCode::InvalidRequest, message);
        let team = self.team_id.as_deref().map(str::parse).transpose();
        let status = self.status.as_deref().map(str::parse).transpose();
        Ok((
            team.map_err(|error| invalid(format!("team_id: {error}")))?,
            status.map_err(|_| {
                let words: Vec<_> = SandboxStatus::ALL.iter().map(|status| status.as_str()).collect();
                invalid(format!("status: must be one of {}", words.join(", ")))
            })?,
        ))
    }
}

/// List every team's capsules
///
/// Destroyed ones are left out.
#[utoipa::path(
    get, path = Action::AdminCapsuleList.path(), tag = "administration",
    params(AdminCapsulesQuery, PageQuery),
    responses(
        (
            status = 200, description = "The capsules, newest first", body = [AdminCapsule],
            headers(("X-Next-Token" = String, description = "Token of the next page, if there is one")),
        ),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_all_capsules(
    app: Data<App>,
    AuthThen(Authorized(principal), (Query(query), Query(wanted))): AuthThen<
        Authorized,
        (Query<AdminCapsulesQuery>, Query<PageQuery>),
    >,
) -> Result<HttpResponse, ApiError> {
    let (team, status) = query.filter()?;
    let found = sandbox_list_all::run(&app.control, &principal, team, status, wanted.request()?).await?;
    Ok(page::respond(found.map(AdminCapsule::from)))
}
