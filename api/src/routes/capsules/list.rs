//! `GET /v1/capsules`

use actix_web::{HttpResponse, web::Data};
use wrenn_store::StoreError;

use super::Capsule;
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
};

/// Why there is no list.
#[derive(Debug, thiserror::Error)]
#[error("the capsules could not be listed")]
pub(crate) struct ListCapsulesError(#[from] StoreError);

impl ListCapsulesError {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}
impl_response_error!(ListCapsulesError);

/// List the team's capsules
///
/// Destroyed ones are left out.
#[utoipa::path(
    get, path = "/v1/capsules", tag = "capsules", security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    responses(
        (status = 200, description = "The capsules, newest first", body = [Capsule]),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
    ),
)]
pub(crate) async fn list_capsules(app: Data<App>, caller: Caller) -> Result<HttpResponse, ListCapsulesError> {
    let sandboxes = app.store.sandbox_list(caller.team_id).await?;
    Ok(HttpResponse::Ok()
        .json(sandboxes.into_iter().map(|sandbox| Capsule::of(&app, sandbox)).collect::<Vec<_>>()))
}
