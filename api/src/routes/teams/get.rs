//! `GET /v1/teams/{id}`

use actix_web::{HttpResponse, web::Data};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::team_get::{self, GetTeamError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::{MemberResponse, TeamResponse};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
};

/// A team and its members.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamDetail {
    team: TeamResponse,
    /// Owner, admins, members; each in the order in which they joined.
    members: Vec<MemberResponse>,
}

impl ClientError for GetTeamError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Read(error) => error.api_error(),
            Self::Gone => ApiError::new(ErrorCode::NotFound, self.to_string()),
        }
    }
}

/// Show a team and its members
#[utoipa::path(
    get, path = Action::TeamGet.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    responses(
        (status = 200, description = "The team", body = TeamDetail),
        (status = 404, description = "You belong to no such team", body = ErrorBody),
    ),
)]
pub(crate) async fn get_team(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let (team, members) = team_get::run(&app.control, &principal).await?;
    let members = members.into_iter().map(MemberResponse::from).collect();
    Ok(HttpResponse::Ok().json(TeamDetail { team: team.into(), members }))
}
