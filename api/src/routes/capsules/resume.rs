//! `POST /v1/capsules/{id}/resume`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::sandbox_resume::{self, ResumeError};
use wrenn_domain::{action::Action, ids::SandboxId, sandbox::Memory};

use super::Capsule;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, OptionalJson, PathId},
};

/// Options of a resume. May be left out.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResumeCapsuleRequest {
    /// Give up the capsule's memory and boot it from its disk, for memory that cannot be restored. What programs wrote in the last
    /// seconds before the pause, and did not sync, was part of the memory.
    #[schema(nullable = false, required = false, default = false)]
    drop_memory: Option<bool>,
}

impl ClientError for ResumeError {
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

/// Resume a capsule
///
/// A paused capsule goes on where it was; a stopped one is booted from its disk. Answers when it runs; a running one stays
/// as it is.
#[utoipa::path(
    post, path = Action::SandboxResume.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    request_body = Option<ResumeCapsuleRequest>,
    responses(
        (status = 200, description = "The capsule, running", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = "The team's quota does not allow it (`quota_exceeded`), or you may not do this", body = ErrorBody),
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
        (
            status = 503,
            description = "The host is away or has no room (`host_unavailable`), or the server has too much to do \
                (`overloaded`)",
            body = ErrorBody,
        ),
    ),
)]
pub(crate) async fn resume_capsule(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), OptionalJson(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, OptionalJson<ResumeCapsuleRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let memory = if request.drop_memory == Some(true) { Memory::Drop } else { Memory::Keep };
    let resumed = sandbox_resume::run(&app.control, &principal, id, memory).await?;
    Ok(HttpResponse::Ok().json(Capsule::of(&app, &principal, resumed)))
}

#[cfg(test)]
mod tests {
    use wrenn_actors::OperationError;

    use super::*;

    #[test]
    fn whoever_has_memory_that_cannot_be_restored_is_told_how_to_do_without() {
        let failed = || OperationError::Failed("another processor".into());
        let kept = ResumeError::NotRestored(failed()).api_error().message;
        assert!(kept.contains("another processor") && kept.contains("drop_memory"), "{kept}");
        let booted = ResumeError::Operate(failed()).api_error().message;
        assert!(!booted.contains("drop_memory"), "{booted}");
    }
}
