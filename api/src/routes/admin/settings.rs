//! `GET /v1/admin/settings` and `PUT /v1/admin/settings`

use actix_web::{HttpResponse, web::Data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use wrenn_control::{
    settings_get,
    settings_set::{self, SetSettingsError},
};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::teams::quota::QuotaLimits,
};

/// Settings of the platform.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct PlatformSettings {
    /// Limits of teams that have none of their own.
    quota: QuotaLimits,
}

impl ClientError for SetSettingsError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::Limit(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Show the settings of the platform
#[utoipa::path(
    get, path = Action::SettingsGet.path(), tag = "administration",
    responses((status = 200, description = "The settings", body = PlatformSettings)),
)]
pub(crate) async fn get_settings(
    app: Data<App>,
    Authorized(principal): Authorized,
) -> Result<HttpResponse, ApiError> {
    let quota = settings_get::run(&app.control, &principal).await?;
    Ok(HttpResponse::Ok().json(PlatformSettings { quota: quota.into() }))
}

/// Replace the settings of the platform
///
/// Use beyond a new limit stays as it is, and nothing is added to it.
#[utoipa::path(
    put, path = Action::SettingsSet.path(), tag = "administration",
    request_body = PlatformSettings,
    responses(
        (status = 200, description = "The settings", body = PlatformSettings),
        (status = 400, description = "The request is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn set_settings(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(settings)): AuthThen<Authorized, Json<PlatformSettings>>,
) -> Result<HttpResponse, ApiError> {
    settings_set::run(&app.control, &principal, &settings.quota.into()).await?;
    Ok(HttpResponse::Ok().json(settings))
}
