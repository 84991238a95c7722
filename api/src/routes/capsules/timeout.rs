//! `POST /v1/capsules/{id}/timeout`

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::ToSchema;
use wrenn_control::sandbox_timeout_set::{self, SetTimeoutError};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::SandboxId};

use super::Capsule;
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, PathId},
    routes::limit_schemas,
};

/// The idle time of a capsule.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct SetTimeoutRequest {
    #[schema(schema_with = limit_schemas::timeout_sec)]
    timeout_sec: i64,
}

impl ClientError for SetTimeoutError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Operate(error) => error.api_error(),
            Self::Limit(_) => ApiError::new(ErrorCode::InvalidRequest, self.to_string()),
        }
    }
}

/// Set the idle time after which a capsule is paused
///
/// Counts as activity: the time begins anew.
#[utoipa::path(
    post, path = Action::SandboxTimeout.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    request_body = SetTimeoutRequest,
    responses(
        (status = 200, description = "The capsule as it is now", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "It was destroyed (`invalid_state`)", body = ErrorBody),
    ),
)]
pub(crate) async fn set_capsule_timeout(
    app: Data<App>,
    AuthThen(Authorized(principal), (PathId(id), Json(request))): AuthThen<
        Authorized,
        (PathId<SandboxId>, Json<SetTimeoutRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let changed = sandbox_timeout_set::run(&app.control, &principal, id, request.timeout_sec).await?;
    Ok(HttpResponse::Ok().json(Capsule::of(&app, &principal, changed)))
}
