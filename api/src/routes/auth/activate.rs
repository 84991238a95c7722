//! `POST /v1/auth/activate`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::account_activate::{self, ActivateError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::AuthResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Json},
};

/// Link that confirms an address.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ActivateRequest {
    /// Token of the link.
    token: String,
}

impl ClientError for ActivateError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Link => ErrorCode::InvalidRequest,
            Self::TooMany(error) => return ApiError::too_many(error),
            Self::AccountDisabled => ErrorCode::AccountDisabled,
            Self::TotpRequired => ErrorCode::TotpRequired,
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Confirm an email address
///
/// Signs the user in. An account with a second factor is confirmed, and must sign in itself (`totp_required`).
#[utoipa::path(
    post, path = Action::Activate.path(), tag = "auth",
    request_body = ActivateRequest,
    responses(
        (status = 200, description = "Confirmed and signed in", body = AuthResponse),
        (status = 400, description = "The link is wrong, too old, or was used", body = ErrorBody),
        (status = 401, description = "Confirmed; sign in with the second factor (`totp_required`)", body = ErrorBody),
        (status = 403, description = "The account is disabled (`account_disabled`)", body = ErrorBody),
        (status = 429, description = "Too many attempts (`rate_limited`)", body = ErrorBody),
    ),
)]
pub(crate) async fn activate(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(ActivateRequest { token }): Json<ActivateRequest>,
) -> Result<HttpResponse, ApiError> {
    let (user, team_id) = account_activate::run(&app.control, address, &token).await?;
    Ok(HttpResponse::Ok().json(AuthResponse::sign(&app, user, team_id).await?))
}
