//! `POST /v1/me/password/reset` and `…/reset/confirm`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{
    password_forget::{self, ForgetPasswordError},
    password_reset::{self, ResetPasswordError},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Json},
    routes::limit_schemas,
};

/// Account whose password is forgotten.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ForgetPasswordRequest {
    #[schema(schema_with = limit_schemas::email)]
    email: String,
}

/// New password by a link.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ResetPasswordRequest {
    /// Token of the link.
    token: String,
    #[schema(schema_with = limit_schemas::password)]
    new_password: String,
}

impl ClientError for ForgetPasswordError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error) => ApiError::too_many(error),
        }
    }
}

impl ClientError for ResetPasswordError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Limit(_) | Self::Link => ErrorCode::InvalidRequest,
            Self::TooMany(error) => return ApiError::too_many(error),
            Self::Password(error) => return ApiError::of_password(error),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Ask for a link that replaces a forgotten password
///
/// The answer is the same whether or not there is such an account. The link is sent where mail is configured; elsewhere an
/// administrator makes it.
#[utoipa::path(
    post, path = Action::PasswordForget.path(), tag = "auth",
    request_body = ForgetPasswordRequest,
    responses(
        (status = 204, description = "A link is sent in a moment, if there is such an account"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 429, description = "Too many requests (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn forget_password(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(ForgetPasswordRequest { email }): Json<ForgetPasswordRequest>,
) -> Result<HttpResponse, ApiError> {
    password_forget::run(&app.control, address, &email).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Replace a password by a link
///
/// Each link is good once. Ends all tokens of the account.
#[utoipa::path(
    post, path = Action::PasswordReset.path(), tag = "auth",
    request_body = ResetPasswordRequest,
    responses(
        (status = 204, description = "Replaced"),
        (status = 400, description = "The password is not valid, or the link is wrong, too old, or was used", body = ErrorBody),
        (status = 429, description = "Too many attempts (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn reset_password(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(ResetPasswordRequest { token, new_password }): Json<ResetPasswordRequest>,
) -> Result<HttpResponse, ApiError> {
    password_reset::run(&app.control, address, &token, new_password).await?;
    Ok(HttpResponse::NoContent().finish())
}
