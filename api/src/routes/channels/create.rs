//! `POST /v1/channels`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::channel_create::{self, ChannelRequest, CreateChannelError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use super::{ChannelResponse, Event, Provider};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::limit_schemas,
};

/// A new notification channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateChannelRequest {
    #[schema(schema_with = limit_schemas::name)]
    name: String,
    provider: Provider,
    #[schema(schema_with = limit_schemas::channel_config)]
    config: BTreeMap<String, String>,
    #[schema(min_items = 1)]
    events: Vec<Event>,
}

impl ClientError for CreateChannelError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Limit(_) | Self::Config(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::TooMany(_) => ApiError::new(ErrorCode::Conflict, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Create a notification channel
///
/// The answer for a webhook is the only one that carries the key with which its deliveries are signed.
#[utoipa::path(
    post, path = Action::ChannelCreate.path(), tag = "channels",
    request_body = CreateChannelRequest,
    responses(
        (status = 201, description = "The channel", body = ChannelResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 409, description = "The team has as many channels as it can", body = ErrorBody),
    ),
)]
pub(crate) async fn create_channel(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<CreateChannelRequest>>,
) -> Result<HttpResponse, ApiError> {
    let wanted = ChannelRequest {
        name: request.name,
        provider: request.provider.into(),
        config: request.config,
        events: super::events(&request.events),
    };
    let (channel, secret) = channel_create::run(&app.control, &principal, wanted).await?;
    Ok(HttpResponse::Created().json(ChannelResponse::new(channel, secret)))
}
