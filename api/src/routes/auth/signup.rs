//! `POST /v1/auth/signup`

use actix_web::{HttpRequest, HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{
    PasswordError,
    account::AccountError,
    account_create::{self, SignUp, SignUpError},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::AuthResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::Json,
    routes::limit_schemas,
};

/// A person who wants an account.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SignupRequest {
    #[schema(schema_with = limit_schemas::email)]
    email: String,
    #[schema(schema_with = limit_schemas::password)]
    password: String,
    #[schema(schema_with = limit_schemas::name)]
    name: String,
}

impl ClientError for SignUpError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany { wait_sec } => {
                ApiError::later(ErrorCode::RateLimited, self.to_string(), *wait_sec)
            }
            Self::Account(error) => error.api_error(),
        }
    }
}

impl ClientError for AccountError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Invalid(error) => ApiError::new(ErrorCode::InvalidRequest, error.to_string()),
            Self::EmailTaken => ApiError::new(ErrorCode::EmailTaken, self.to_string()),
            Self::Password(error @ PasswordError::Busy) => {
                ApiError::later(ErrorCode::RateLimited, error.to_string(), 1)
            }
            Self::Password(_) => ApiError::internal(),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Create an account and its first team
///
/// The first account ever created administers the platform.
#[utoipa::path(
    post, path = Action::SignUp.path(), tag = "auth",
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
    request: HttpRequest,
    Json(SignupRequest { email, password, name }): Json<SignupRequest>,
) -> Result<HttpResponse, ApiError> {
    let address = request.peer_addr().map(|address| address.ip());
    let (user, team_id) =
        account_create::run(&app.control, address, SignUp { email, password, name }).await?;
    Ok(HttpResponse::Created().json(AuthResponse::sign(&app.tokens, user, team_id)?))
}
