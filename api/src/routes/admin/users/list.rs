//! `GET /v1/admin/users`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::user_list_all;
use wrenn_domain::{action::Action, administration::UserOverview};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
};

/// A user, with what belongs to it.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct AdminUser {
    id: String,
    name: String,
    #[schema(format = Email)]
    email: String,
    /// True if the user administers the platform.
    is_admin: bool,
    /// False once the account was switched off.
    is_active: bool,
    /// Number of the teams to which the user belongs.
    teams_joined: u64,
    /// Number of the teams that the user owns.
    teams_owned: u64,
    created_at: DateTime<Utc>,
}

impl From<UserOverview> for AdminUser {
    fn from(user: UserOverview) -> Self {
        Self {
            id: user.id.to_string(),
            name: user.name,
            email: user.email,
            is_admin: user.is_admin,
            is_active: user.is_active,
            teams_joined: user.teams_joined,
            teams_owned: user.teams_owned,
            created_at: user.created_at,
        }
    }
}

/// List every user
#[utoipa::path(
    get, path = Action::AdminUserList.path(), tag = "administration",
    params(PageQuery),
    responses(
        (
            status = 200, description = "The users, newest first", body = [AdminUser],
            headers(("X-Next-Token" = String, description = "Token of the next page, if there is one")),
        ),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_all_users(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = user_list_all::run(&app.control, &principal, wanted.request()?).await?;
    Ok(page::respond(found.map(AdminUser::from)))
}
