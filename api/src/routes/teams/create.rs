//! `POST /v1/teams`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::team_create;
use wrenn_domain::action::Action;

use super::{TeamNameRequest, TeamWithRole};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
};

/// Create a team
///
/// You own it. It becomes your default team if you belong to no other one.
#[utoipa::path(
    post, path = Action::TeamCreate.path(), tag = "teams",
    request_body = TeamNameRequest,
    responses(
        (status = 201, description = "The team", body = TeamWithRole),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn create_team(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<TeamNameRequest>>,
) -> Result<HttpResponse, ApiError> {
    let team = team_create::run(&app.control, &principal, &request.name).await?;
    Ok(HttpResponse::Created().json(TeamWithRole::from(team)))
}
