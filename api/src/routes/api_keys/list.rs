//! `GET /v1/api-keys`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::api_key_list;
use wrenn_domain::action::Action;

use super::ApiKeyResponse;
use crate::{app::App, auth::Authorized, error::ApiError};

/// List the team's API keys
#[utoipa::path(
    get, path = Action::ApiKeyList.path(), tag = "api-keys",
    responses((status = 200, description = "The keys, newest first", body = [ApiKeyResponse])),
)]
pub(crate) async fn list_api_keys(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let keys = api_key_list::run(&app.control, &principal).await?;
    let keys: Vec<_> = keys.into_iter().map(|key| ApiKeyResponse::new(key, None)).collect();
    Ok(HttpResponse::Ok().json(keys))
}
