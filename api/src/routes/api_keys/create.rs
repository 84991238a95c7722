//! `POST /v1/api-keys`

use actix_web::{HttpResponse, web::Data};
use chrono::{DateTime, Utc};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::api_key_create::{self, ApiKeyRequest, CreateApiKeyError};
use wrenn_domain::{action::Action, error_code::ErrorCode, scope::Scope};

use super::{ApiKeyResponse, ApiKeyScope};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::limit_schemas,
};

/// A new API key. Everything has a default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKeyRequest {
    #[schema(schema_with = limit_schemas::api_key_name, required = false)]
    name: Option<String>,
    /// Parts of the interface that the key opens, of those that you may use yourself; `capsules` and `builds` by default.
    #[schema(nullable = false, required = false, min_items = 1)]
    scopes: Option<Vec<ApiKeyScope>>,
    /// Time in the future at which the key ends; never by default. A key that is made with a key ends with that key.
    #[schema(nullable = false, required = false)]
    expires_at: Option<DateTime<Utc>>,
}

impl ClientError for CreateApiKeyError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooBroad(_) => ApiError::new(ErrorCode::Forbidden, self.to_string()),
            Self::Name(_) | Self::NoScope | Self::Expired(_) => {
                ApiError::new(ErrorCode::InvalidRequest, self.to_string())
            }
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Create an API key
///
/// The answer is the only one that carries the key.
#[utoipa::path(
    post, path = Action::ApiKeyCreate.path(), tag = "api-keys",
    request_body = CreateApiKeyRequest,
    responses(
        (status = 201, description = "The key", body = ApiKeyResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn create_api_key(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<CreateApiKeyRequest>>,
) -> Result<HttpResponse, ApiError> {
    let scopes = request.scopes.map(|scopes| scopes.into_iter().map(Scope::from).collect());
    let wanted = ApiKeyRequest { name: request.name, scopes, expires_at: request.expires_at };
    let (record, text) = api_key_create::run(&app.control, &principal, wanted).await?;
    Ok(HttpResponse::Created().json(ApiKeyResponse::new(record, Some(text))))
}
