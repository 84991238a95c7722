//! `PATCH /v1/channels/{id}`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::channel_update::{self, UpdateChannelError};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::ChannelId};

use super::{ChannelResponse, Event};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::limit_schemas,
};

/// Name and events of a notification channel.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct UpdateChannelRequest {
    #[schema(schema_with = limit_schemas::name)]
    name: String,
    #[schema(min_items = 1)]
    events: Vec<Event>,
}

impl ClientError for UpdateChannelError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Limit(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Change name and events of a notification channel
///
/// A channel that was switched off is on again.
#[utoipa::path(
    patch, path = Action::ChannelUpdate.path(), tag = "channels",
    params(("id" = String, Path, description = "Id of the channel")),
    request_body = UpdateChannelRequest,
    responses(
        (status = 200, description = "The channel", body = ChannelResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such channel", body = ErrorBody),
    ),
)]
pub(crate) async fn update_channel(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<ChannelId>, Json<UpdateChannelRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let events = super::events(&request.events);
    let channel = channel_update::run(&app.control, &principal, id, &request.name, &events).await?;
    Ok(HttpResponse::Ok().json(ChannelResponse::new(channel, None)))
}
