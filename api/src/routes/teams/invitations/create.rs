//! `POST /v1/teams/{id}/invitations`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::invitation_create;
use wrenn_domain::action::Action;

use super::InvitationResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::{limit_schemas, teams::NewMemberRole},
};

/// The person to invite.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateInvitationRequest {
    #[schema(schema_with = limit_schemas::email)]
    email: String,
    /// `member` by default.
    #[schema(nullable = false, required = false)]
    role: Option<NewMemberRole>,
}

/// Invite a person to a team
///
/// The invitation ends after seven days, with the role of whoever made it, and when another one is made for the same
/// address. Without mail, pass the token of the answer on to the person; no other answer carries it.
#[utoipa::path(
    post, path = Action::InvitationCreate.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    request_body = CreateInvitationRequest,
    responses(
        (status = 201, description = "The invitation", body = InvitationResponse),
        (status = 400, description = "The request is not valid, or the person is a member already", body = ErrorBody),
        (status = 409, description = "The team has too many invitations (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_invitation(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<CreateInvitationRequest>>,
) -> Result<HttpResponse, ApiError> {
    let role = request.role.map(Into::into);
    let (invitation, token) = invitation_create::run(&app.control, &principal, &request.email, role).await?;
    Ok(HttpResponse::Created().json(InvitationResponse::new(invitation, token)))
}
