//! `POST /v1/builds/{id}/cancel`

use actix_web::web::{self, Data};
use wrenn_control::build_cancel::{self, BuildCancelError};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::BuildId};

use super::Build;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

impl ClientError for BuildCancelError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Ended(_) => ErrorCode::InvalidState,
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Cancel a build of the team
///
/// Answers when its capsule is gone.
#[utoipa::path(
    post, path = Action::BuildCancel.path(), tag = "builds",
    params(("id" = String, Path, description = "The build")),
    responses(
        (status = 200, description = "The build, cancelled", body = Build),
        (status = 404, description = "The team has no such build", body = ErrorBody),
        (status = 409, description = "The build has ended already (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn cancel_team_build(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<BuildId>>,
) -> Result<web::Json<Build>, ApiError> {
    let build = build_cancel::run(&app.control, &principal, id).await?;
    Ok(web::Json(build.into()))
}
