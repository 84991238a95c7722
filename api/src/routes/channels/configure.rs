//! `PUT /v1/channels/{id}/config`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::channel_configure::{self, ConfigureChannelError};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::ChannelId};

use super::ChannelResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::limit_schemas,
};

/// Configuration that takes the place of the former one.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RotateConfigRequest {
    #[schema(schema_with = limit_schemas::channel_config)]
    config: BTreeMap<String, String>,
}

impl ClientError for ConfigureChannelError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Config(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Replace the configuration of a notification channel
///
/// A webhook gets a new key, which no later answer carries. A channel that was switched off is on again.
#[utoipa::path(
    put, path = Action::ChannelConfigure.path(), tag = "channels",
    params(("id" = String, Path, description = "Id of the channel")),
    request_body = RotateConfigRequest,
    responses(
        (status = 200, description = "The channel", body = ChannelResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such channel", body = ErrorBody),
    ),
)]
pub(crate) async fn rotate_channel_config(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<ChannelId>, Json<RotateConfigRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let (channel, secret) = channel_configure::run(&app.control, &principal, id, &request.config).await?;
    Ok(HttpResponse::Ok().json(ChannelResponse::new(channel, secret)))
}
