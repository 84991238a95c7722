//! `GET /v1/teams`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::team::{Role, Team};
use wrenn_store::StoreError;

use crate::{
    app::App,
    auth::Session,
    error::{ApiError, ErrorBody, impl_response_error},
};

/// What a member may do.
#[derive(Debug, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum TeamRole {
    Owner,
    Admin,
    Member,
}

impl From<Role> for TeamRole {
    fn from(role: Role) -> Self {
        match role {
            Role::Owner => Self::Owner,
            Role::Admin => Self::Admin,
            Role::Member => Self::Member,
        }
    }
}

/// A team and the caller's role in it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TeamWithRole {
    id: String,
    name: String,
    /// Name in addresses; unique.
    slug: String,
    /// Whether the team may bring hosts of its own.
    is_byoc: bool,
    created_at: DateTime<Utc>,
    role: TeamRole,
}

impl From<(Team, Role)> for TeamWithRole {
    fn from((team, role): (Team, Role)) -> Self {
        Self {
            id: team.id.to_string(),
            name: team.name,
            slug: team.slug,
            is_byoc: team.is_byoc,
            created_at: team.created_at,
            role: role.into(),
        }
    }
}

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("the teams could not be listed")]
pub(crate) struct ListTeamsError(#[from] StoreError);

impl ListTeamsError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}
impl_response_error!(ListTeamsError);

/// List the teams that you belong to
#[utoipa::path(
    get, path = "/v1/teams", tag = "teams", security(("bearerAuth" = [])),
    responses(
        (status = 200, description = "The teams", body = [TeamWithRole]),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn list_teams(app: Data<App>, session: Session) -> Result<HttpResponse, ListTeamsError> {
    let teams = app.store.teams_of_user(session.user.id).await?;
    Ok(HttpResponse::Ok().json(teams.into_iter().map(TeamWithRole::from).collect::<Vec<_>>()))
}
