//! `POST /v1/capsules/{id}/ping`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::sandbox_ping;
use wrenn_domain::{action::Action, ids::SandboxId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Say that a capsule is still wanted
///
/// Counts as activity: its `timeout_sec` begins anew.
#[utoipa::path(
    post, path = Action::SandboxPing.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 204, description = "Noted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "It does not run (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn ping_capsule(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<SandboxId>>,
) -> Result<HttpResponse, ApiError> {
    sandbox_ping::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
