//! `POST /v1/hosts/auth/refresh`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::host_refresh::{self, RefreshHostError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::RegisterHostResponse;
use crate::{
    app::App,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{ClientAddress, Json},
};

/// Credentials that are renewed.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RefreshHostTokenRequest {
    refresh_token: String,
}

impl ClientError for RefreshHostError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Token => ApiError::new(ErrorCode::Unauthorized, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Renew the credentials of a host
///
/// For agents of older clients. The refresh token is good once; for ten minutes it can be used again, in case the answer was lost.
#[utoipa::path(
    post, path = Action::HostRefresh.path(), tag = "hosts",
    request_body = RefreshHostTokenRequest,
    responses(
        (status = 200, description = "The host, and its new credentials", body = RegisterHostResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "The token is not valid, was used, or has expired", body = ErrorBody),
    ),
)]
pub(crate) async fn refresh_host_token(
    app: Data<App>,
    ClientAddress(address): ClientAddress,
    Json(request): Json<RefreshHostTokenRequest>,
) -> Result<HttpResponse, ApiError> {
    let renewed = host_refresh::run(&app.control, address, &request.refresh_token).await?;
    Ok(HttpResponse::Ok().json(RegisterHostResponse::of(renewed)))
}
