//! `GET /v1/teams`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::team_list;
use wrenn_domain::action::Action;

use super::TeamWithRole;
use crate::{app::App, auth::Authorized, error::ApiError};

/// List the teams that you belong to
#[utoipa::path(
    get, path = Action::TeamList.path(), tag = "teams",
    responses((status = 200, description = "The teams", body = [TeamWithRole])),
)]
pub(crate) async fn list_teams(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let teams = team_list::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(teams.into_iter().map(TeamWithRole::from).collect::<Vec<_>>()))
}
