//! `GET /v1/admin/builds`

use actix_web::web::{self, Data};
use wrenn_control::build_list;
use wrenn_domain::action::Action;

use super::Build;
use crate::{app::App, auth::Authorized, error::ApiError};

/// List the newest builds
///
/// Newest first, at most 200, without their logs.
#[utoipa::path(
    get, path = Action::BuildList.path(), tag = "administration",
    responses((status = 200, description = "The builds", body = Vec<Build>)),
)]
pub(crate) async fn list_builds(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<web::Json<Vec<Build>>, ApiError> {
    let builds = build_list::run(&app.control, &principal).await?;
    Ok(web::Json(builds.into_iter().map(Into::into).collect()))
}
