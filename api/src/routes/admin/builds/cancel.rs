//! `POST /v1/admin/builds/{id}/cancel`

use actix_web::web::{self, Data};
use wrenn_actors::BuildCancelError;
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::ids::BuildId;

use super::Build;
use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// Why the build was not cancelled.
#[derive(Debug, thiserror::Error)]
#[error(transparent)]
pub(crate) struct CancelBuildError(#[from] BuildCancelError);

impl CancelBuildError {
    fn api_error(&self) -> ApiError {
        let code = match &self.0 {
            BuildCancelError::NotFound(_) => ErrorCode::NotFound,
            BuildCancelError::Ended(_) => ErrorCode::InvalidState,
            BuildCancelError::Store(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(CancelBuildError);

/// Cancel a build
///
/// Answers when its capsule is gone.
#[utoipa::path(
    post, path = "/v1/admin/builds/{id}/cancel", tag = "administration", security(("bearerAuth" = [])),
    params(("id" = String, Path, description = "The build")),
    responses(
        (status = 200, description = "It is cancelled", body = Build),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
        (status = 404, description = "There is no such build", body = ErrorBody),
        (status = 409, description = "It has ended already (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn cancel_build(
    app: Data<App>,
    AuthThen(_admin, PathId(id)): AuthThen<Admin, PathId<BuildId>>,
) -> Result<web::Json<Build>, CancelBuildError> {
    let build = app.control_plane.build_cancel(id).await?;
    Ok(web::Json(build.into()))
}
