//! `POST /v1/teams/{id}/members`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::member_add;
use wrenn_domain::action::Action;
use wrenn_store::members::Addition;

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::{
        limit_schemas,
        teams::{MemberResponse, NewMemberRole, invitations::InvitationResponse},
    },
};

/// The person to add.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct AddMemberRequest {
    #[schema(schema_with = limit_schemas::email)]
    email: String,
    /// `member` by default.
    #[schema(nullable = false, required = false)]
    role: Option<NewMemberRole>,
}

/// Add a person to a team
///
/// The account with the address is added at once. Where the server sends mail, a person without an account, or whose
/// address is not verified, is invited instead (202).
#[utoipa::path(
    post, path = Action::MemberAdd.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    request_body = AddMemberRequest,
    responses(
        (status = 201, description = "The new member", body = MemberResponse),
        (status = 202, description = "The person was invited by mail", body = InvitationResponse),
        (status = 400, description = "The request is not valid, or the person is a member already", body = ErrorBody),
        (status = 404, description = "You belong to no such team, or there is no account with the address", body = ErrorBody),
        (status = 409, description = "The team has too many invitations (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn add_member(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<AddMemberRequest>>,
) -> Result<HttpResponse, ApiError> {
    let role = request.role.map(Into::into);
    let added = member_add::run(&app.control, &principal, &request.email, role).await?;
    Ok(match added {
        Addition::Member(member) => HttpResponse::Created().json(MemberResponse::from(member)),
        Addition::Invited(invitation) => {
            HttpResponse::Accepted().json(InvitationResponse::new(invitation, None))
        }
    })
}
