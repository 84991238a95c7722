//! `GET /v1/channels`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::channel_list;
use wrenn_domain::action::Action;

use super::ChannelResponse;
use crate::{app::App, auth::Authorized, error::ApiError};

/// List the team's notification channels
#[utoipa::path(
    get, path = Action::ChannelList.path(), tag = "channels",
    responses((status = 200, description = "The channels, oldest first", body = [ChannelResponse])),
)]
pub(crate) async fn list_channels(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let channels = channel_list::run(&app.control, &principal).await?;
    let channels = channels.into_iter().map(|channel| ChannelResponse::new(channel, None));
    Ok(HttpResponse::Ok().json(channels.collect::<Vec<_>>()))
}
