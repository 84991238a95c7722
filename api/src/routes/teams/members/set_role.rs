//! `PATCH /v1/teams/{id}/members/{uid}`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::member_set_role;
use wrenn_domain::action::Action;

use super::MemberId;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::teams::TeamRole,
};

/// The role of a member.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetMemberRoleRequest {
    role: TeamRole,
}

/// Change the role of a member
///
/// The owner's role cannot be changed. With `owner`, the owner hands over ownership and becomes an admin.
#[utoipa::path(
    patch, path = Action::MemberSetRole.path(), tag = "teams",
    params(
        ("id" = String, Path, description = "Id of the team"),
        ("uid" = String, Path, description = "Id of the member's account"),
    ),
    request_body = SetMemberRoleRequest,
    responses(
        (status = 204, description = "The member has the role"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You belong to no such team, or it has no such member", body = ErrorBody),
    ),
)]
pub(crate) async fn set_member_role(
    app: Data<App>,
    AuthThen(Authorized(principal), AuthThen(MemberId(member), Json(request))): AuthThen<
        Authorized,
        AuthThen<MemberId, Json<SetMemberRoleRequest>>,
    >,
) -> Result<HttpResponse, ApiError> {
    member_set_role::run(&app.control, &principal, member, request.role.into()).await?;
    Ok(HttpResponse::NoContent().finish())
}
