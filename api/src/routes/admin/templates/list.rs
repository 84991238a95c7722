//! `GET /v1/admin/templates`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::template_list_all;
use wrenn_domain::action::Action;

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
    routes::snapshots::Template,
};

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
    params(PageQuery),
    responses(
        (status = 200, description = "The templates", body = Vec<AdminTemplate>, headers(("X-Next-Token" = String, description = "Token of the next page, if there is one"))),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_all_templates(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = template_list_all::run(&app.control, &principal, wanted.request()?).await?;
    let shown = |(template, team_name)| AdminTemplate { template: Template::from(template), team_name };
    Ok(page::respond(found.map(shown)))
}
