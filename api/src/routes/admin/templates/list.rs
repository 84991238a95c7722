//! `GET /v1/admin/templates`

use actix_web::web::{self, Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_store::StoreError;

use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, ErrorBody, impl_response_error},
    routes::snapshots::Template,
};

/// A template, and whose it is.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminTemplate {
    #[serde(flatten)]
    template: Template,
    /// Its team's name.
    team_name: String,
}

/// Why the templates were not listed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ListAllTemplatesError {
    #[error("the templates could not be read")]
    Store(#[from] StoreError),
}

impl ListAllTemplatesError {
    fn api_error(&self) -> ApiError {
        let Self::Store(_) = self;
        ApiError::internal()
    }
}
impl_response_error!(ListAllTemplatesError);

/// List every team's templates
///
/// Newest first.
#[utoipa::path(
    get, path = "/v1/admin/templates", tag = "administration", security(("bearerAuth" = [])),
    responses(
        (status = 200, description = "The templates", body = Vec<AdminTemplate>),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "Only for administrators of the platform", body = ErrorBody),
    ),
)]
pub(crate) async fn list_all_templates(
    app: Data<App>,
    _admin: Admin,
) -> Result<web::Json<Vec<AdminTemplate>>, ListAllTemplatesError> {
    let all = app.store.template_list_all().await?;
    let shown = |(template, team_name)| AdminTemplate { template: Template::from(template), team_name };
    Ok(web::Json(all.into_iter().map(shown).collect()))
}
