//! `GET /v1/hosts/{id}/delete-preview`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::host_delete_preview;
use wrenn_domain::{action::Action, host::TemplateOnHost, ids::HostId, sandbox::Sandbox};

use super::Host;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// A capsule that a host has.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct CapsuleOnHost {
    id: String,
    team_id: String,
    status: String,
    /// Operation in flight.
    #[schema(required = true)]
    operation: Option<String>,
}

/// A template that only one host has.
#[derive(Debug, Serialize, ToSchema)]
#[schema(as = TemplateOnHost)]
pub(crate) struct LostTemplate {
    id: String,
    team_id: String,
    name: String,
}

/// Everything that ends with a host.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct HostDeletePreview {
    host: Host,
    /// Ids of the capsules.
    sandbox_ids: Vec<String>,
    /// The capsules that run, start, are paused or stopped on the host, or are missing with it.
    capsules: Vec<CapsuleOnHost>,
    /// The templates that only the host has.
    templates: Vec<LostTemplate>,
}

impl From<&Sandbox> for CapsuleOnHost {
    fn from(sandbox: &Sandbox) -> Self {
        Self {
            id: sandbox.id.to_string(),
            team_id: sandbox.team_id.to_string(),
            status: sandbox.lifecycle.status.to_string(),
            operation: sandbox.lifecycle.operation.map(|operation| operation.to_string()),
        }
    }
}

impl From<TemplateOnHost> for LostTemplate {
    fn from(template: TemplateOnHost) -> Self {
        Self { id: template.id.to_string(), team_id: template.team_id.to_string(), name: template.name }
    }
}

/// Preview the deletion of a host
#[utoipa::path(
    get, path = Action::HostDeletePreview.path(), tag = "hosts",
    params(("id" = String, Path, description = "Id of the host")),
    responses(
        (status = 200, description = "Everything that ends with the host", body = HostDeletePreview),
        (status = 404, description = "You see no such host", body = ErrorBody),
    ),
)]
pub(crate) async fn preview_host_deletion(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<HostId>>,
) -> Result<HttpResponse, ApiError> {
    let preview = host_delete_preview::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::Ok().json(HostDeletePreview {
        host: preview.host.into(),
        sandbox_ids: preview.sandboxes.iter().map(|sandbox| sandbox.id.to_string()).collect(),
        capsules: preview.sandboxes.iter().map(CapsuleOnHost::from).collect(),
        templates: preview.templates.into_iter().map(LostTemplate::from).collect(),
    }))
}
