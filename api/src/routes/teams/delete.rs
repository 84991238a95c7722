//! `DELETE /v1/teams/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::team_delete;
use wrenn_domain::action::Action;

use crate::{app::App, auth::Authorized, error::ApiError};

/// Delete a team
///
/// Only the owner can delete a team. Members, API keys and invitations end at once; builds, capsules and templates are
/// removed soon afterwards. A deleted team cannot be restored.
#[utoipa::path(
    delete, path = Action::TeamDelete.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    responses((status = 204, description = "Deleted")),
)]
pub(crate) async fn delete_team(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    team_delete::run(&app.control, &principal).await?;
    Ok(HttpResponse::NoContent().finish())
}
