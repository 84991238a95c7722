//! `GET /v1/capsules/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::ids::SandboxId;
use wrenn_store::StoreError;

use super::Capsule;
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// Why the capsule is not shown.
#[derive(Debug, thiserror::Error)]
pub(crate) enum GetCapsuleError {
    /// Says the same for another team's capsule.
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    #[error("the capsule could not be read")]
    Store(#[from] StoreError),
}

impl GetCapsuleError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Store(_) => ApiError::internal(),
        }
    }
}
impl_response_error!(GetCapsuleError);

/// Show a capsule
///
/// One that was destroyed is shown as `stopped`.
#[utoipa::path(
    get, path = "/v1/capsules/{id}", tag = "capsules", security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 200, description = "The capsule", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
    ),
)]
pub(crate) async fn get_capsule(
    app: Data<App>,
    AuthThen(caller, PathId(id)): AuthThen<Caller, PathId<SandboxId>>,
) -> Result<HttpResponse, GetCapsuleError> {
    let sandbox = app.store.sandbox_fetch(caller.team_id, id).await?.ok_or(GetCapsuleError::NotFound(id))?;
    Ok(HttpResponse::Ok().json(Capsule::of(&app, sandbox)))
}
