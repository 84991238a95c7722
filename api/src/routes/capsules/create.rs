//! `POST /v1/capsules`

use std::collections::BTreeMap;

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wrenn_actors::CreateError as ActorError;
use wrenn_control::sandbox_create::{self, AnswerWhen, CreateError, SandboxRequest};
use wrenn_domain::{action::Action, error_code::ErrorCode, limits};

use super::{Capsule, CapsulePreviewAccess};
use crate::{
    app::App,
    auth::Authorized,
    error::{ApiError, ClientError, ErrorBody},
    http::extract::{AuthThen, Json, Query},
    routes::limit_schemas,
};

/// The capsule to create. Everything has a default.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCapsuleRequest {
    /// Name of a template of the team or of the platform.
    #[schema(nullable = false, required = false, default = json!(limits::DEFAULT_TEMPLATE))]
    template: Option<String>,
    #[schema(schema_with = limit_schemas::vcpus, required = false)]
    vcpus: Option<i64>,
    #[schema(schema_with = limit_schemas::memory_mb, required = false)]
    memory_mb: Option<i64>,
    #[schema(schema_with = limit_schemas::disk_size_mb, required = false)]
    disk_size_mb: Option<i64>,
    #[schema(schema_with = limit_schemas::optional_timeout_sec, required = false)]
    timeout_sec: Option<i64>,
    /// Environment of every command in it.
    #[schema(nullable = false, required = false)]
    envs: Option<BTreeMap<String, String>>,
    /// Notes of its owner.
    #[schema(nullable = false, required = false)]
    metadata: Option<BTreeMap<String, String>>,
    /// True if traffic shall resume it when it is paused.
    #[schema(nullable = false, required = false, default = false)]
    auto_resume: Option<bool>,
    /// Access to its ports through its preview addresses.
    #[schema(nullable = false, required = false)]
    preview_access: Option<CapsulePreviewAccess>,
    /// Answer when it is running or has failed, not at once.
    #[schema(nullable = false, required = false, default = false)]
    wait: Option<bool>,
}

impl From<CreateCapsuleRequest> for SandboxRequest {
    fn from(request: CreateCapsuleRequest) -> Self {
        Self {
            template: request.template,
            vcpus: request.vcpus,
            memory_mb: request.memory_mb,
            disk_size_mb: request.disk_size_mb,
            timeout_sec: request.timeout_sec,
            envs: request.envs,
            metadata: request.metadata,
            auto_resume: request.auto_resume,
            preview_access: request.preview_access.map(Into::into),
        }
    }
}

/// The query of the request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreateCapsuleQuery {
    /// Like `wait` in the body.
    #[param(nullable = false, required = false)]
    wait: Option<bool>,
}

impl ClientError for CreateError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::Enter(error) => return ApiError::not_entered(error),
            Self::NotTheSnapshot { .. } | Self::Limit(_) => ErrorCode::InvalidRequest,
            Self::NoTemplate(_) => ErrorCode::NotFound,
            Self::Create(ActorError::OwnHostsOnly) => ErrorCode::InvalidState,
            Self::TemplateAway(_)
            | Self::Create(ActorError::NoHost | ActorError::NoOwnHost | ActorError::NothingFits(_)) => {
                ErrorCode::HostUnavailable
            }
            Self::Failed { .. } => ErrorCode::AgentError,
            Self::Create(ActorError::Unanswered(error)) => return ApiError::unanswered(*error),
            Self::Wait { id, .. } => {
                let message = format!("capsule {id} was created, but how it starts is not known; look at it");
                return ApiError::new(ErrorCode::InternalError, message);
            }
            Self::Create(ActorError::HostMoved(_)) => {
                return ApiError::later(ErrorCode::HostUnavailable, self.to_string(), 1);
            }
            Self::Create(ActorError::NotAdmitted(refusal)) => return ApiError::not_admitted(refusal),
            Self::Create(ActorError::BuildOver) => return ApiError::internal(),
            Self::Create(ActorError::Store(error)) | Self::Store(error) => return ApiError::of_store(error),
        };
        ApiError::new(code, self.to_string())
    }
}

/// Create a capsule
///
/// Answers at once with `status` `starting` or `running`; with `wait`, when it is running or has failed
/// (`agent_error`).
#[utoipa::path(
    post, path = Action::SandboxCreate.path(), tag = "capsules",
    params(CreateCapsuleQuery),
    request_body = CreateCapsuleRequest,
    responses(
        (status = 201, description = "The capsule", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 403, description = "The team's quota does not allow it (`quota_exceeded`), or you may not do this", body = ErrorBody),
        (status = 404, description = "There is no such template", body = ErrorBody),
        (status = 502, description = "It was waited for and did not start", body = ErrorBody),
        (
            status = 503,
            description = "No host has room for it (`host_unavailable`), or the server has too much to do \
                (`overloaded`)",
            body = ErrorBody,
        ),
    ),
)]
pub(crate) async fn create_capsule(
    app: Data<App>,
    AuthThen(Authorized(principal), (Query(query), Json(request))): AuthThen<
        Authorized,
        (Query<CreateCapsuleQuery>, Json<CreateCapsuleRequest>),
    >,
) -> Result<HttpResponse, ApiError> {
    let waits = query.wait.or(request.wait).unwrap_or(false);
    let when = if waits { AnswerWhen::Started } else { AnswerWhen::Begun };
    let sandbox = sandbox_create::run(&app.control, &principal, request.into(), when).await?;
    Ok(HttpResponse::Created().json(Capsule::of(&app, &principal, sandbox)))
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wrenn_actors::WaitError;
    use wrenn_domain::{ids::SandboxId, limits::LimitError, preview::PreviewAccess};
    use wrenn_supervision::CallError;

    use super::*;

    #[test]
    fn every_field_of_a_request_reaches_the_use_case() {
        let of = |json| SandboxRequest::from(serde_json::from_value::<CreateCapsuleRequest>(json).unwrap());
        assert_eq!(of(json!({})), SandboxRequest::default());
        let map = |name: &str| Some(BTreeMap::from([(name.to_owned(), "value".to_owned())]));
        let expected = SandboxRequest {
            template: Some("t".into()),
            vcpus: Some(2),
            memory_mb: Some(1024),
            disk_size_mb: Some(6000),
            timeout_sec: Some(60),
            envs: map("A"),
            metadata: map("note"),
            auto_resume: Some(true),
            preview_access: Some(PreviewAccess::Public),
        };
        let full = json!({
            "template": "t", "vcpus": 2, "memory_mb": 1024, "disk_size_mb": 6000, "timeout_sec": 60,
            "envs": {"A": "value"}, "metadata": {"note": "value"}, "auto_resume": true,
            "preview_access": "public", "wait": true,
        });
        assert_eq!(of(full), expected);
    }

    #[test]
    fn a_failure_says_whether_the_request_the_hosts_or_the_start_is_at_fault() {
        let id = SandboxId::new();
        let size = CreateError::NotTheSnapshot { field: "vcpus", template: "t".into(), holds: 2, given: 1 };
        let limit = LimitError { field: "vcpus", wrong: "must be from 1 to 32, not 0".into() };
        let wait = CreateError::Wait { id, source: WaitError::Unanswered(id, CallError::TimedOut) };
        for (error, code, word) in [
            (size, ErrorCode::InvalidRequest, "vcpus"),
            (CreateError::Limit(limit), ErrorCode::InvalidRequest, "vcpus: must be"),
            (CreateError::NoTemplate("t".into()), ErrorCode::NotFound, "`t`"),
            (CreateError::TemplateAway("t".into()), ErrorCode::HostUnavailable, "`t`"),
            (CreateError::Create(ActorError::NoHost), ErrorCode::HostUnavailable, "no host"),
            (
                CreateError::Create(ActorError::Unanswered(CallError::Full)),
                ErrorCode::Overloaded,
                "nothing was done",
            ),
            (CreateError::Failed { id, reason: "no kernel".into() }, ErrorCode::AgentError, "no kernel"),
            (wait, ErrorCode::InternalError, "was created"),
        ] {
            let answer = error.api_error();
            assert_eq!(answer.code, code, "{}", answer.message);
            assert!(answer.message.contains(word), "{}", answer.message);
        }
    }
}
