//! `PATCH /v1/me`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::account_rename::{self, RenameAccountError};
use wrenn_domain::{action::Action, error_code::ErrorCode};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json},
    routes::{auth::AuthResponse, limit_schemas},
};

/// Name of the signed-in user.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct RenameMeRequest {
    #[schema(schema_with = limit_schemas::name)]
    name: String,
}

impl ClientError for RenameAccountError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Name(_) => ErrorCode::InvalidRequest,
            Self::Gone => ErrorCode::Unauthorized,
            Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Change your name
///
/// Answers with a new token, which carries the name. The old one stays valid.
#[utoipa::path(
    patch, path = Action::MeRename.path(), tag = "auth",
    request_body = RenameMeRequest,
    responses(
        (status = 200, description = "Renamed", body = AuthResponse),
        (status = 400, description = "The name is not valid", body = ErrorBody),
    ),
)]
pub(crate) async fn rename_me(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(RenameMeRequest { name })): AuthThen<
        Authorized,
        Json<RenameMeRequest>,
    >,
) -> Result<HttpResponse, ApiError> {
    let (user, team_id) = account_rename::run(&app.control, &principal, &name).await?;
    Ok(HttpResponse::Ok().json(AuthResponse::sign(&app, user, team_id).await?))
}
