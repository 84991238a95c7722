//! `GET /v1/admin/builds/{id}`

use actix_web::web::{self, Data};
use wrenn_control::build_get;
use wrenn_domain::{action::Action, ids::BuildId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
    routes::builds::Build,
};

/// Get any team's build with its logs
#[utoipa::path(
    get, path = Action::AdminBuildGet.path(), tag = "administration",
    params(("id" = String, Path, description = "The build")),
    responses(
        (status = 200, description = "The build", body = Build),
        (status = 404, description = "There is no such build", body = ErrorBody),
    ),
)]
pub(crate) async fn get_build(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<BuildId>>,
) -> Result<web::Json<Build>, ApiError> {
    let log = build_get::run_any(&app.control, &principal, id).await?;
    Ok(web::Json(log.into()))
}
