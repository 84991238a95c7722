//! `POST /v1/admin/users/{id}/reset-link`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::reset_link_create::{self, CreateResetLinkError};
use wrenn_domain::{action::Action, ids::UserId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody, impl_lookup_error},
    http::extract::{AuthThen, PathId},
};

/// Link that replaces a user's password.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ResetLinkResponse {
    /// The link, a secret between you and the user.
    url: String,
    /// End of its time.
    expires_at: DateTime<Utc>,
}

impl_lookup_error!(CreateResetLinkError);

/// Make a link that replaces a user's password
///
/// The link is good once, for an hour. The former link of the user ends.
#[utoipa::path(
    post, path = Action::ResetLinkCreate.path(), tag = "administration",
    params(("id" = String, Path, description = "Id of the user")),
    responses(
        (status = 200, description = "The link", body = ResetLinkResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "There is no such user", body = ErrorBody),
    ),
)]
pub(crate) async fn create_reset_link(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(user)): AuthThen<Authorized, PathId<UserId>>,
) -> Result<HttpResponse, ApiError> {
    let (url, expires_at) = reset_link_create::run(&app.control, &principal, user).await?;
    Ok(HttpResponse::Ok().json(ResetLinkResponse { url, expires_at }))
}
