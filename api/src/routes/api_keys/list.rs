//! `GET /v1/api-keys`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::api_key_list;
use wrenn_domain::action::Action;

use super::ApiKeyResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody},
    http::{
        extract::{AuthThen, Query},
        page::{self, PageQuery},
    },
};

/// List the team's API keys
#[utoipa::path(
    get, path = Action::ApiKeyList.path(), tag = "api-keys",
    params(PageQuery),
    responses(
        (status = 200, description = "The keys, newest first", body = [ApiKeyResponse], headers(("X-Next-Token" = String, description = "Token of the next page, if there is one"))),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn list_api_keys(
    app: Data<App>,
    AuthThen(Authorized(principal), Query(wanted)): AuthThen<Authorized, Query<PageQuery>>,
) -> Result<HttpResponse, ApiError> {
    let found = api_key_list::run(&app.control, &principal, wanted.request()?).await?;
    Ok(page::respond(found.map(|key| ApiKeyResponse::new(key, None))))
}
