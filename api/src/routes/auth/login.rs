//! `POST /v1/auth/login`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{
    PasswordError,
    account_log_in::{self, LogInError},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::AuthResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::Json,
};

/// Credentials of a user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[schema(format = Email)]
    email: String,
    password: String,
}

impl ClientError for LogInError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Wrong => ErrorCode::Unauthorized,
            Self::TooMany { wait_sec } => {
                return ApiError::later(ErrorCode::RateLimited, self.to_string(), *wait_sec);
            }
            Self::Password(PasswordError::Busy) => {
                return ApiError::later(ErrorCode::RateLimited, self.to_string(), 1);
            }
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::NoTeam => ErrorCode::NoTeam,
            Self::Password(_) => return ApiError::internal(),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Sign in with email and password
#[utoipa::path(
    post, path = Action::LogIn.path(), tag = "auth",
    request_body = LoginRequest,
    responses(
        (status = 200, description = "Signed in", body = AuthResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Address or password is wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or in no team", body = ErrorBody),
        (status = 429, description = "Too many attempts (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn login(
    app: Data<App>,
    request: HttpRequest,
    Json(LoginRequest { email, password }): Json<LoginRequest>,
) -> Result<HttpResponse, ApiError> {
    let address = request.peer_addr().map(|address| address.ip());
    let (user, team_id) = account_log_in::run(&app.control, address, &email, password).await?;
    Ok(HttpResponse::Ok().json(AuthResponse::sign(&app.tokens, user, team_id)?))
}
