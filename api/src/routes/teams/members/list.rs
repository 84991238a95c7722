//! `GET /v1/teams/{id}/members`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::member_list;
use wrenn_domain::action::Action;

use crate::{app::App, auth::Authorized, error::ApiError, routes::teams::MemberResponse};

/// List the members of a team
#[utoipa::path(
    get, path = Action::MemberList.path(), tag = "teams",
    params(("id" = String, Path, description = "Id of the team")),
    responses((status = 200, description = "Owner, admins, members; each in the order in which they joined", body = [MemberResponse])),
)]
pub(crate) async fn list_members(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let members = member_list::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(members.into_iter().map(MemberResponse::from).collect::<Vec<_>>()))
}
