//! `DELETE /v1/admin/teams/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::team_delete_any;
use wrenn_domain::{action::Action, ids::TeamId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

/// Delete a team
///
/// Ends its keys at once, and destroys its capsules. Its record stays for administrators.
#[utoipa::path(
    delete, path = Action::AdminTeamDelete.path(), tag = "administration",
    params(("id" = String, Path, description = "Id of the team")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "There is no such team", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_any_team(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<TeamId>>,
) -> Result<HttpResponse, ApiError> {
    team_delete_any::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
