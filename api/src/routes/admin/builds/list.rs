//! `GET /v1/admin/builds`

use actix_web::web::{self, Data};
use wrenn_store::StoreError;

use super::Build;
use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, ErrorBody, impl_response_error},
};

/// So many are listed.
const AT_MOST: u32 = 200;

/// Why the builds were not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListBuildsError {
    #[error("the builds could not be read")]
    Store(#[from] StoreError),
}

impl ListBuildsError {
    fn api_error(&self) -> ApiError {
        let Self::Store(_) = self;
        ApiError::internal()
    }
}
impl_response_error!(ListBuildsError);

/// List the newest builds
///
/// Newest first, at most 200, without their logs.
#[utoipa::path(
    get, path = "/v1/admin/builds", tag = "administration", security(("bearerAuth" = [])),
    responses(
        (status = 200, description = "The builds", body = Vec<Build>),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
    ),
)]
pub(crate) async fn list_builds(
    app: Data<App>,
    _admin: Admin,
) -> Result<web::Json<Vec<Build>>, ListBuildsError> {
    let builds = app.store.build_list(AT_MOST).await?;
    Ok(web::Json(builds.into_iter().map(Into::into).collect()))
}
