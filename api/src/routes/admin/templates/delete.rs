//! `DELETE /v1/admin/templates/{name}`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::IntoParams;
use wrenn_actors::DeleteTemplateError;
use wrenn_domain::{
    error_code::ErrorCode,
    limits::{self, ECHO_CHARACTERS},
};
use wrenn_proto::ids::{ParseIdError, TeamId};
use wrenn_store::StoreError;

use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Query},
};

/// Whose template is meant.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteTemplateQuery {
    /// The platform's, if not given.
    #[param(nullable = false, required = false)]
    team_id: Option<String>,
}

/// Why the template was not deleted.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteAnyTemplateError {
    #[error("team_id: {0}")]
    Team(#[from] ParseIdError),
    #[error("the team has no template `{0}`")]
    NotFound(String),
    #[error("template `{0}` is an image that comes with the platform, and stays")]
    Image(String),
    #[error("template `{name}` is needed: {needed_by}")]
    Needed { name: String, needed_by: String },
    #[error("the template could not be looked up")]
    Store(#[from] StoreError),
    #[error("the template could not be deleted")]
    Delete(#[from] DeleteTemplateError),
}

impl DeleteAnyTemplateError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Team(_) => ErrorCode::InvalidRequest,
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::Image(_) | Self::Needed { .. } => ErrorCode::Conflict,
            Self::Store(_) | Self::Delete(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(DeleteAnyTemplateError);

/// Delete any team's template
///
/// From every host that is online, then the record; hosts that are away do it when they return. Capsules that were made
/// from it live on.
#[utoipa::path(
    delete, path = "/v1/admin/templates/{name}", tag = "administration", security(("bearerAuth" = [])),
    params(("name" = String, Path, description = "The template's name"), DeleteTemplateQuery),
    responses(
        (status = 204, description = "Gone"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
        (status = 404, description = "The team has no such template", body = ErrorBody),
        (status = 409, description = "Capsules that start, or builds, still need it, or it comes with the platform (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_any_template(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(_admin, Query(query)): AuthThen<Admin, Query<DeleteTemplateQuery>>,
) -> Result<HttpResponse, DeleteAnyTemplateError> {
    let name = request.match_info().query("name").to_owned();
    let not_found = || DeleteAnyTemplateError::NotFound(name.chars().take(ECHO_CHARACTERS).collect());
    let team = query.team_id.as_deref().map(str::parse::<TeamId>).transpose()?.unwrap_or(TeamId::PLATFORM);
    if !limits::is_template_name(&name) {
        return Err(not_found());
    }
    let template = app.store.template_find_own(team, &name).await?.ok_or_else(not_found)?;
    if template.image.is_some() {
        return Err(DeleteAnyTemplateError::Image(name));
    }
    let mut needed_by: Vec<String> = app
        .store
        .template_starting(template.id)
        .await?
        .iter()
        .map(|id| format!("capsule {id} starts from it"))
        .collect();
    if team == TeamId::PLATFORM {
        let builds = app.store.builds_from(&name).await?;
        needed_by.extend(builds.iter().map(|id| format!("build {id} begins with it")));
    }
    if !needed_by.is_empty() {
        return Err(DeleteAnyTemplateError::Needed { name, needed_by: needed_by.join(", ") });
    }
    if !app.control_plane.template_delete(&template).await? {
        return Err(not_found());
    }
    tracing::info!(template_id = %template.id, team_id = %team, "template deleted by an administrator");
    Ok(HttpResponse::NoContent().finish())
}
