//! `DELETE /v1/snapshots/{name}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use wrenn_actors::DeleteTemplateError as ActorError;
use wrenn_control::template_delete::{self, DeleteTemplateError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::AuthThen,
};

impl ClientError for DeleteTemplateError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotFound(_) | Self::NotOfTeam(_) => ErrorCode::NotFound,
            Self::Platform(_) => ErrorCode::Forbidden,
            Self::Image(_) | Self::Needed { .. } => ErrorCode::Conflict,
            // The actor writes the beginning of a deletion before anything else, and waits out later failures.
            Self::Store(error) | Self::Delete(ActorError::Store(error)) => return ApiError::of_store(error),
            Self::Delete(ActorError::Interrupted(_)) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Delete a template
///
/// Capsules that were made from it live on. An administrator of the platform deletes templates of the platform, too.
#[utoipa::path(
    delete, path = Action::TemplateDelete.path(), tag = "snapshots",
    params(("name" = String, Path, description = "The template's name")),
    responses(
        (status = 204, description = "Gone"),
        (
            status = 403,
            description = "It is the platform's, or the account is disabled or not in the team",
            body = ErrorBody,
        ),
        (status = 404, description = "The team has no such template", body = ErrorBody),
        (
            status = 409,
            description = "A template of the platform that capsules that start, or builds, still need, or that is an image (`conflict`)",
            body = ErrorBody,
        ),
    ),
)]
pub(crate) async fn delete_snapshot(
    app: Data<App>,
    AuthThen(Authorized(principal), name): AuthThen<Authorized, Path<String>>,
) -> Result<HttpResponse, ApiError> {
    template_delete::run(&app.control, &principal, &name).await?;
    Ok(HttpResponse::NoContent().finish())
}
