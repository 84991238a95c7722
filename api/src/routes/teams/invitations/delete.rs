//! `DELETE /v1/teams/{id}/invitations/{iid}`

use std::future::{Ready, ready};

use actix_web::{FromRequest, HttpRequest, HttpResponse, dev::Payload, web::Data};
use wrenn_control::invitation_delete;
use wrenn_domain::{action::Action, ids::InvitationId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, PathId, PathIdError},
};

/// The invitation that the path names as `{iid}`.
#[derive(Debug)]
pub(crate) struct NamedInvitation(InvitationId);

impl FromRequest for NamedInvitation {
    type Error = PathIdError;
    type Future = Ready<Result<Self, PathIdError>>;

    fn from_request(request: &HttpRequest, _: &mut Payload) -> Self::Future {
        ready(PathId::named(request, "iid").map(|PathId(id)| Self(id)))
    }
}

/// Take an invitation back
#[utoipa::path(
    delete, path = Action::InvitationDelete.path(), tag = "teams",
    params(
        ("id" = String, Path, description = "Id of the team"),
        ("iid" = String, Path, description = "Id of the invitation"),
    ),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You belong to no such team, or it has no such open invitation", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_invitation(
    app: Data<App>,
    AuthThen(Authorized(principal), NamedInvitation(id)): AuthThen<Authorized, NamedInvitation>,
) -> Result<HttpResponse, ApiError> {
    invitation_delete::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
