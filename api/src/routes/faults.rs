//! `POST /v1/admin/faults/panic` and `…/cut`: make an actor panic, or cut the link to a host, to see what that costs.
//!
//! They exist only where the configuration says so, and are not part of the documented API.

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use wrenn_actors::{InjectError, Victim};
use wrenn_domain::error_code::ErrorCode;
use wrenn_proto::ids::{HostId, ParseIdError, SandboxId};

use crate::{
    app::App,
    auth::Admin,
    error::{ApiError, impl_response_error},
    http::extract::{AuthThen, Json},
};

/// Whose handler shall panic.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InjectPanicRequest {
    actor: ActorKind,
    id: String,
}

#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
enum ActorKind {
    Sandbox,
    Host,
}

/// Why nothing went wrong.
#[derive(Debug, thiserror::Error)]
pub(crate) enum InjectFaultError {
    #[error("id: {0}")]
    Id(#[from] ParseIdError),
    #[error(transparent)]
    Inject(#[from] InjectError),
}

impl InjectFaultError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Id(_) => ErrorCode::InvalidRequest,
            Self::Inject(InjectError::Off) => ErrorCode::Forbidden,
            Self::Inject(InjectError::NotFound) => ErrorCode::NotFound,
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(InjectFaultError);

/// Answers when the actor has panicked.
pub(crate) async fn inject_panic(
    app: Data<App>,
    AuthThen(_admin, Json(request)): AuthThen<Admin, Json<InjectPanicRequest>>,
) -> Result<HttpResponse, InjectFaultError> {
    let victim = match request.actor {
        ActorKind::Sandbox => Victim::Sandbox(request.id.parse::<SandboxId>()?),
        ActorKind::Host => Victim::Host(request.id.parse::<HostId>()?),
    };
    app.control_plane.inject_panic(victim).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// Whose link shall be cut.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InjectCutRequest {
    host_id: String,
}

/// Answers when the link is cut; the agent dials again.
pub(crate) async fn inject_cut(
    app: Data<App>,
    AuthThen(_admin, Json(request)): AuthThen<Admin, Json<InjectCutRequest>>,
) -> Result<HttpResponse, InjectFaultError> {
    app.control_plane.inject_cut(request.host_id.parse::<HostId>()?).await?;
    Ok(HttpResponse::NoContent().finish())
}
