//! `POST /v1/admin/faults/panic` and `…/cut`: make an actor panic, or cut the link to a host, to test the recovery.
//!
//! They exist only where the configuration says so, and are not part of the documented API.

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use wrenn_actors::{InjectError, Victim};
use wrenn_control::fault_inject::{self, InjectFaultError};
use wrenn_domain::{
    error_code::ErrorCode,
    ids::{HostId, ParseIdError, SandboxId},
};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError},
    http::extract::{AuthThen, Json},
};

/// The actor whose handler shall panic.
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

impl ClientError for InjectFaultError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::Inject(InjectError::Off) => ErrorCode::Forbidden,
            Self::Inject(InjectError::NotFound) => ErrorCode::NotFound,
        };
        ApiError::new(code, self.to_string())
    }
}

fn not_an_id(error: ParseIdError) -> ApiError {
    ApiError::new(ErrorCode::InvalidRequest, format!("id: {error}"))
}

/// Answers when the actor has panicked.
pub(crate) async fn inject_panic(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<InjectPanicRequest>>,
) -> Result<HttpResponse, ApiError> {
    let victim = match request.actor {
        ActorKind::Sandbox => Victim::Sandbox(request.id.parse::<SandboxId>().map_err(not_an_id)?),
        ActorKind::Host => Victim::Host(request.id.parse::<HostId>().map_err(not_an_id)?),
    };
    fault_inject::run_panic(&app.control, &principal, victim).await?;
    Ok(HttpResponse::NoContent().finish())
}

/// The host whose link shall be cut.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct InjectCutRequest {
    host_id: String,
}

/// Answers when the link is cut; the agent dials again.
pub(crate) async fn inject_cut(
    app: Data<App>,
    AuthThen(Authorized(principal), Json(request)): AuthThen<Authorized, Json<InjectCutRequest>>,
) -> Result<HttpResponse, ApiError> {
    let host = request.host_id.parse::<HostId>().map_err(not_an_id)?;
    fault_inject::run_cut(&app.control, &principal, host).await?;
    Ok(HttpResponse::NoContent().finish())
}
