//! Switches that an administrator sets: `PUT /v1/admin/users/{id}/active`, `…/users/{id}/admin` and
//! `…/teams/{id}/byoc`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{team_byoc_set, user_active_set, user_admin_set};
use wrenn_domain::{
    action::Action,
    administration::{AccountSwitch, AdminRight, OwnHosts},
    ids::{TeamId, UserId},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
};

/// A change of what has the id in the path.
type Change<Id, Body> = AuthThen<Authorized, (PathId<Id>, Json<Body>)>;

/// Switch of an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetActiveRequest {
    /// False to switch the account off.
    active: bool,
}

/// Administration of the platform by a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetAdminRequest {
    /// True to make the user an administrator of the platform.
    is_admin: bool,
}

/// Hosts of its own that a team may bring.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetByocRequest {
    /// True if the team may bring hosts of its own.
    enabled: bool,
}

/// Switch an account on or off
///
/// Switching it off ends its sessions, and its keys stop working. Its teams and their capsules stay.
#[utoipa::path(
    put, path = Action::AdminUserActive.path(), tag = "administration",
    params(("id" = String, Path, description = "Id of the user")),
    request_body = SetActiveRequest,
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "There is no such user", body = ErrorBody),
        (status = 409, description = "Your own account, or the last active administrator's (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn set_user_active(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): Change<UserId, SetActiveRequest>,
) -> Result<HttpResponse, ApiError> {
    let switch = if request.active { AccountSwitch::On } else { AccountSwitch::Off };
    user_active_set::run(&app.control, &principal, id, switch).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Make a user an administrator of the platform, or take that back
#[utoipa::path(
    put, path = Action::AdminUserAdmin.path(), tag = "administration",
    params(("id" = String, Path, description = "Id of the user")),
    request_body = SetAdminRequest,
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "There is no such user", body = ErrorBody),
        (status = 409, description = "The user is the last active administrator (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn set_user_admin(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): Change<UserId, SetAdminRequest>,
) -> Result<HttpResponse, ApiError> {
    let right = if request.is_admin { AdminRight::Granted } else { AdminRight::Withdrawn };
    user_admin_set::run(&app.control, &principal, id, right).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Allow or forbid a team to bring hosts of its own
///
/// Hosts that it has stay.
#[utoipa::path(
    put, path = Action::AdminTeamByoc.path(), tag = "administration",
    params(("id" = String, Path, description = "Id of the team")),
    request_body = SetByocRequest,
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "There is no such team", body = ErrorBody),
    ),
)]
pub(crate) async fn set_team_byoc(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): Change<TeamId, SetByocRequest>,
) -> Result<HttpResponse, ApiError> {
    let hosts = if request.enabled { OwnHosts::Allowed } else { OwnHosts::Forbidden };
    team_byoc_set::run(&app.control, &principal, id, hosts).await?;
    Ok(HttpResponse::NoContent().finish())
}
