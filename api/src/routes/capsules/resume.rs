//! `POST /v1/capsules/{id}/resume`

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_actors::OperationError;
use wrenn_domain::{lifecycle::SandboxStatus, sandbox::Memory};
use wrenn_proto::ids::SandboxId;

use super::{
    Capsule,
    operate::{self, OperateError},
};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, OptionalJson, PathId},
};

/// How long the client waits. A restore takes a moment, but a boot on a busy machine without acceleration takes most
/// of a minute.
const WITHIN: Duration = Duration::from_secs(180);

/// How it shall be resumed. May be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeCapsuleRequest {
    /// Give up the capsule's memory and boot it from its disk, for memory that cannot be restored.
    #[schema(nullable = false, required = false, default = false)]
    drop_memory: Option<bool>,
}

/// Why the capsule is not known to run.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ResumeCapsuleError {
    #[error("the capsule was not resumed")]
    Operate(#[source] OperateError),
    /// It was paused, and its memory is still there.
    #[error("the capsule's memory was not restored")]
    NotRestored(#[source] OperateError),
}

impl<E: Into<OperateError>> From<E> for ResumeCapsuleError {
    fn from(error: E) -> Self {
        Self::Operate(error.into())
    }
}

impl ResumeCapsuleError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Operate(error) => error.api_error(),
            Self::NotRestored(error) => {
                let ApiError { code, message, .. } = error.api_error();
                let remedy = "if it keeps failing, resume it with `{\"drop_memory\": true}`, which gives up its \
                              memory and boots it from its disk";
                ApiError::new(code, format!("{message}; {remedy}"))
            }
        }
    }
}
impl_response_error!(ResumeCapsuleError);

/// Resume a capsule
///
/// One that is paused goes on where it was; one that is stopped is booted from its disk. Answers when it runs; one that
/// runs stays as it is.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/resume", tag = "capsules",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    request_body = Option<ResumeCapsuleRequest>,
    responses(
        (status = 200, description = "The capsule, running", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (
            status = 409,
            description = "Nothing is left of it, or another operation is in flight (`invalid_state`)",
            body = ErrorBody,
        ),
        (
            status = 502,
            description = "The host failed, or has not finished in time (`agent_error`)",
            body = ErrorBody,
        ),
        (status = 503, description = "The host is away or has no room (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn resume_capsule(
    app: Data<App>,
    AuthThen(caller, (PathId(id), OptionalJson(request))): AuthThen<
        Caller,
        (PathId<SandboxId>, OptionalJson<ResumeCapsuleRequest>),
    >,
) -> Result<HttpResponse, ResumeCapsuleError> {
    let memory = if request.drop_memory == Some(true) { Memory::Drop } else { Memory::Keep };
    let before = operate::find(&app, caller, id).await?;
    let resumed = app.control_plane.sandbox_resume(id, memory, WITHIN).await.map_err(|error| {
        let is_kept = memory == Memory::Keep && before.lifecycle.status == SandboxStatus::Paused;
        match error {
            error @ OperationError::Failed(_) if is_kept => ResumeCapsuleError::NotRestored(error.into()),
            error => error.into(),
        }
    })?;
    tracing::info!(sandbox_id = %id, team_id = %caller.team_id, "capsule resumed");
    Ok(HttpResponse::Ok().json(Capsule::of(&app, resumed)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_has_memory_that_cannot_be_restored_is_told_how_to_do_without() {
        let failed = || OperateError::from(OperationError::Failed("another processor".into()));
        let kept = ResumeCapsuleError::NotRestored(failed()).api_error().message;
        assert!(kept.contains("another processor") && kept.contains("drop_memory"), "{kept}");
        let booted = ResumeCapsuleError::Operate(failed()).api_error().message;
        assert!(!booted.contains("drop_memory"), "{booted}");
    }
}
