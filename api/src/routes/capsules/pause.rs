//! `POST /v1/capsules/{id}/pause`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::sandbox_pause;
use wrenn_domain::{action::Action, ids::SandboxId};

use super::Capsule;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Pause a capsule
///
/// Keeps its memory and disk, and gives back processors and memory of its host. Answers when it is paused; one
/// that is paused stays as it is.
#[utoipa::path(
    post, path = Action::SandboxPause.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 200, description = "The capsule, paused", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = "The team's quota does not allow it (`quota_exceeded`), or you may not do this", body = ErrorBody),
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
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<SandboxId>>,
) -> Result<HttpResponse, ApiError> {
    let paused = sandbox_pause::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::Ok().json(Capsule::of(&app, &principal, paused)))
}
