//! Creates a sandbox from a template: chooses its host and begins its start.

use std::{collections::BTreeMap, time::Duration};

use wrenn_actors::{CreateError as ActorError, Until, WaitError};
use wrenn_domain::{
    action::Action,
    admission::EnterError,
    audit::AuditIntent,
    environment,
    ids::{SandboxId, TeamId},
    lifecycle::{Operation, SandboxStatus},
    limits::{self, LimitError},
    preview::PreviewAccess,
    principal::Principal,
    sandbox::{NewSandbox, Sandbox},
    template::Template,
};
use wrenn_store::StoreError;

use crate::Control;

/// Longest wait for a start; a cold boot on a busy machine without acceleration takes most of a minute.
const WAIT: Duration = Duration::from_secs(180);

/// A sandbox that somebody wants. Everything has a default.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct SandboxRequest {
    /// Name of a template of the team or of the platform.
    pub template: Option<String>,
    /// vCPUs.
    pub vcpus: Option<i64>,
    /// Memory in MiB.
    pub memory_mb: Option<i64>,
    /// Disk in MiB; at least what the template needs.
    pub disk_size_mb: Option<i64>,
    /// Idle time after which it is paused, in seconds; 0 means never.
    pub timeout_sec: Option<i64>,
    /// Environment of every command in it.
    pub envs: Option<BTreeMap<String, String>>,
    /// Notes of its owner.
    pub metadata: Option<BTreeMap<String, String>>,
    /// True if traffic resumes it when it is paused.
    pub auto_resume: Option<bool>,
    /// Access to its ports.
    pub preview_access: Option<PreviewAccess>,
}

/// When a caller wants its answer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum AnswerWhen {
    /// When the start has begun.
    Begun,
    /// When the sandbox runs, or has failed.
    Started,
}

/// The reason for which there is no running sandbox.
#[derive(Debug, thiserror::Error)]
pub enum CreateError {
    /// The use case did not begin.
    #[error(transparent)]
    Enter(#[from] EnterError),
    /// The template holds a machine of another size.
    #[error("{field}: template `{template}` holds a machine with {holds}, so {given} is not possible")]
    NotTheSnapshot {
        /// Name of the field.
        field: &'static str,
        /// Name of the template.
        template: String,
        /// Size of the machine in the template.
        holds: i64,
        /// Size that was asked for.
        given: i64,
    },
    /// A value is out of range.
    #[error(transparent)]
    Limit(#[from] LimitError),
    /// The team sees no such template.
    #[error("there is no template `{0}`")]
    NoTemplate(String),
    /// The template's files are on hosts where it was made, and none of these is attached.
    #[error("no host that has template `{0}` is attached; try again when one is back")]
    TemplateAway(String),
    /// No host takes it, or its row was not written.
    #[error(transparent)]
    Create(#[from] ActorError),
    /// The sandbox was created, and its actor does not answer.
    #[error("capsule {id} was created, but could not be waited for")]
    Wait {
        /// The sandbox.
        id: SandboxId,
        /// The failure of the wait.
        #[source]
        source: WaitError,
    },
    /// The sandbox was created, and its start failed.
    #[error("capsule {id} did not start: {reason}")]
    Failed {
        /// The sandbox.
        id: SandboxId,
        /// The host's words.
        reason: String,
    },
    /// The database failed before anything was created.
    #[error("the template could not be looked up")]
    Store(#[from] StoreError),
}

/// Creates a sandbox for the principal's team.
///
/// # Errors
/// See [`CreateError`].
pub async fn run(
    control: &Control,
    principal: &Principal,
    request: SandboxRequest,
    when: AnswerWhen,
) -> Result<Sandbox, CreateError> {
    let pass = control.enter(principal, Action::SandboxCreate).await?;
    let id = SandboxId::new();
    let name = request.template.as_deref().unwrap_or(limits::DEFAULT_TEMPLATE);
    let intent = pass.intent().of(id).with("template", limits::echo(name));
    let created = create(control, pass.team(), id, &intent, request).await;
    let created = control.audited(intent, created).await?;
    // The wait for the host takes no place from others.
    drop(pass);
    tracing::info!(sandbox_id = %created.id, team_id = %created.team_id, "capsule created");
    match when {
        AnswerWhen::Begun => Ok(created),
        AnswerWhen::Started => wait(control, created).await,
    }
}

async fn create(
    control: &Control,
    team: TeamId,
    id: SandboxId,
    intent: &AuditIntent,
    request: SandboxRequest,
) -> Result<Sandbox, CreateError> {
    let name = request.template.clone().unwrap_or_else(|| limits::DEFAULT_TEMPLATE.to_owned());
    check_alone(&request)?;
    let no_template = || CreateError::NoTemplate(limits::echo(&name));
    if !limits::is_template_name(&name) {
        return Err(no_template());
    }
    let template = control.store().template_find(team, &name).await?.ok_or_else(no_template)?;
    let template_hosts = match &template.image {
        Some(_) => None,
        None => Some(control.store().template_hosts(template.id).await?),
    };
    let is_everywhere = template_hosts.is_none();
    let new = NewSandbox { template_hosts, ..with_template(request, id, team, template)? };
    let created = control.actors().sandbox_create(new, intent.clone()).await;
    created.map_err(|error| match error {
        ActorError::NoHost if !is_everywhere => CreateError::TemplateAway(name),
        error => error.into(),
    })
}

/// Waits for the start; one that takes longer than anybody waits is returned as it is then.
async fn wait(control: &Control, sandbox: Sandbox) -> Result<Sandbox, CreateError> {
    let id = sandbox.id;
    match control.actors().sandbox_wait(id, Until::Settled, WAIT).await {
        Ok(settled) => started(settled),
        Err(WaitError::TimedOut(_)) => {
            // If the database does not answer, the row is shown as it was written.
            let now = control.store().sandbox_fetch(sandbox.team_id, id).await.ok().flatten();
            started(now.unwrap_or(sandbox))
        }
        Err(source) => Err(CreateError::Wait { id, source }),
    }
}

/// Passes on a sandbox that runs or is still starting; one that does neither has failed, also while its leftovers are
/// being removed.
fn started(sandbox: Sandbox) -> Result<Sandbox, CreateError> {
    let lifecycle = &sandbox.lifecycle;
    if lifecycle.status == SandboxStatus::Running || lifecycle.operation == Some(Operation::Starting) {
        return Ok(sandbox);
    }
    let reason = lifecycle.last_error.as_ref().or(lifecycle.stop_reason.as_ref()).cloned();
    let reason = reason.unwrap_or_else(|| format!("it is {}", lifecycle.status));
    Err(CreateError::Failed { id: sandbox.id, reason })
}

/// Checks what can be checked without the template.
fn check_alone(request: &SandboxRequest) -> Result<(), LimitError> {
    for (field, given, allowed) in [
        ("vcpus", request.vcpus, limits::VCPUS),
        ("memory_mb", request.memory_mb, limits::MEMORY_MB),
        ("disk_size_mb", request.disk_size_mb, limits::DISK_MB),
        ("timeout_sec", request.timeout_sec, limits::TIMEOUT_SEC),
    ] {
        if let Some(given) = given {
            limits::in_range(field, given, allowed)?;
        }
    }
    limits::check_envs(request.envs.as_ref(), environment::Scope::Stored)?;
    limits::check_metadata(request.metadata.as_ref())
}

/// Fills in what the template says, except where it is.
fn with_template(
    request: SandboxRequest,
    id: SandboxId,
    team_id: TeamId,
    template: Template,
) -> Result<NewSandbox, CreateError> {
    let held = |field, given: Option<i64>, holds: Option<i32>, default| match (given, holds) {
        (Some(given), Some(holds)) if given != i64::from(holds) => {
            let template = template.name.clone();
            Err(CreateError::NotTheSnapshot { field, template, holds: holds.into(), given })
        }
        (given, holds) => Ok(given.or(holds.map(i64::from)).unwrap_or(default)),
    };
    let vcpus = held("vcpus", request.vcpus, template.vcpus, limits::DEFAULT_VCPUS)?;
    let memory_mb = held("memory_mb", request.memory_mb, template.memory_mb, limits::DEFAULT_MEMORY_MB)?;
    let least_disk_mb = i64::from(template.disk_size_mb);
    let disk_size_mb = request.disk_size_mb.unwrap_or(limits::DEFAULT_DISK_MB.max(least_disk_mb));
    let disk_range = least_disk_mb..=*limits::DISK_MB.end();
    let timeout_sec = request.timeout_sec.unwrap_or(0);

    let mut envs = template.default_env;
    envs.extend(request.envs.unwrap_or_default());
    // Else each template that is made of a sandbox could hold more than the one before.
    limits::check_envs(Some(&envs), environment::Scope::Stored)?;
    Ok(NewSandbox {
        id,
        team_id,
        template_id: template.id,
        template_name: template.name,
        template_image: template.image,
        template_hosts: None,
        vcpus: limits::in_range("vcpus", vcpus, limits::VCPUS)?,
        memory_mb: limits::in_range("memory_mb", memory_mb, limits::MEMORY_MB)?,
        disk_size_mb: limits::in_range("disk_size_mb", disk_size_mb, disk_range)?,
        timeout_sec: limits::in_range("timeout_sec", timeout_sec, limits::TIMEOUT_SEC)?,
        auto_resume: request.auto_resume.unwrap_or(false),
        default_user: template.default_user,
        envs,
        metadata: request.metadata.unwrap_or_default(),
        preview_access: request.preview_access.unwrap_or_default(),
        build: None,
    })
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use wrenn_domain::{
        ids::{HostId, TemplateId},
        lifecycle::Lifecycle,
        template::TemplateKind,
    };

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
            created_at: SystemTime::UNIX_EPOCH.into(),
        }
    }

    fn new(request: SandboxRequest, template: Template) -> Result<NewSandbox, CreateError> {
        with_template(request, SandboxId::new(), TeamId::new(), template)
    }

    #[test]
    fn an_empty_request_is_the_smallest_machine_that_the_template_fits() {
        let new = new(SandboxRequest::default(), template(None, None, 8000)).unwrap();
        assert_eq!((new.vcpus, new.memory_mb, new.disk_size_mb, new.timeout_sec), (1, 512, 8000, 0));
        assert_eq!(new.default_user, "user");
    }

    #[test]
    fn a_snapshot_decides_the_size_of_the_machine() {
        let snapshot = || template(Some(2), Some(1024), 5120);
        let as_it_is = new(SandboxRequest::default(), snapshot()).unwrap();
        assert_eq!((as_it_is.vcpus, as_it_is.memory_mb), (2, 1024));
        let other = SandboxRequest { vcpus: Some(1), ..Default::default() };
        let refused = new(other, snapshot()).unwrap_err();
        assert!(matches!(refused, CreateError::NotTheSnapshot { field: "vcpus", .. }), "{refused}");
    }

    #[test]
    fn a_disk_smaller_than_the_template_is_refused() {
        let small = SandboxRequest { disk_size_mb: Some(5119), ..Default::default() };
        let refused = new(small, template(None, None, 5120)).unwrap_err();
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
            host_id: HostId::new(),
            vcpus: 1,
            memory_mb: 512,
            disk_size_mb: 5120,
            timeout_sec: 0,
            auto_resume: false,
            default_user: "user".into(),
            envs: BTreeMap::new(),
            metadata: BTreeMap::new(),
            preview_access: PreviewAccess::default(),
            preview_secret: String::new(),
            lifecycle: Lifecycle { status, operation, ..Lifecycle::first() },
            making: None,
            created_at: SystemTime::UNIX_EPOCH.into(),
            started_at: None,
            last_active_at: None,
            updated_at: SystemTime::UNIX_EPOCH.into(),
            destroyed_at: None,
            audit_id: None,
            created_by: None,
        };
        assert!(started(row(SandboxStatus::Running, None)).is_ok());
        assert!(started(row(SandboxStatus::Starting, Some(Operation::Starting))).is_ok());
        for (status, operation) in [
            (SandboxStatus::Error, None),
            (SandboxStatus::Error, Some(Operation::Destroying)),
            (SandboxStatus::Starting, Some(Operation::Destroying)),
        ] {
            let failed = started(row(status, operation)).unwrap_err();
            assert!(matches!(failed, CreateError::Failed { .. }), "{failed}");
        }
    }

    #[test]
    fn own_variables_win_over_those_of_the_template() {
        let envs = Some(BTreeMap::from([("A".into(), "own".into())]));
        let request = SandboxRequest { envs, ..Default::default() };
        let new = new(request, template(None, None, 5120)).unwrap();
        assert_eq!((new.envs["A"].as_str(), new.envs["B"].as_str()), ("own", "template"));
    }

    #[test]
    fn variables_are_bounded_together_with_those_of_the_template() {
        let long = "v".repeat(environment::MAX_VARIABLE_BYTES - 2);
        let full = BTreeMap::from([("V0".to_owned(), long)]);
        let template = Template { default_env: full, ..template(None, None, 5120) };
        let with = |name: &str| {
            let envs = Some(BTreeMap::from([(name.to_owned(), "own".to_owned())]));
            new(SandboxRequest { envs, ..Default::default() }, template.clone())
        };
        assert_eq!(with("V0").unwrap().envs["V0"], "own");
        let refused = with("more").unwrap_err();
        assert!(matches!(refused, CreateError::Limit(_)), "{refused}");
    }
}
