//! `POST /v1/auth/signup`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::{
    account::AccountError,
    account_create::{self, SignUp, SignUpError},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::AuthResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Json},
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
    /// Token of an invitation to a team; the account becomes a member of it.
    #[schema(nullable = false)]
    invitation_token: Option<String>,
    /// Token of the set-up link that a server without an administrator prints; the account administers the platform.
    #[schema(nullable = false)]
    setup_token: Option<String>,
}

impl ClientError for SignUpError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Closed | Self::InvitationNeeded => ApiError::new(ErrorCode::Forbidden, self.to_string()),
            Self::Account(error) => error.api_error(),
        }
    }
}

impl ClientError for AccountError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Invalid(error) => ApiError::new(ErrorCode::InvalidRequest, error.to_string()),
            Self::SetUpToken => ApiError::new(ErrorCode::Forbidden, self.to_string()),
            Self::Invitation => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::EmailTaken => ApiError::new(ErrorCode::EmailTaken, self.to_string()),
            Self::Password(error) => ApiError::of_password(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Create an account and its first team
///
/// The first account ever created administers the platform, if everybody can sign up at a local address. Elsewhere the
/// account that is created with the token of the set-up link does. With mail, the account is sent a link that confirms
/// its address.
#[utoipa::path(
    post, path = Action::SignUp.path(), tag = "auth",
    request_body = SignupRequest,
    responses(
        (status = 201, description = "Signed up and signed in", body = AuthResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = "Sign-up is closed, or takes an invitation", body = ErrorBody),
        (status = 409, description = "The email address is taken (`email_taken`)", body = ErrorBody),
        (status = 429, description = "Too many attempts (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn signup(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(SignupRequest { email, password, name, invitation_token, setup_token }): Json<SignupRequest>,
) -> Result<HttpResponse, ApiError> {
    let sign_up = SignUp { email, password, name, invitation_token, setup_token };
    let (user, team_id) = account_create::run(&app.control, address, sign_up).await?;
    Ok(HttpResponse::Created().json(AuthResponse::sign(&app, user, Some(team_id)).await?))
}
