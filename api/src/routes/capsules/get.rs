//! `GET /v1/capsules/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::sandbox_get;
use wrenn_domain::{action::Action, ids::SandboxId};

use super::Capsule;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Show a capsule
///
/// A destroyed capsule is shown as `stopped` for 30 days, unless the operator has chosen another time.
#[utoipa::path(
    get, path = Action::SandboxGet.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 200, description = "The capsule", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
    ),
)]
pub(crate) async fn get_capsule(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<SandboxId>>,
) -> Result<HttpResponse, ApiError> {
    let sandbox = sandbox_get::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::Ok().json(Capsule::of(&app, &principal, sandbox)))
}
