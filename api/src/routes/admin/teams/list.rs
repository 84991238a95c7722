//! `GET /v1/admin/teams`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::team_list_all;
use wrenn_domain::{action::Action, administration::TeamOverview};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
    routes::teams::quota::QuotaLimits,
};

/// A team, with what belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminTeam {
    id: String,
    name: String,
    /// Name in addresses; unique.
    slug: String,
    /// True if the team may bring hosts of its own.
    is_byoc: bool,
    created_at: DateTime<Utc>,
    /// Null unless it was deleted.
    #[schema(required = true)]
    deleted_at: Option<DateTime<Utc>>,
    /// Null if the account is gone.
    #[schema(required = true)]
    owner_id: Option<String>,
    #[schema(required = true)]
    owner_name: Option<String>,
    #[schema(required = true)]
    owner_email: Option<String>,
    member_count: u64,
    running_capsules: u64,
    /// The team's own limits.
    quota: QuotaLimits,
}

impl From<TeamOverview> for AdminTeam {
    fn from(overview: TeamOverview) -> Self {
        let TeamOverview { team, owner, .. } = overview;
        let owner_id = owner.as_ref().map(|owner| owner.id.to_string());
        let (owner_name, owner_email) = owner.map(|owner| (owner.name, owner.email)).unzip();
        Self {
            id: team.id.to_string(),
            name: team.name,
            slug: team.slug,
            is_byoc: team.is_byoc,
            created_at: team.created_at,
            deleted_at: overview.deleted_at,
            owner_id,
            owner_name,
            owner_email,
            member_count: overview.members,
            running_capsules: overview.running_capsules,
            quota: overview.quota.into(),
        }
    }
}

/// List every team
///
/// Also those that were deleted.
#[utoipa::path(
    get, path = Action::AdminTeamList.path(), tag = "administration",
    params(PageQuery),
    responses(
        (
            status = 200, description = "The teams, newest first", body = [AdminTeam],
            headers(("X-Next-Token" = String, description = "Token of the next page, if there is one")),
        ),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_all_teams(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = team_list_all::run(&app.control, &principal, wanted.request()?).await?;
    Ok(page::respond(found.map(AdminTeam::from)))
}
