//! `POST /v1/auth/logout`

use actix_web::{HttpResponse, web::Data};
use wrenn_control::account_log_out::{self, LogOutError};
use wrenn_domain::action::Action;

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError},
};

impl ClientError for LogOutError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Sign out everywhere
///
/// Ends all tokens of the user, on every device.
#[utoipa::path(
    post, path = Action::LogOut.path(), tag = "auth",
    responses((status = 204, description = "Signed out")),
)]
pub(crate) async fn logout(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    account_log_out::run(&app.control, &principal).await?;
    Ok(HttpResponse::NoContent().finish())
}
