//! `POST /v1/api-keys`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::api_key_create::{self, CreateApiKeyError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::ApiKeyResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::limit_schemas,
};

/// Name of a new API key.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateApiKeyRequest {
    #[schema(schema_with = limit_schemas::api_key_name, required = false)]
    name: Option<String>,
}

impl ClientError for CreateApiKeyError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Name(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
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
    let (record, text) = api_key_create::run(&app.control, &principal, request.name.as_deref()).await?;
    Ok(HttpResponse::Created().json(ApiKeyResponse::new(record, Some(text))))
}
