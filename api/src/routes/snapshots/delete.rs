//! `DELETE /v1/snapshots/{name}`

use actix_web::{
    HttpResponse,
    web::{Data, Path},
};
use wrenn_actors::DeleteTemplateError;
use wrenn_domain::{error_code::ErrorCode, limits};
use wrenn_proto::ids::TeamId;
use wrenn_store::StoreError;

use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::AuthThen,
};

/// Why the template was not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteSnapshotError {
    #[error("there is no template `{0}`")]
    NotFound(String),
    #[error("template `{0}` is the platform's; only an administrator of the platform can delete it")]
    Platform(String),
    #[error("the template could not be looked up")]
    Store(#[from] StoreError),
    #[error("the template could not be deleted")]
    Delete(#[from] DeleteTemplateError),
}

impl DeleteSnapshotError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Platform(_) => ErrorCode::Forbidden,
            Self::Store(_) | Self::Delete(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(DeleteSnapshotError);

/// Delete a template
///
/// Capsules that were made from it live on.
#[utoipa::path(
    delete, path = "/v1/snapshots/{name}", tag = "snapshots",
    security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("name" = String, Path, description = "The template's name")),
    responses(
        (status = 204, description = "Gone"),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (
            status = 403,
            description = "It is the platform's, or the account is disabled or not in the team",
            body = ErrorBody,
        ),
        (status = 404, description = "The team has no such template", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_snapshot(
    app: Data<App>,
    AuthThen(caller, name): AuthThen<Caller, Path<String>>,
) -> Result<HttpResponse, DeleteSnapshotError> {
    let name = name.into_inner();
    let not_found = || DeleteSnapshotError::NotFound(name.chars().take(limits::ECHO_CHARACTERS).collect());
    if !limits::is_template_name(&name) {
        return Err(not_found());
    }
    let template = app.store.template_find(caller.team_id, &name).await?.ok_or_else(not_found)?;
    // Before anything is touched.
    if template.team_id == TeamId::PLATFORM {
        return Err(DeleteSnapshotError::Platform(name));
    }
    if !app.control_plane.template_delete(&template).await? {
        return Err(not_found());
    }
    tracing::info!(template_id = %template.id, team_id = %caller.team_id, "template deleted");
    Ok(HttpResponse::NoContent().finish())
}
