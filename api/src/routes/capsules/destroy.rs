//! `DELETE /v1/capsules/{id}`

use actix_web::{HttpResponse, web::Data};
use wrenn_actors::DestroyError as ActorError;
use wrenn_control::sandbox_destroy::{self, DestroyError};
use wrenn_domain::{action::Action, error_code::ErrorCode, ids::SandboxId};

use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, PathId},
};

impl ClientError for DestroyError {
    fn api_error(&self) -> ApiError {
        match self {
            Self::Enter(error) => ApiError::not_entered(error),
            Self::NotFound(_) => ApiError::new(ErrorCode::NotFound, self.to_string()),
            Self::Destroy(error) => not_gone(error),
            Self::Store(error) => ApiError::of_store(error),
        }
    }
}

/// Returns the answer for a capsule that is not known to be gone.
fn not_gone(error: &ActorError) -> ApiError {
    match error {
        ActorError::NotFound(id) => DestroyError::NotFound(*id).api_error(),
        ActorError::HostAway { .. } => {
            let message = "the capsule's host is away; what is left of it is removed when the host is back";
            ApiError::new(ErrorCode::HostUnavailable, message)
        }
        ActorError::Elsewhere { .. } => ApiError::elsewhere(),
        ActorError::TimedOut(_) | ActorError::Failed(_) => {
            ApiError::new(ErrorCode::AgentError, format!("the capsule is not gone yet: {error}"))
        }
        ActorError::Unanswered(_, error) => ApiError::unanswered(*error),
        // Only the beginning of a removal ends in this error.
        ActorError::Store(error) => ApiError::of_store(error),
    }
}

/// Destroy a capsule
///
/// Answers when it is gone; destroying it again is fine. In case of 502 or 503 `host_unavailable` its end is decided and
/// goes on without the client, unless `Retry-After` says that another server must be asked.
#[utoipa::path(
    delete, path = Action::SandboxDestroy.path(), tag = "capsules",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 204, description = "Gone"),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 502, description = "The host failed (`agent_error`)", body = ErrorBody),
        (
            status = 503,
            description = "The host is away (`host_unavailable`), or the server has too much to do (`overloaded`)",
            body = ErrorBody,
        ),
    ),
)]
pub(crate) async fn destroy_capsule(
    app: Data<App>,
    AuthThen(Authorized(principal), PathId(id)): AuthThen<Authorized, PathId<SandboxId>>,
) -> Result<HttpResponse, ApiError> {
    sandbox_destroy::run(&app.control, &principal, id).await?;
    Ok(HttpResponse::NoContent().finish())
}

#[cfg(test)]
mod tests {
    use wrenn_domain::ids::HostId;
    use wrenn_supervision::CallError;

    use super::*;

    #[test]
    fn a_client_learns_whether_the_removal_goes_on() {
        let (sandbox, host) = (SandboxId::new(), HostId::new());
        for (error, code, words) in [
            (ActorError::NotFound(sandbox), ErrorCode::NotFound, "there is no capsule"),
            (ActorError::HostAway { sandbox, host }, ErrorCode::HostUnavailable, "when the host is back"),
            (ActorError::TimedOut(sandbox), ErrorCode::AgentError, "goes on"),
            (ActorError::Failed("the disk is busy".into()), ErrorCode::AgentError, "the disk is busy"),
            (ActorError::Unanswered(sandbox, CallError::Full), ErrorCode::Overloaded, "nothing was done"),
        ] {
            let answer = DestroyError::from(error).api_error();
            assert_eq!(answer.code, code, "{}", answer.message);
            assert!(answer.message.contains(words), "{}", answer.message);
        }
    }
}
