//! `POST /v1/me/activation`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::account_activation_send::{self, SendActivationError};
use wrenn_domain::action::Action;

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError},
};

impl ClientError for SendActivationError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::TooMany(error) => ApiError::too_many(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Send another link that confirms your address
///
/// The former link ends. Does nothing if the address is confirmed.
#[utoipa::path(
    post, path = Action::ActivationSend.path(), tag = "auth",
    responses((status = 204, description = "The link is sent in a moment")),
)]
pub(crate) async fn send_activation(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    account_activation_send::run(&app.control, &principal).await?;
    Ok(HttpResponse::NoContent().finish())
}
