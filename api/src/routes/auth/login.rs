//! `POST /v1/auth/login`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{
    CodeError,
    account_log_in::{self, LogIn, LogInError},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::AuthResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Json},
};

/// Credentials of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[schema(format = Email)]
    email: String,
    password: String,
    /// Code of the second factor, or a recovery code.
    #[schema(nullable = false)]
    totp_code: Option<String>,
}

impl ClientError for LogInError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Wrong => ErrorCode::Unauthorized,
            Self::TooMany(error) => return ApiError::too_many(error),
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::TotpRequired => ErrorCode::TotpRequired,
            Self::Code(error) => return code_error(error, self, ErrorCode::Unauthorized),
            Self::Password(error) => return ApiError::of_password(error),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Returns what a client is told of a code that was not accepted.
pub(in crate::routes) fn code_error(
    error: &CodeError,
    shown: &dyn std::error::Error,
    wrong: ErrorCode,
) -> ApiError {
    match error {
        CodeError::Wrong => ApiError::new(wrong, shown.to_string()),
        CodeError::TooMany(error) => ApiError { message: shown.to_string(), ..ApiError::too_many(error) },
        CodeError::Secret(_) => ApiError::internal(),
        CodeError::Store(error) => ApiError::of_store(error),
    }
}

/// Sign in with email and password
///
/// An account with a second factor takes a `totp_code`, too; each code is good once.
#[utoipa::path(
    post, path = Action::LogIn.path(), tag = "auth",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "Signed in", body = AuthResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Address, password or code is wrong, or the code is missing (`totp_required`)", body = ErrorBody),
        (status = 403, description = "The account is disabled (`account_disabled`)", body = ErrorBody),
        (status = 429, description = "Too many attempts (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn login(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(LoginRequest { email, password, totp_code }): Json<LoginRequest>,
) -> Result<HttpResponse, ApiError> {
    let (user, team_id) =
        account_log_in::run(&app.control, address, LogIn { email, password, totp_code }).await?;
    Ok(HttpResponse::Ok().json(AuthResponse::sign(&app, user, team_id).await?))
}
