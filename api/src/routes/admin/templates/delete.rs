//! `DELETE /v1/admin/templates/{name}`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::IntoParams;
use wrenn_control::template_delete;
use wrenn_domain::{
    action::Action,
    error_code::ErrorCode,
    ids::{ParseIdError, TeamId},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Query},
};

/// Team that owns the template.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct DeleteTemplateQuery {
    /// Id of the team that owns the template; the platform's team if not given.
    #[param(nullable = false, required = false)]
    team_id: Option<String>,
}

/// Delete any team's template
///
/// From every host that is online, then the record; hosts that are away do it when they return. Capsules that were made
/// from it live on.
#[utoipa::path(
    delete, path = Action::AdminTemplateDelete.path(), tag = "administration",
    params(("name" = String, Path, description = "The template's name"), DeleteTemplateQuery),
    responses(
        (status = 204, description = "Gone"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such template", body = ErrorBody),
        (status = 409, description = "Capsules that start, or builds, still need it, or it comes with the platform (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_any_template(
    app: Data<App>,
    request: HttpRequest,
    AuthThen(Authorized(principal), Query(query)): AuthThen<Authorized, Query<DeleteTemplateQuery>>,
) -> Result<HttpResponse, ApiError> {
    let name = request.match_info().query("name");
    let team = query.team_id.as_deref().map_or(Ok(TeamId::PLATFORM), str::parse).map_err(not_a_team)?;
    template_delete::run_any(&app.control, &principal, team, name).await?;
    Ok(HttpResponse::NoContent().finish())
}

fn not_a_team(error: ParseIdError) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, format!("team_id: {error}"))
}
