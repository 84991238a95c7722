//! `POST /v1/invitations/accept`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::invitation_accept;
use wrenn_domain::action::Action;

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::teams::TeamWithRole,
};

/// Token of an invitation.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AcceptInvitationRequest {
    #[schema(example = "inv_…")]
    token: String,
}

/// Accept an invitation to a team
///
/// The invitation must be for the address of your account. Afterwards you can switch to the team.
#[utoipa::path(
    post, path = Action::InvitationAccept.path(), tag = "teams",
    request_body = AcceptInvitationRequest,
    responses(
        (status = 200, description = "The team, and your role in it", body = TeamWithRole),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The invitation is not valid, or has ended", body = ErrorBody),
    ),
)]
pub(crate) async fn accept_invitation(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<AcceptInvitationRequest>>,
) -> Result<HttpResponse, ApiError> {
    let team = invitation_accept::run(&app.control, &principal, &request.token).await?;
    Ok(HttpResponse::Ok().json(TeamWithRole::from(team)))
}
