//! `POST /v1/teams/{id}/leave`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::member_leave;
use wrenn_domain::action::Action;

use crate::{app::App, auth::Authorized, error::ApiError};

/// Leave a team
///
/// Your API keys of the team end. The owner cannot leave, but can hand over ownership or delete the team.
#[utoipa::path(
    post, path = Action::TeamLeave.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    responses((status = 204, description = "Left")),
)]
pub(crate) async fn leave_team(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    member_leave::run(&app.control, &principal).await?;
    Ok(HttpResponse::NoContent().finish())
}
