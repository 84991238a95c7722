//! `PUT /v1/admin/teams/{id}/quota`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::team_quota_set::{self, SetQuotaError};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::TeamId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::teams::quota::QuotaLimits,
};

impl ClientError for SetQuotaError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Limit(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Set the limits of a team
///
/// Replaces all of them; one that is null or left out is the platform's default. What the team uses already stays as it
/// is, also where it is more than a new limit.
#[utoipa::path(
    put, path = Action::AdminTeamQuota.path(), tag = "administration",
    params(("id" = String, Path, description = "Id of the team")),
    request_body = QuotaLimits,
    responses(
        (status = 200, description = "The team's own limits", body = QuotaLimits),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "There is no such team", body = ErrorBody),
    ),
)]
pub(crate) async fn set_team_quota(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(limits))): AuthThen<
        Authorized,
        (PathId<TeamId>, Json<QuotaLimits>),
    >,
) -> Result<HttpResponse, ApiError> {
    team_quota_set::run(&app.control, &principal, id, &limits.into()).await?;
    Ok(HttpResponse::Ok().json(limits))
}
