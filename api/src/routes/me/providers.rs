//! `GET /v1/me/providers/{provider}/connect` and `DELETE /v1/me/providers/{provider}`

use actix_web::{
    HttpResponse,
    http::header,
    web::{Data, Path},
};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_control::{
    provider_disconnect::{self, DisconnectError},
    provider_sign_in_begin::{self, BegunSignIn},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::AuthThen,
    routes::auth::oauth,
};

/// Address of a provider.
#[derive(Debug, Serialize, ToSchema)]
pub(crate) struct ConnectResponse {
    /// Address that the browser opens, within ten minutes.
    auth_url: String,
}

impl ClientError for DisconnectError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotConnected(_) => ErrorCode::NotFound,
            Self::OnlyWay(_) => ErrorCode::InvalidRequest,
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Connect an identity provider
///
/// Answers with the address that the browser opens, and with a cookie that the browser must keep until it returns.
#[utoipa::path(
    get, path = Action::ProviderConnect.path(), tag = "auth",
    params(("provider" = String, Path, description = "Name of the provider, see `GET /v1/auth/methods`")),
    responses(
        (status = 200, description = "The address", body = ConnectResponse),
        (status = 404, description = "There is no such provider", body = ErrorBody),
        (status = 502, description = "The provider does not answer (`agent_error`)", body = ErrorBody),
    ),
)]
pub(crate) async fn connect_provider(
    app: Data<App>,
    AuthThen(Authorized(principal), provider): AuthThen<Authorized, Path<String>>,
) -> Result<HttpResponse, ApiError> {
    let begun = provider_sign_in_begin::run_connect(&app.control, &principal, &provider).await?;
    let BegunSignIn { url, state } = begun;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .cookie(oauth::cookie(&app, state))
        .json(ConnectResponse { auth_url: url.into() }))
}

/// Disconnect an identity provider
#[utoipa::path(
    delete, path = Action::ProviderDisconnect.path(), tag = "auth",
    params(("provider" = String, Path, description = "Name of the provider")),
    responses(
        (status = 204, description = "Disconnected"),
        (status = 400, description = "The provider is your only way to sign in", body = ErrorBody),
        (status = 404, description = "The provider is not connected", body = ErrorBody),
    ),
)]
pub(crate) async fn disconnect_provider(
    app: Data<App>,
    AuthThen(Authorized(principal), provider): AuthThen<Authorized, Path<String>>,
) -> Result<HttpResponse, ApiError> {
    provider_disconnect::run(&app.control, &principal, &provider).await?;
    Ok(HttpResponse::NoContent().finish())
}
