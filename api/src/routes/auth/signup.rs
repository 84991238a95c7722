//! `POST /v1/auth/signup`

use std::time::Instant;

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_domain::error_code::ErrorCode;

use super::AuthResponse;
use crate::{
    account::{self, AccountError},
    app::App,
    auth::password::PasswordError,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::Json,
};

/// Who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignupRequest {
    #[schema(format = Email, max_length = 254)]
    email: String,
    #[schema(min_length = 8)]
    password: String,
    #[schema(min_length = 1, max_length = 100)]
    name: String,
}

/// Why there is no account now.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SignupError {
    #[error("too many attempts; try again in {wait_sec} s")]
    TooMany { wait_sec: u64 },
    #[error(transparent)]
    Account(#[from] AccountError),
    #[error("the token could not be made")]
    Token(#[source] serde_json::Error),
}

impl SignupError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Account(AccountError::Invalid(answer)) => answer.clone(),
            Self::Account(error @ AccountError::EmailTaken) => {
                ApiError::new(ErrorCode::EmailTaken, error.to_string())
            }
            Self::TooMany { .. } => ApiError::new(ErrorCode::RateLimited, self.to_string()),
            Self::Account(AccountError::Password(error @ PasswordError::Busy)) => {
                ApiError::new(ErrorCode::RateLimited, error.to_string())
            }
            Self::Account(_) | Self::Token(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(SignupError);

/// Create an account and its first team
///
/// The first account ever created administers the platform.
#[utoipa::path(
    post, path = "/v1/auth/signup", tag = "auth", security(()),
    request_body = SignupRequest,
    responses(
        (status = 201, description = "Signed up and signed in", body = AuthResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 409, description = "The email address is taken (`email_taken`)", body = ErrorBody),
        (status = 429, description = "Too many attempts (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn signup(
    app: Data<App>,
    http: HttpRequest,
    Json(request): Json<SignupRequest>,
) -> Result<HttpResponse, SignupError> {
    let SignupRequest { email, password, name } = request;
    app.hash_limit
        .take(http.peer_addr().map(|address| address.ip()), Instant::now())
        .map_err(|wait| SignupError::TooMany { wait_sec: wait.as_secs() + 1 })?;
    let (user, team_id) = account::create(&app.store, &app.passwords, &email, password, &name).await?;
    tracing::info!(user_id = %user.id, %team_id, is_admin = user.is_admin, "account created");
    let response = AuthResponse::sign(&app.tokens, user, team_id).map_err(SignupError::Token)?;
    Ok(HttpResponse::Created().json(response))
}
