//! `POST /v1/capsules`

use std::{collections::BTreeMap, time::Duration};

use actix_web::{HttpResponse, web::Data};
use serde::Deserialize;
use utoipa::{IntoParams, ToSchema};
use wrenn_actors::{CreateError, Until, WaitError};
use wrenn_domain::{
    error_code::ErrorCode,
    lifecycle::{Operation, SandboxStatus},
    limits,
    sandbox::{NewSandbox, Sandbox},
    template::Template,
};
use wrenn_proto::ids::{SandboxId, TeamId};
use wrenn_store::StoreError;

use super::{Capsule, preview::CapsulePreviewAccess};
use crate::{
    app::App,
    auth::Caller,
    error::{ApiError, ErrorBody, impl_response_error},
    http::extract::{AuthThen, Json, Query},
};

/// How long `wait` waits; a cold boot on a busy machine without acceleration takes most of a minute.
const WAIT: Duration = Duration::from_secs(180);

/// What the capsule shall be. Everything has a default.
#[derive(Debug, Default, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub(crate) struct CreateCapsuleRequest {
    /// One of the team's templates, or of the platform's.
    #[schema(nullable = false, required = false, default = "minimal")]
    template: Option<String>,
    #[schema(value_type = i32, required = false, default = 1, minimum = 1, maximum = 32)]
    vcpus: Option<i64>,
    #[schema(value_type = i32, required = false, default = 512, minimum = 128, maximum = 65536)]
    memory_mb: Option<i64>,
    /// At least what the template needs.
    #[schema(value_type = i32, required = false, default = 5120, maximum = 1048576)]
    disk_size_mb: Option<i64>,
    /// Seconds of no activity after which it is paused; 0 means never.
    #[schema(value_type = i32, required = false, default = 0, minimum = 0, maximum = 31536000)]
    timeout_sec: Option<i64>,
    /// Environment of every command in it.
    #[schema(nullable = false, required = false)]
    envs: Option<BTreeMap<String, String>>,
    /// Whatever you want to note.
    #[schema(nullable = false, required = false)]
    metadata: Option<BTreeMap<String, String>>,
    /// Whether traffic resumes it when it is paused.
    #[schema(nullable = false, required = false, default = false)]
    auto_resume: Option<bool>,
    /// Who may reach its ports through its preview addresses.
    #[schema(nullable = false, required = false)]
    preview_access: Option<CapsulePreviewAccess>,
    /// ApiError when it is running or has failed, not at once.
    #[schema(nullable = false, required = false, default = false)]
    wait: Option<bool>,
}

/// The query of the request.
#[derive(Debug, Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct CreateCapsuleQuery {
    /// Like `wait` in the body.
    #[param(nullable = false, required = false)]
    wait: Option<bool>,
}

/// Why there is no running capsule.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CreateCapsuleError {
    #[error("{field}: template `{template}` holds a machine with {holds}, so {given} is not possible")]
    NotTheSnapshot { field: &'static str, template: String, holds: i64, given: i64 },
    #[error(transparent)]
    Limit(#[from] limits::LimitError),
    #[error("there is no template `{0}`")]
    NoTemplate(String),
    /// Its files are on hosts where it was made, and none of these is attached.
    #[error("no host that has template `{0}` is attached; try again when one is back")]
    TemplateAway(String),
    #[error(transparent)]
    Create(#[from] CreateError),
    #[error("capsule {id} was created, but could not be waited for")]
    Wait {
        id: SandboxId,
        #[source]
        source: WaitError,
    },
    #[error("capsule {id} was created, but could not be read again")]
    Reread {
        id: SandboxId,
        #[source]
        source: StoreError,
    },
    #[error("capsule {id} did not start: {reason}")]
    Failed { id: SandboxId, reason: String },
    #[error("the template could not be looked up")]
    Store(#[from] StoreError),
}

impl CreateCapsuleError {
    fn api_error(&self) -> ApiError {
        let code = match self {
            Self::NotTheSnapshot { .. } | Self::Limit(_) => ErrorCode::InvalidRequest,
            Self::NoTemplate(_) => ErrorCode::NotFound,
            Self::TemplateAway(_) | Self::Create(CreateError::NoHost | CreateError::NothingFits(_)) => {
                ErrorCode::HostUnavailable
            }
            Self::Failed { .. } => ErrorCode::AgentError,
            Self::Create(CreateError::Unanswered(error)) => return ApiError::unanswered(*error),
            Self::Wait { id, .. } | Self::Reread { id, .. } => {
                let message = format!("capsule {id} was created, but how it starts is not known; look at it");
                return ApiError::new(ErrorCode::InternalError, message);
            }
            Self::Create(_) | Self::Store(_) => return ApiError::internal(),
        };
        ApiError::new(code, self.to_string())
    }
}
impl_response_error!(CreateCapsuleError);

/// Create a capsule
///
/// Answers at once with `status` `starting` or `running`; with `wait`, when it is running or has failed
/// (`agent_error`).
#[utoipa::path(
    post, path = "/v1/capsules", tag = "capsules", security(("bearerAuth" = []), ("apiKeyAuth" = [])),
    params(CreateCapsuleQuery),
    request_body = CreateCapsuleRequest,
    responses(
        (status = 201, description = "The capsule", body = Capsule),
        (status = 400, description = "The request is not valid", body = ErrorBody),
        (status = 401, description = "Credentials are missing or wrong", body = ErrorBody),
        (status = 403, description = "The account is disabled or not in the team", body = ErrorBody),
        (status = 404, description = "There is no such template", body = ErrorBody),
        (status = 502, description = "It was waited for and did not start", body = ErrorBody),
        (status = 503, description = "No host has room for it (`host_unavailable`)", body = ErrorBody),
    ),
)]
pub(crate) async fn create_capsule(
    app: Data<App>,
    AuthThen(caller, (Query(query), Json(request))): AuthThen<
        Caller,
        (Query<CreateCapsuleQuery>, Json<CreateCapsuleRequest>),
    >,
) -> Result<HttpResponse, CreateCapsuleError> {
    let waits = query.wait.or(request.wait).unwrap_or(false);
    let name = request.template.as_deref().unwrap_or(limits::DEFAULT_TEMPLATE);
    request.check_alone()?;
    let no_template = || CreateCapsuleError::NoTemplate(name.chars().take(limits::ECHO_CHARACTERS).collect());
    if !limits::is_template_name(name) {
        return Err(no_template());
    }
    let template = app.store.template_find(caller.team_id, name).await?.ok_or_else(no_template)?;
    let template_hosts = match &template.image {
        Some(_) => None,
        None => Some(app.store.template_hosts(template.id).await?),
    };
    let is_everywhere = template_hosts.is_none();
    let new = NewSandbox { template_hosts, ..request.with_template(caller.team_id, template)? };
    let name = new.template_name.clone();
    let sandbox = app.control_plane.sandbox_create(new).await.map_err(|error| match error {
        CreateError::NoHost if !is_everywhere => CreateCapsuleError::TemplateAway(name),
        error => error.into(),
    })?;
    tracing::info!(sandbox_id = %sandbox.id, team_id = %caller.team_id, "capsule created");
    let sandbox = if waits { wait(&app, sandbox).await? } else { sandbox };
    Ok(HttpResponse::Created().json(Capsule::of(&app, sandbox)))
}

/// Waits for the start; one that takes longer than anybody waits is shown as it is then.
async fn wait(app: &App, sandbox: Sandbox) -> Result<Sandbox, CreateCapsuleError> {
    let id = sandbox.id;
    match app.control_plane.sandbox_wait(id, Until::Settled, WAIT).await {
        Ok(settled) => started(settled),
        Err(WaitError::TimedOut(_)) => {
            let now = app.store.sandbox_fetch(sandbox.team_id, id).await;
            started(now.map_err(|source| CreateCapsuleError::Reread { id, source })?.unwrap_or(sandbox))
        }
        Err(source) => Err(CreateCapsuleError::Wait { id, source }),
    }
}

/// Passes on a capsule that runs or is still starting; one that does neither has failed, also while what is left
/// of it is being removed.
fn started(sandbox: Sandbox) -> Result<Sandbox, CreateCapsuleError> {
    let lifecycle = &sandbox.lifecycle;
    if lifecycle.status == SandboxStatus::Running || lifecycle.operation == Some(Operation::Starting) {
        return Ok(sandbox);
    }
    let reason = lifecycle.last_error.as_ref().or(lifecycle.stop_reason.as_ref()).cloned();
    let reason = reason.unwrap_or_else(|| format!("it is {}", lifecycle.status));
    Err(CreateCapsuleError::Failed { id: sandbox.id, reason })
}

impl CreateCapsuleRequest {
    /// Checks what can be checked without the template.
    fn check_alone(&self) -> Result<(), CreateCapsuleError> {
        for (field, given, allowed) in [
            ("vcpus", self.vcpus, limits::VCPUS),
            ("memory_mb", self.memory_mb, limits::MEMORY_MB),
            ("disk_size_mb", self.disk_size_mb, limits::DISK_MB),
            ("timeout_sec", self.timeout_sec, limits::TIMEOUT_SEC),
        ] {
            if let Some(given) = given {
                limits::in_range(field, given, allowed)?;
            }
        }
        limits::check_envs(self.envs.as_ref())?;
        limits::check_metadata(self.metadata.as_ref())?;
        Ok(())
    }

    /// Fills in what the template says, except where it is.
    fn with_template(self, team_id: TeamId, template: Template) -> Result<NewSandbox, CreateCapsuleError> {
        let held = |field, given: Option<i64>, holds: Option<i32>, default| match (given, holds) {
            (Some(given), Some(holds)) if given != i64::from(holds) => {
                let template = template.name.clone();
                Err(CreateCapsuleError::NotTheSnapshot { field, template, holds: holds.into(), given })
            }
            (given, holds) => Ok(given.or(holds.map(i64::from)).unwrap_or(default)),
        };
        let vcpus = held("vcpus", self.vcpus, template.vcpus, limits::DEFAULT_VCPUS)?;
        let memory_mb = held("memory_mb", self.memory_mb, template.memory_mb, limits::DEFAULT_MEMORY_MB)?;
        let least_disk_mb = i64::from(template.disk_size_mb);
        let disk_size_mb = self.disk_size_mb.unwrap_or(limits::DEFAULT_DISK_MB.max(least_disk_mb));

        let mut envs = template.default_env;
        envs.extend(self.envs.unwrap_or_default());
        // Else each template that is made of a capsule could hold more than the one before.
        limits::check_envs(Some(&envs))?;
        Ok(NewSandbox {
            id: SandboxId::new(),
            team_id,
            template_id: template.id,
            template_name: template.name,
            template_image: template.image,
            template_hosts: None,
            vcpus: limits::in_range("vcpus", vcpus, limits::VCPUS)?,
            memory_mb: limits::in_range("memory_mb", memory_mb, limits::MEMORY_MB)?,
            disk_size_mb: limits::in_range(
                "disk_size_mb",
                disk_size_mb,
                least_disk_mb..=*limits::DISK_MB.end(),
            )?,
            timeout_sec: limits::in_range("timeout_sec", self.timeout_sec.unwrap_or(0), limits::TIMEOUT_SEC)?,
            auto_resume: self.auto_resume.unwrap_or(false),
            default_user: template.default_user,
            envs,
            metadata: self.metadata.unwrap_or_default(),
            preview_access: self.preview_access.map(Into::into).unwrap_or_default(),
            build: None,
        })
    }
}

#[cfg(test)]
mod tests {
    use wrenn_domain::{lifecycle::Lifecycle, template::TemplateKind};
    use wrenn_proto::ids::TemplateId;

    use super::*;

    fn template(vcpus: Option<i32>, memory_mb: Option<i32>, disk_size_mb: i32) -> Template {
        Template {
            id: TemplateId::new(),
            team_id: TeamId::PLATFORM,
            name: "t".into(),
            image: None,
            kind: if vcpus.is_some() { TemplateKind::Snapshot } else { TemplateKind::Base },
            vcpus,
            memory_mb,
            disk_size_mb,
            size_bytes: 0,
            default_user: "user".into(),
            default_env: BTreeMap::from([("A".into(), "template".into()), ("B".into(), "template".into())]),
            created_at: chrono::DateTime::UNIX_EPOCH,
        }
    }

    #[test]
    fn an_empty_request_is_the_smallest_machine_that_the_template_fits() {
        let new =
            CreateCapsuleRequest::default().with_template(TeamId::new(), template(None, None, 8000)).unwrap();
        assert_eq!((new.vcpus, new.memory_mb, new.disk_size_mb, new.timeout_sec), (1, 512, 8000, 0));
        assert_eq!(new.default_user, "user");
    }

    #[test]
    fn a_snapshot_decides_the_size_of_the_machine() {
        let snapshot = || template(Some(2), Some(1024), 5120);
        let new = CreateCapsuleRequest::default().with_template(TeamId::new(), snapshot()).unwrap();
        assert_eq!((new.vcpus, new.memory_mb), (2, 1024));
        let other = CreateCapsuleRequest { vcpus: Some(1), ..Default::default() };
        let refused = other.with_template(TeamId::new(), snapshot()).unwrap_err();
        assert_eq!(refused.api_error().code, ErrorCode::InvalidRequest);
    }

    #[test]
    fn a_disk_smaller_than_the_template_is_refused() {
        let small = CreateCapsuleRequest { disk_size_mb: Some(5119), ..Default::default() };
        let refused = small.with_template(TeamId::new(), template(None, None, 5120)).unwrap_err();
        assert!(refused.to_string().contains("disk_size_mb"), "{refused}");
    }

    #[test]
    fn one_that_neither_runs_nor_starts_has_failed() {
        let row = |status, operation| Sandbox {
            id: SandboxId::new(),
            team_id: TeamId::new(),
            template_id: None,
            template_name: "t".into(),
            template_image: None,
            host_id: wrenn_proto::ids::HostId::new(),
            vcpus: 1,
            memory_mb: 512,
            disk_size_mb: 5120,
            timeout_sec: 0,
            auto_resume: false,
            default_user: "user".into(),
            envs: BTreeMap::new(),
            metadata: BTreeMap::new(),
            preview_access: Default::default(),
            preview_token: String::new(),
            lifecycle: Lifecycle { status, operation, ..Lifecycle::first() },
            making: None,
            created_at: chrono::DateTime::UNIX_EPOCH,
            started_at: None,
            last_active_at: None,
            updated_at: chrono::DateTime::UNIX_EPOCH,
            destroyed_at: None,
        };
        assert!(started(row(SandboxStatus::Running, None)).is_ok());
        assert!(started(row(SandboxStatus::Starting, Some(Operation::Starting))).is_ok());
        for (status, operation) in [
            (SandboxStatus::Error, None),
            (SandboxStatus::Error, Some(Operation::Destroying)),
            (SandboxStatus::Starting, Some(Operation::Destroying)),
        ] {
            assert_eq!(started(row(status, operation)).unwrap_err().api_error().code, ErrorCode::AgentError);
        }
    }

    #[test]
    fn own_variables_win_over_those_of_the_template() {
        let envs = Some(BTreeMap::from([("A".into(), "own".into())]));
        let request = CreateCapsuleRequest { envs, ..Default::default() };
        let new = request.with_template(TeamId::new(), template(None, None, 5120)).unwrap();
        assert_eq!((new.envs["A"].as_str(), new.envs["B"].as_str()), ("own", "template"));
    }

    #[test]
    fn variables_are_bounded_together_with_those_of_the_template() {
        let full = (0..64).map(|n| (format!("V{n}"), String::new())).collect();
        let template = Template { default_env: full, ..template(None, None, 5120) };
        let with = |name: &str| {
            let envs = Some(BTreeMap::from([(name.to_owned(), "own".to_owned())]));
            CreateCapsuleRequest { envs, ..Default::default() }.with_template(TeamId::new(), template.clone())
        };
        assert_eq!(with("V0").unwrap().envs.len(), 64);
        assert_eq!(with("more").unwrap_err().api_error().code, ErrorCode::InvalidRequest);
    }
}
