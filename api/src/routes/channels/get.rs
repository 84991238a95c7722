//! `GET /v1/channels/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::channel_get::{self, GetChannelError};
use wrenn_domain::{action::Action, ids::ChannelId};

use super::ChannelResponse;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody, impl_lookup_error},
    http::extract::{AuthThen, PathId},
};

impl_lookup_error!(GetChannelError);

/// Show a notification channel
#[utoipa::path(
    get, path = Action::ChannelGet.path(), tag = "channels",
    params(("id" = String, Path, description = "Id of the channel")),
    responses(
        (status = 200, description = "The channel", body = ChannelResponse),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such channel", body = ErrorBody),
    ),
)]
pub(crate) async fn get_channel(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<ChannelId>>,
) -> Result<HttpResponse, ApiError> {
    let channel = channel_get::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::Ok().json(ChannelResponse::new(channel, None)))
}
