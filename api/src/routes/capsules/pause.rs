//! `POST /v1/capsules/{id}/pause`

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use wrenn_proto::ids::SandboxId;

use super::{
    Capsule,
    operate::{self, OperateError},
};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// How long the client waits. A pause takes milliseconds, but a host may be busy.
const WITHIN: Duration = Duration::from_secs(120);

/// Why the capsule is not known to be paused.
#[derive(Debug, thiserror::Error)]
#[error("the capsule was not paused")]
pub(crate) struct PauseCapsuleError(#[source] OperateError);

impl<E: Into<OperateError>> From<E> for PauseCapsuleError {
    fn from(error: E) -> Self {
        Self(error.into())
    }
}

impl PauseCapsuleError {
    fn api_error(&self) -> ApiError {
        self.0.api_error()
    }
}
impl_response_error!(PauseCapsuleError);

/// Pause a capsule
///
/// Keeps its memory and disk, and gives back processors and memory of its host. Answers when it is paused; one
/// that is paused stays as it is.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/pause", tag = "capsules",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 200, description = "The capsule, paused", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (
            status = 409,
            description = "It does not run, or another operation is in flight (`invalid_state`)",
            body = ErrorBody,
        ),
        (
            status = 502,
            description = "The host failed, or has not finished in time (`agent_error`)",
            body = ErrorBody,
        ),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn pause_capsule(
    app: Data<App>,
    AuthThen(caller, PathId(id)): AuthThen<Caller, PathId<SandboxId>>,
) -> Result<HttpResponse, PauseCapsuleError> {
    operate::find(&app, caller, id).await?;
    let paused = app.control_plane.sandbox_pause(id, WITHIN).await?;
    tracing::info!(sandbox_id = %id, team_id = %caller.team_id, "capsule paused");
    Ok(HttpResponse::Ok().json(Capsule::of(&app, paused)))
}
