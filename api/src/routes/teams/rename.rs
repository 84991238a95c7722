//! `PATCH /v1/teams/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::team_rename;
use wrenn_domain::action::Action;

use super::TeamNameRequest;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
};

/// Rename a team
///
/// The slug stays.
#[utoipa::path(
    patch, path = Action::TeamRename.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    request_body = TeamNameRequest,
    responses(
        (status = 204, description = "Renamed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn rename_team(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<TeamNameRequest>>,
) -> Result<HttpResponse, ApiError> {
    team_rename::run(&app.control, &principal, &request.name).await?;
    Ok(HttpResponse::NoContent().finish())
}
