//! `POST /v1/auth/login`

use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_domain::error_code::ErrorCode;
use wrenn_store::StoreError;

use super::AuthResponse;
use crate::{
    account,
    app::App,
    auth::password::PasswordError,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::Json,
};

/// Who wants to sign in.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct LoginRequest {
    #[schema(format = Email)]
    email: String,
    password: String,
}

/// Why nobody is signed in now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum LoginError {
    /// Says the same for an unknown address and a wrong password.
    #[error("the email address or the password is wrong")]
    Wrong,
    #[error("too many attempts; try again in {wait_sec} s")]
    TooMany { wait_sec: u64 },
    #[error("the account is disabled")]
    AccountDisabled,
    #[error("the account belongs to no team")]
    NoTeam,
    #[error(transparent)]
    Password(#[from] PasswordError),
    #[error("the token could not be made")]
    Token(#[source] serde_json::Error),
    #[error("the account could not be looked up")]
    Store(#[from] StoreError),
}

impl LoginError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Wrong => ErrorCode::Unauthorized,
            Self::TooMany { .. } | Self::Password(PasswordError::Busy) => ErrorCode::RateLimited,
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::NoTeam => ErrorCode::NoTeam,
            Self::Password(_) | Self::Token(_) | Self::Store(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(LoginError);

/// Sign in with email and password
#[utoipa::path(
    post, path = "/v1/auth/login", tag = "auth", security(()),
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
) -> Result<HttpResponse, LoginError> {
    let address = request.peer_addr().map(|address| address.ip());
    let email = email.trim();
    let now = Instant::now();
    let too_many = |wait: Duration| LoginError::TooMany { wait_sec: wait.as_secs() + 1 };
    let attempt = app.login_throttle.begin(address, email, now).map_err(too_many)?;
    app.hash_limit.take(address, now).map_err(too_many)?;
    // What cannot be an address is looked up nowhere, but takes as long.
    let found = if account::is_email(email) { app.store.user_find_by_email(email).await? } else { None };
    let (user, password_hash) = found.map_or((None, None), |(user, hash)| (Some(user), hash));
    let matches = app.passwords.verify(password, password_hash).await?;
    let Some(user) = user.filter(|_| matches) else {
        attempt.failed();
        return Err(LoginError::Wrong);
    };
    attempt.succeeded();
    if !user.is_active {
        return Err(LoginError::AccountDisabled);
    }
    let team_id = app.store.team_default_of_user(user.id).await?.ok_or(LoginError::NoTeam)?;
    let response = AuthResponse::sign(&app.tokens, user, team_id).map_err(LoginError::Token)?;
    Ok(HttpResponse::Ok().json(response))
}
