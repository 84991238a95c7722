//! `DELETE /v1/api-keys/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::ids::ApiKeyId;
use wrenn_store::StoreError;

use crate::{
    app::App,
    auth::Session,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// Why the key is still there, or never was.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DeleteApiKeyError {
    #[error("there is no API key {0}")]
    NotFound(ApiKeyId),
    #[error("the key could not be deleted")]
    Store(#[from] StoreError),
}

impl DeleteApiKeyError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Store(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(DeleteApiKeyError);

/// Delete an API key
///
/// It stops working at once.
#[utoipa::path(
    delete, path = "/v1/api-keys/{id}", tag = "api-keys", security(("bearerAuth" = [])),
    params(("id" = String, Path, description = "Id of the key's record")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such key", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_api_key(
    app: Data<App>,
    AuthThen(session, PathId(id)): AuthThen<Session, PathId<ApiKeyId>>,
) -> Result<HttpResponse, DeleteApiKeyError> {
    if app.store.api_key_delete(session.team_id, id).await? {
        tracing::info!(api_key_id = %id, team_id = %session.team_id, "api key deleted");
        Ok(HttpResponse::NoContent().finish())
    } else {
        Err(DeleteApiKeyError::NotFound(id))
    }
}
