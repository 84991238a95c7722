//! `POST /v1/me/password`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::password_change::{self, ChangePassword, ChangePasswordError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, ClientAddress, Json},
    routes::limit_schemas,
};

/// New password of the signed-in user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ChangePasswordRequest {
    /// Needed if the account has a password.
    #[schema(nullable = false)]
    current_password: Option<String>,
    #[schema(schema_with = limit_schemas::password)]
    new_password: String,
    /// The new password once more, for forms that ask twice.
    #[schema(nullable = false)]
    confirm_password: Option<String>,
}

impl ClientError for ChangePasswordError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Limit(_) | Self::Confirmation | Self::CurrentMissing => ErrorCode::InvalidRequest,
            Self::Wrong | Self::Gone => ErrorCode::Unauthorized,
            Self::Raced => ErrorCode::Conflict,
            Self::TooMany(error) => return ApiError::too_many(error),
            Self::Password(error) => return ApiError::of_password(error),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Change your password, or set the first one
///
/// Ends all of your tokens, on every device.
#[utoipa::path(
    post, path = Action::PasswordChange.path(), tag = "auth",
    request_body = ChangePasswordRequest,
    responses(
        (status = 204, description = "Changed"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "The current password is wrong", body = ErrorBody),
        (status = 409, description = "The password was changed at the same time (`conflict`)", body = ErrorBody),
    ),
)]
pub(crate) async fn change_password(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    AuthThen(
        Authorized(principal),
        Json(ChangePasswordRequest { current_password, new_password, confirm_password }),
    ): AuthThen<Authorized, Json<ChangePasswordRequest>>,
) -> Result<HttpResponse, ApiError> {
    let change =
        ChangePassword { current: current_password, new: new_password, confirmation: confirm_password };
    password_change::run(&app.control, &principal, address, change).await?;
    Ok(HttpResponse::NoContent().finish())
}
