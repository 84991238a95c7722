//! `GET /v1/api-keys`

use actix_web::{HttpResponse, web::Data};
use wrenn_store::StoreError;

use super::ApiKeyResponse;
use crate::{
    app::App,
    auth::Session,
    error::{ApiError, ErrorBody, impl_response_error},
};

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("the keys could not be listed")]
pub(crate) struct ListApiKeysError(#[from] StoreError);

impl ListApiKeysError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}
impl_response_error!(ListApiKeysError);

/// List the team's API keys
#[utoipa::path(
    get, path = "/v1/api-keys", tag = "api-keys", security(("bearerAuth" = [])),
    responses(
        (status = 200, description = "The keys, newest first", body = [ApiKeyResponse]),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn list_api_keys(
    app: Data<App>,
    session: Session,
) -> Result<HttpResponse, ListApiKeysError> {
    let keys = app.store.api_keys_of_team(session.team_id).await?;
    let keys: Vec<_> = keys.into_iter().map(|key| ApiKeyResponse::new(key, None)).collect();
    Ok(HttpResponse::Ok().json(keys))
}
