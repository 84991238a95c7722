//! `POST /v1/capsules/{id}/ping`

use actix_web::{HttpResponse, web::Data};
use wrenn_actors::SessionOpenError;
use wrenn_proto::ids::SandboxId;

use super::{
    operate::{self, OperateError},
    session,
};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// Why nothing was noted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum PingCapsuleError {
    #[error("the capsule cannot be used")]
    Find(#[from] OperateError),
    #[error("the capsule is not in use")]
    Use(#[from] SessionOpenError),
}

impl PingCapsuleError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Find(error) => error.api_error(),
            Self::Use(error) => session::open_answer(error),
        }
    }
}
impl_response_error!(PingCapsuleError);

/// Say that a capsule is still wanted
///
/// Counts as activity: its `timeout_sec` begins anew.
#[utoipa::path(
    post, path = "/v1/capsules/{id}/ping", tag = "capsules",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 204, description = "Noted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "It does not run (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn ping_capsule(
    app: Data<App>,
    AuthThen(caller, PathId(id)): AuthThen<Caller, PathId<SandboxId>>,
) -> Result<HttpResponse, PingCapsuleError> {
    operate::find(&app, caller, id).await?;
    app.control_plane.sandbox_use(id).await?;
    Ok(HttpResponse::NoContent().finish())
}
