//! `DELETE /v1/me`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::account_delete::{self, DeleteAccountError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
};

/// Confirmation that the account shall end.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DeleteMeRequest {
    /// Email address of the account.
    confirmation: String,
}

impl ClientError for DeleteAccountError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Confirmation => ErrorCode::InvalidRequest,
            Self::OwnsTeams(_) | Self::OnlyAdmin => ErrorCode::Conflict,
            Self::Gone => ErrorCode::Unauthorized,
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Delete your account
///
/// Teams that only you belong to are deleted, and their capsules destroyed. API keys that you made end.
#[utoipa::path(
    delete, path = Action::MeDelete.path(), tag = "auth",
    request_body = DeleteMeRequest,
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The confirmation is wrong", body = ErrorBody),
        (
            status = 409,
            description = "You own teams with other members, or are the only administrator (`conflict`)",
            body = ErrorBody,
        ),
    ),
)]
pub(crate) async fn delete_me(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(DeleteMeRequest { confirmation })): AuthThen<
        Authorized,
        Json<DeleteMeRequest>,
    >,
) -> Result<HttpResponse, ApiError> {
    account_delete::run(&app.control, &principal, &confirmation).await?;
    Ok(HttpResponse::NoContent().finish())
}
