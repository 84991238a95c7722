//! `DELETE /v1/api-keys/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::api_key_delete::{self, DeleteApiKeyError};
use wrenn_domain::{action::Action, ids::ApiKeyId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody, impl_lookup_error},
    http::extract::{AuthThen, PathId},
};

impl_lookup_error!(DeleteApiKeyError);

/// Delete an API key
///
/// The key stops working at once.
#[utoipa::path(
    delete, path = Action::ApiKeyDelete.path(), tag = "api-keys",
    params(("id" = String, Path, description = "Id of the key's record")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such key", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_api_key(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<ApiKeyId>>,
) -> Result<HttpResponse, ApiError> {
    api_key_delete::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
