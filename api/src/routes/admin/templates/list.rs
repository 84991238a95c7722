//! `GET /v1/admin/templates`

use actix_web::web::{self, Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::template_list_all;
use wrenn_domain::action::Action;

use crate::{app::App, auth::Authorized, error::ApiError, routes::snapshots::Template};

/// A template and its team.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminTemplate {
    #[serde(flatten)]
    template: Template,
    /// Name of the team that owns the template.
    team_name: String,
}

/// List every team's templates
///
/// Newest first.
#[utoipa::path(
    get, path = Action::AdminTemplateList.path(), tag = "administration",
    responses((status = 200, description = "The templates", body = Vec<AdminTemplate>)),
)]
pub(crate) async fn list_all_templates(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<web::Json<Vec<AdminTemplate>>, ApiError> {
    let all = template_list_all::run(&app.control, &principal).await?;
    let shown = |(template, team_name)| AdminTemplate { template: Template::from(template), team_name };
    Ok(web::Json(all.into_iter().map(shown).collect()))
}
