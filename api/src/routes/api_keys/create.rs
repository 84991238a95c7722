//! `POST /v1/api-keys`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_domain::{api_key::NewApiKey, error_code::ErrorCode};
use wrenn_store::StoreError;

use super::ApiKeyResponse;
use crate::{
    app::App,
    auth::{Session, api_key::ApiKeyText},
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json},
};

const DEFAULT_NAME: &str = "Unnamed API Key";
const MAX_NAME: usize = 100;

/// What the key is to be called.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKeyRequest {
    #[schema(nullable = false, required = false, default = "Unnamed API Key", max_length = 100)]
    name: Option<String>,
}

/// Why there is no key.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateApiKeyError {
    #[error("name: must have 1 to {MAX_NAME} characters and no control characters")]
    Name,
    #[error("the key could not be stored")]
    Store(#[from] StoreError),
}

impl CreateApiKeyError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Name => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Store(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(CreateApiKeyError);

/// Create an API key
///
/// The answer is the only one that carries the key.
#[utoipa::path(
    post, path = "/v1/api-keys", tag = "api-keys", security(("bearerAuth" = [])),
    request_body = CreateApiKeyRequest,
    responses(
        (status = 201, description = "The key", body = ApiKeyResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn create_api_key(
    app: Data<App>,
    AuthThen(session, Json(request)): AuthThen<Session, Json<CreateApiKeyRequest>>,
) -> Result<HttpResponse, CreateApiKeyError> {
    let name = request.name.as_deref().unwrap_or(DEFAULT_NAME).trim();
    if !(1..=MAX_NAME).contains(&name.chars().count()) || name.chars().any(char::is_control) {
        return Err(CreateApiKeyError::Name);
    }
    let key = ApiKeyText::generate();
    let record = app
        .store
        .api_key_create(NewApiKey {
            team_id: session.team_id,
            name: name.to_owned(),
            key_hash: key.hash(),
            key_prefix: key.kept_prefix().to_owned(),
            created_by: session.user.id,
        })
        .await?;
    tracing::info!(api_key_id = %record.id, team_id = %session.team_id, "api key created");
    Ok(HttpResponse::Created().json(ApiKeyResponse::new(record, Some(key.into_text()))))
}
