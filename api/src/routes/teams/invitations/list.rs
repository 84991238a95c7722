//! `GET /v1/teams/{id}/invitations`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::invitation_list;
use wrenn_domain::action::Action;

use super::InvitationResponse;
use crate::{app::App, auth::Authorized, error::ApiError};

/// List the open invitations of a team
#[utoipa::path(
    get, path = Action::InvitationList.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    responses((status = 200, description = "The invitations, newest first", body = [InvitationResponse])),
)]
pub(crate) async fn list_invitations(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let invitations = invitation_list::run(&app.control, &principal).await?;
    let invitations = invitations.into_iter().map(|invitation| InvitationResponse::new(invitation, None));
    Ok(HttpResponse::Ok().json(invitations.collect::<Vec<_>>()))
}
