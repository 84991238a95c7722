//! `DELETE /v1/teams/{id}/members/{uid}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::member_remove;
use wrenn_domain::action::Action;

use super::MemberId;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::AuthThen,
};

/// Remove a member from a team
///
/// The API keys that the member made for the team end, too. The owner cannot be removed.
#[utoipa::path(
    delete, path = Action::MemberRemove.path(), tag = "teams",
    params(
        ("id" = String, Path, description = "Id of the team"),
        ("uid" = String, Path, description = "Id of the member's account"),
    ),
    responses(
        (status = 204, description = "Removed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "You belong to no such team, or it has no such member", body = ErrorBody),
    ),
)]
pub(crate) async fn remove_member(
    app: Data<App>,
    AuthThen(Authorized(principal), MemberId(member)): AuthThen<Authorized, MemberId>,
) -> Result<HttpResponse, ApiError> {
    member_remove::run(&app.control, &principal, member).await?;
    Ok(HttpResponse::NoContent().finish())
}
