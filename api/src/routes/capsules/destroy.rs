//! `DELETE /v1/capsules/{id}`

use std::time::Duration;

use actix_web::{HttpResponse, web::Data};
use wrenn_actors::DestroyError;
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::ids::SandboxId;
use wrenn_store::StoreError;
use wrenn_supervision::CallError;

use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, PathId},
};

/// How long the removal may take before the client hears that it goes on.
const WITHIN: Duration = Duration::from_secs(60);

/// Why the capsule is not known to be gone.
#[derive(Debug, thiserror::Error)]
pub(crate) enum DestroyCapsuleError {
    #[error("there is no capsule {0}")]
    NotFound(SandboxId),
    #[error("the capsule's host is away; what is left of it is removed when the host is back")]
    HostAway(#[source] DestroyError),
    #[error("the capsule is not gone yet: {0}")]
    Host(#[source] DestroyError),
    #[error("the capsule could not be destroyed")]
    Internal(#[source] DestroyError),
    #[error("the capsule's actor did not answer")]
    Unanswered(#[source] CallError),
    #[error("the capsule could not be read")]
    Store(#[from] StoreError),
}

impl From<DestroyError> for DestroyCapsuleError {
    fn from(error: DestroyError) -> Self {
        match error {
            DestroyError::NotFound(id) => Self::NotFound(id),
            DestroyError::HostAway { .. } => Self::HostAway(error),
            DestroyError::TimedOut(_) | DestroyError::Failed(_) => Self::Host(error),
            DestroyError::Unanswered(_, error) => Self::Unanswered(error),
            DestroyError::Store(_) => Self::Internal(error),
        }
    }
}

impl DestroyCapsuleError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::NotFound(_) => ErrorCode::NotFound,
            Self::HostAway(_) => ErrorCode::HostUnavailable,
            Self::Host(_) => ErrorCode::AgentError,
            Self::Unanswered(error) => return ApiError::unanswered(*error),
            Self::Internal(_) | Self::Store(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(DestroyCapsuleError);

/// Destroy a capsule
///
/// Answers when it is gone; destroying it again is fine. In case of 502 or 503 its end is decided and goes
/// on without the client.
#[utoipa::path(
    delete, path = "/v1/capsules/{id}", tag = "capsules", security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 204, description = "Gone"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 502, description = "The host failed (`agent_error`)", body = ErrorBody),
        (status = 503, description = "The host is away (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn destroy_capsule(
    app: Data<App>,
    AuthThen(caller, PathId(id)): AuthThen<Caller, PathId<SandboxId>>,
) -> Result<HttpResponse, DestroyCapsuleError> {
    let sandbox = app.store.sandbox_fetch(caller.team_id, id).await?;
    let sandbox = sandbox.ok_or(DestroyCapsuleError::NotFound(id))?;
    if sandbox.destroyed_at.is_none() {
        app.control_plane.sandbox_destroy(id, WITHIN).await?;
        tracing::info!(sandbox_id = %id, team_id = %caller.team_id, "capsule destroyed");
    }
    Ok(HttpResponse::NoContent().finish())
}
