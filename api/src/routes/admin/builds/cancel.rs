//! `POST /v1/admin/builds/{id}/cancel`

use actix_web::web::{self, Data};
use wrenn_control::build_cancel;
use wrenn_domain::{action::Action, ids::BuildId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
    routes::builds::Build,
};

/// Cancel any team's build
///
/// Answers when its capsule is gone.
#[utoipa::path(
    post, path = Action::AdminBuildCancel.path(), tag = "administration",
    params(("id" = String, Path, description = "The build")),
    responses(
        (status = 200, description = "The build, cancelled", body = Build),
        (status = 404, description = "There is no such build", body = ErrorBody),
        (status = 409, description = "The build has ended already (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn cancel_build(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<BuildId>>,
) -> Result<web::Json<Build>, ApiError> {
    let build = build_cancel::run_any(&app.control, &principal, id).await?;
    Ok(web::Json(build.into()))
}
