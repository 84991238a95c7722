//! `GET /v1/teams`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::team_list;
use wrenn_domain::{
    action::Action,
    team::{Role, Team},
};

use crate::{app::App, auth::Authorized, error::ApiError};

/// Role of a member in a team.
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
    /// True if the team may bring hosts of its own.
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
