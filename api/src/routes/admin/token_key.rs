//! `POST /v1/admin/settings/token-key`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::token_key_rotate::{self, RotateTokenKeyError};
use wrenn_domain::{action::Action, administration::FormerKeys};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
};

/// Rotation of the key that signs tokens.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateTokenKeyRequest {
    /// End all tokens of former keys, because a key was stolen: everybody signs in again.
    #[serde(default)]
    end_sessions: bool,
}

/// The key that signs tokens.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct TokenKeyInfo {
    /// Id of the key, which tokens name as `kid`.
    id: String,
}

impl ClientError for RotateTokenKeyError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Sign tokens with a new key
///
/// Every server uses the key within half a minute. Tokens of the former key stay valid for the rest of their six hours,
/// unless `end_sessions` ends them.
#[utoipa::path(
    post, path = Action::TokenKeyRotate.path(), tag = "administration",
    request_body = RotateTokenKeyRequest,
    responses(
        (status = 200, description = "The new key", body = TokenKeyInfo),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn rotate_token_key(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<RotateTokenKeyRequest>>,
) -> Result<HttpResponse, ApiError> {
    let former = if request.end_sessions { FormerKeys::End } else { FormerKeys::Keep };
    let id = token_key_rotate::run(&app.control, &principal, former).await?;
    Ok(HttpResponse::Ok().json(TokenKeyInfo { id }))
}
