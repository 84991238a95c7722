//! `POST` and `DELETE /v1/me/totp`, `POST /v1/me/totp/confirm`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::{
    totp_begin::{self, BeginTotpError},
    totp_confirm::{self, ConfirmTotpError},
    totp_disable::{self, DisableTotpError, TotpProof},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, ClientAddress, Json},
    routes::auth::{AuthResponse, login::code_error},
};

/// Secret for an authenticator app.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct BeginTotpResponse {
    /// The secret in base32, to be typed in.
    secret: String,
    /// The secret as an address, to be shown as a QR code.
    #[schema(example = "otpauth://totp/Wrenn:ada%40example.org?secret=…&issuer=Wrenn")]
    otpauth_url: String,
}

/// Code of the app.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct ConfirmTotpRequest {
    #[schema(example = "123456")]
    code: String,
}

/// Second factor that is enabled now.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConfirmTotpResponse {
    /// Codes that replace one of the app, once each. They are shown here and nowhere else.
    recovery_codes: Vec<String>,
    /// New token; the earlier ones have ended.
    token: String,
}

/// Proof that you want the second factor removed: one of the two.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct DisableTotpRequest {
    /// Code of the app, or a recovery code.
    #[schema(nullable = false)]
    code: Option<String>,
    /// Password of the account.
    #[schema(nullable = false)]
    password: Option<String>,
}

impl ClientError for BeginTotpError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Enabled | Self::Unverified => ErrorCode::InvalidState,
            Self::Gone => ErrorCode::Unauthorized,
            Self::Secret(_) => return ApiError::internal(),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

impl ClientError for ConfirmTotpError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::NotBegun => ApiError::new(ErrorCode::InvalidState, self.to_string()),
            Self::Code(error) => code_error(error, self, ErrorCode::InvalidRequest),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

impl ClientError for DisableTotpError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotEnabled => ErrorCode::InvalidState,
            Self::ProofMissing | Self::Wrong => ErrorCode::InvalidRequest,
            Self::Code(error) => return code_error(error, self, ErrorCode::InvalidRequest),
            Self::TooMany(error) => return ApiError::too_many(error),
            Self::Password(error) => return ApiError::of_password(error),
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Begin a second factor
///
/// Makes the secret for an authenticator app. Signing in is the same as before until a code is confirmed.
#[utoipa::path(
    post, path = Action::TotpBegin.path(), tag = "auth",
    responses(
        (status = 200, description = "The secret", body = BeginTotpResponse),
        (status = 409, description = "You have a second factor, or your address is not confirmed (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn begin_totp(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let new = totp_begin::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(BeginTotpResponse { secret: new.secret, otpauth_url: new.otpauth_url }))
}

/// Confirm a second factor by its first code
///
/// From now on signing in takes a code. Ends all earlier tokens, and answers with a new one.
#[utoipa::path(
    post, path = Action::TotpConfirm.path(), tag = "auth",
    request_body = ConfirmTotpRequest,
    responses(
        (status = 200, description = "Enabled", body = ConfirmTotpResponse),
        (status = 400, description = "The code is wrong", body = ErrorBody),
        (status = 409, description = "There is nothing to confirm (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn confirm_totp(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(ConfirmTotpRequest { code })): AuthThen<
        Authorized,
        Json<ConfirmTotpRequest>,
    >,
) -> Result<HttpResponse, ApiError> {
    let enabled = totp_confirm::run(&app.control, &principal, &code).await?;
    let signed = AuthResponse::sign(&app, enabled.user, enabled.team).await?;
    Ok(HttpResponse::Ok()
        .json(ConfirmTotpResponse { recovery_codes: enabled.recovery_codes, token: signed.into_token() }))
}

/// Remove the second factor
///
/// Ends all earlier tokens, and answers with a new one.
#[utoipa::path(
    delete, path = Action::TotpDisable.path(), tag = "auth",
    request_body = DisableTotpRequest,
    responses(
        (status = 200, description = "Removed", body = AuthResponse),
        (status = 400, description = "Code or password is wrong", body = ErrorBody),
        (status = 409, description = "You have no second factor (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn disable_totp(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    AuthThen(Authorized(principal), Json(DisableTotpRequest { code, password })): AuthThen<
        Authorized,
        Json<DisableTotpRequest>,
    >,
) -> Result<HttpResponse, ApiError> {
    let proof = code.map(TotpProof::Code).or(password.map(TotpProof::Password));
    let (user, team_id) = totp_disable::run(&app.control, &principal, address, proof).await?;
    Ok(HttpResponse::Ok().json(AuthResponse::sign(&app, user, team_id).await?))
}
