//! `DELETE /v1/channels/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::channel_delete::{self, DeleteChannelError};
use wrenn_domain::{action::Action, ids::ChannelId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ErrorBody, impl_lookup_error},
    http::extract::{AuthThen, PathId},
};

impl_lookup_error!(DeleteChannelError);

/// Delete a notification channel
///
/// Deliveries that wait are not made any more.
#[utoipa::path(
    delete, path = Action::ChannelDelete.path(), tag = "channels",
    params(("id" = String, Path, description = "Id of the channel")),
    responses(
        (status = 204, description = "Deleted"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such channel", body = ErrorBody),
    ),
)]
pub(crate) async fn delete_channel(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<ChannelId>>,
) -> Result<HttpResponse, ApiError> {
    channel_delete::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}
