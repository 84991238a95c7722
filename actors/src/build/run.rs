//! One attempt at a build, from its base template to its own.
//!
//! ```text
//!   plan ─ what is known already ─┬─ everything, and the template is there ──────────────────────▶ success
//!                                 └─ capsule ─ steps ─ healthcheck ─ template ─ capsule of it ─▶ success
//!                                              └ each disk is kept
//! ```
//!
//! The attempt is one future, owned by the build's actor: dropped, it does nothing any more. What it has made until
//! then, capsules and an untested template, is removed by whoever ends it, and by the [`keeper`](super::keeper) if that
//! is nobody.
//!
//! | what happens | what becomes of the build |
//! |---|---|
//! | a command fails, or takes too long; the healthcheck fails; the template does not start | failed, with the reason |
//! | the plan is wrong, or no host has room | failed at once |
//! | capsule, host, link or storage fail | given back, and taken up again; what was kept is not done twice |
//! | somebody else has the build | nothing more is written |

use std::{fs::File, io::Write as _, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use wrenn_base::Clock;
use wrenn_domain::{
    action::Action,
    archive::Contents,
    audit::AuditIntent,
    build::{
        Build, BuildEnd, BuildStage, Claim, StepEnd,
        plan::{ArchiveIndex, Base, Order, Plan, plan},
    },
    lifecycle::SandboxStatus,
    principal::SystemReason,
    sandbox::NewSandbox,
    template::{OnConflict, Template, TemplateNameError, TemplateOrigin, TemplateSource},
};
use wrenn_proto::ids::{SandboxId, TemplateId};

use super::{
    capsule::{Capsule, CapsuleError},
    log::BuildLog,
    steps::Steps,
};
use crate::{
    ControlPlane, CreateError, OperationError, TemplateDefaults, TemplateOrder, Until, WaitError,
    archive::{self, pack},
    retry::until_answered,
};

/// How long a capsule may take to start.
const START_WITHIN: Duration = Duration::from_secs(300);
/// How long a template may take to be made.
const TEMPLATE_WITHIN: Duration = Duration::from_secs(900);
/// How long a capsule may take to go.
const GONE_WITHIN: Duration = Duration::from_secs(30);

/// Why an attempt did not lead to a template.
#[derive(Debug, thiserror::Error)]
pub(super) enum AttemptError {
    /// Another attempt would end alike.
    #[error("{0}")]
    Final(String),
    /// Another attempt may succeed.
    #[error("{0}")]
    Again(String),
}

impl AttemptError {
    pub(super) fn again(what: &str) -> impl FnOnce(CapsuleError) -> Self {
        move |error| match error {
            CapsuleError::Refused(reason) => Self::Final(format!("{what}: {reason}")),
            CapsuleError::Failed(reason) => Self::Again(format!("{what}: {reason}")),
        }
    }
}

/// The archive of a build, as it is unpacked.
pub(super) struct Archive {
    pub(super) file: Arc<File>,
    pub(super) contents: Contents,
}

/// An attempt.
pub(super) struct Attempt {
    pub(super) plane: ControlPlane,
    pub(super) claim: Claim,
    pub(super) build: Build,
}

impl Attempt {
    /// Carries it out; returns the template.
    pub(super) async fn run(&self) -> Result<BuildEnd, AttemptError> {
        let store = &self.plane.parts.store;
        let order = &self.build.order;
        let base =
            until_answered("template_find", || store.template_find(order.team_id, &order.base_template))
                .await
                .ok_or_else(|| {
                    AttemptError::Final(format!("there is no template `{}` any more", order.base_template))
                })?;
        let disk_size_mb = order.disk_size_mb.max(base.disk_size_mb.unsigned_abs());
        let mut index = None;
        let archive = match &self.build.archive {
            Some(name) => {
                let (archive, found) = self.archive(name).await?;
                index = Some(found);
                Some(archive)
            }
            None => None,
        };
        let planned = Base {
            team_id: order.team_id,
            id: base.id,
            default_user: base.default_user.clone(),
            default_env: base.default_env.clone(),
            disk_size_mb,
        };
        let healthcheck = order.healthcheck.as_deref();
        let wanted = Order { recipe: &order.recipe, healthcheck, skip_pre_post: order.skip_pre_post };
        let plan =
            plan(wanted, &planned, index.as_ref()).map_err(|error| AttemptError::Final(error.to_string()))?;
        let claim = self.claim;
        until_answered("build_defaults", || {
            store.build_defaults(claim, &plan.default_user, &plan.default_env)
        })
        .await;

        let mut log = BuildLog::new(&self.plane, claim);
        let known = self.known(&plan, base.id).await;
        let done = known.map_or(0, |(last, _)| last + 1);
        for (number, step) in (1..).zip(&plan.steps[..done]) {
            log.step_begin(number, step.phase.as_str(), &step.text, true).await;
        }
        if let Some(template) = self.known_result(&plan, done).await {
            return Ok(BuildEnd::Success(template));
        }
        let from = match known {
            Some((_, id)) if id != base.id => {
                let kept = until_answered("template_fetch", || store.template_fetch(id)).await;
                kept.ok_or_else(|| AttemptError::Again("a kept step was removed meanwhile".to_owned()))?
            }
            _ => base.clone(),
        };
        // What a step has left has the name and the settings of what it began with.
        let from = Template {
            name: base.name.clone(),
            default_user: base.default_user.clone(),
            default_env: base.default_env.clone(),
            ..from
        };
        let sandbox = self.start(&from, disk_size_mb).await?;
        let capsule = Capsule { plane: &self.plane, id: sandbox };
        log.stage(BuildStage::Steps).await;
        let mut steps = Steps {
            attempt: self,
            capsule: &capsule,
            archive: archive.as_ref(),
            log: &mut log,
            kept: from.id,
        };
        for (index, step) in plan.steps.iter().enumerate().skip(done) {
            steps.carry_out(index, step).await?;
        }
        if let Some(healthcheck) = &plan.healthcheck {
            steps.log.stage(BuildStage::Healthcheck).await;
            steps.check_health(healthcheck, &plan).await?;
        }
        log.stage(BuildStage::Template).await;
        let template = self.template(&plan, sandbox).await?;
        self.gone(sandbox).await?;
        log.stage(BuildStage::Testing).await;
        self.test(&plan, &template).await?;
        Ok(BuildEnd::Success(template.id))
    }

    /// Brings the archive from object storage into a file, and looks what is in it.
    async fn archive(&self, name: &str) -> Result<(Archive, ArchiveIndex), AttemptError> {
        let again = |error: &dyn std::error::Error| {
            AttemptError::Again(format!("the archive cannot be read: {error}"))
        };
        let mut file = tempfile::tempfile().map_err(|error| again(&error))?;
        let mut pieces = self.plane.parts.objects.read(name).await.map_err(|error| again(&error))?;
        while let Some(piece) = pieces.next().await {
            file.write_all(&piece.map_err(|error| again(&error))?).map_err(|error| again(&error))?;
        }
        let file = Arc::new(file);
        let reading = file.clone();
        let read = tokio::task::spawn_blocking(move || {
            // It was checked when it came; that is what says what is in it.
            let contents = archive::check(&*reading).map_err(|error| error.to_string())?;
            let digests = pack::digests(&*reading, &contents).map_err(|error| error.to_string())?;
            Ok::<_, String>((contents, digests))
        });
        let read = read.await.map_err(|error| again(&error))?;
        let (contents, digests) = read.map_err(|reason| AttemptError::Final(format!("archive: {reason}")))?;
        let index = ArchiveIndex { entries: contents.entries.clone(), digests };
        Ok((Archive { file, contents }, index))
    }

    /// Finds the last step whose outcome is known, and on a host that is there.
    async fn known(&self, plan: &Plan, base: TemplateId) -> Option<(usize, TemplateId)> {
        if self.build.order.no_cache {
            return None;
        }
        let keys: Vec<_> = plan.steps.iter().map_while(|step| step.key).collect();
        let (store, team) = (&self.plane.parts.store, self.build.order.team_id);
        let known = until_answered("build_cache_find", || store.build_cache_find(team, &keys)).await?;
        if known.1 == base {
            return Some(known);
        }
        let hosts = until_answered("template_hosts", || store.template_hosts(known.1)).await;
        hosts.iter().any(|host| self.plane.parts.hosts.is_online(*host)).then_some(known)
    }

    /// The template of this name, if it is what this build would make, and all steps are known.
    async fn known_result(&self, plan: &Plan, done: usize) -> Option<TemplateId> {
        if done < plan.steps.len() || plan.healthcheck.is_some() || self.build.order.no_cache {
            return None;
        }
        let key = plan.result_key?;
        let (store, order) = (&self.plane.parts.store, &self.build.order);
        let find = || store.build_result_find(order.team_id, &order.name, &key);
        until_answered("build_result_find", find).await
    }

    /// Starts a capsule of a template and waits until it runs.
    async fn start(&self, template: &Template, disk_size_mb: u32) -> Result<SandboxId, AttemptError> {
        let store = &self.plane.parts.store;
        let order = &self.build.order;
        let template_hosts = match &template.image {
            Some(_) => None,
            None => Some(until_answered("template_hosts", || store.template_hosts(template.id)).await),
        };
        let size = |of_template: Option<i32>, wanted: u32| of_template.map_or(wanted, i32::unsigned_abs);
        let new = NewSandbox {
            id: SandboxId::new(),
            team_id: order.team_id,
            template_id: template.id,
            template_name: template.name.clone(),
            template_image: template.image.clone(),
            template_hosts,
            vcpus: size(template.vcpus, order.vcpus),
            memory_mb: size(template.memory_mb, order.memory_mb),
            disk_size_mb: disk_size_mb.max(template.disk_size_mb.unsigned_abs()),
            timeout_sec: 0,
            auto_resume: false,
            default_user: template.default_user.clone(),
            envs: template.default_env.clone(),
            metadata: [("build".to_owned(), self.build.id.to_string())].into(),
            preview_access: Default::default(),
            build: Some(self.claim),
        };
        let id = new.id;
        let created =
            self.plane.sandbox_create(new, self.intent(Action::SandboxCreate)).await.map_err(|error| {
                match error {
                    CreateError::NothingFits(_) | CreateError::NotAdmitted(_) | CreateError::OwnHostsOnly => {
                        AttemptError::Final(error.to_string())
                    }
                    // A value that no row takes would be refused again.
                    CreateError::Store(ref source) if source.is_refusal() => {
                        AttemptError::Final(error.to_string())
                    }
                    error => AttemptError::Again(error.to_string()),
                }
            })?;
        let claim = self.claim;
        until_answered("build_sandbox", || store.build_sandbox(claim, id, created.host_id)).await;
        match self.plane.sandbox_wait(id, Until::Settled, START_WITHIN).await {
            Ok(row) if row.lifecycle.status == SandboxStatus::Running => Ok(id),
            Ok(row) => {
                let lifecycle = row.lifecycle;
                let reason = lifecycle.last_error.or(lifecycle.stop_reason);
                let reason = reason.unwrap_or_else(|| format!("it is {}", lifecycle.status));
                Err(AttemptError::Again(format!("the capsule did not start: {reason}")))
            }
            Err(WaitError::TimedOut(_)) => Err(AttemptError::Again(format!(
                "the capsule did not start within {} s",
                START_WITHIN.as_secs()
            ))),
            Err(error) => Err(AttemptError::Again(format!("the capsule did not start: {error}"))),
        }
    }

    /// Makes the build's template; it is to be tested.
    async fn template(&self, plan: &Plan, sandbox: SandboxId) -> Result<Template, AttemptError> {
        let source =
            if plan.healthcheck.is_some() { TemplateSource::Snapshot } else { TemplateSource::Flattened };
        // With memory, it is not only what led to it that decides what it is.
        let result_key = plan.result_key.filter(|_| source == TemplateSource::Flattened);
        let order = TemplateOrder {
            id: TemplateId::new(),
            name: self.build.order.name.clone(),
            source,
            on_conflict: OnConflict::Replace,
            origin: TemplateOrigin::Build { claim: self.claim, result_key },
            defaults: Some(TemplateDefaults {
                user: plan.default_user.clone(),
                env: plan.default_env.clone(),
            }),
        };
        self.plane
            .template_make(sandbox, order, self.intent(Action::TemplateCreate), TEMPLATE_WITHIN)
            .await
            .map_err(|error| match error {
                OperationError::Name(error @ TemplateNameError::Reserved) => {
                    AttemptError::Final(format!("the template cannot be made: {error}"))
                }
                OperationError::NotAdmitted(refusal) => {
                    AttemptError::Final(format!("the template cannot be made: {refusal}"))
                }
                // Perhaps by an attempt that has lost the build, and is being removed.
                error => AttemptError::Again(format!("the template was not made: {error}")),
            })
    }

    /// Starts a capsule of the template, to see that it works, and removes it.
    async fn test(&self, plan: &Plan, template: &Template) -> Result<(), AttemptError> {
        let failed = |reason: String| format!("the template was made and does not work: {reason}");
        let order = &self.build.order;
        let clock = self.clock();
        let begun = clock.now();
        let sandbox = self.start(template, order.disk_size_mb).await.map_err(|error| match error {
            AttemptError::Final(reason) => AttemptError::Final(failed(reason)),
            AttemptError::Again(reason) => AttemptError::Again(failed(reason)),
        })?;
        let capsule = Capsule { plane: &self.plane, id: sandbox };
        super::health::try_template(&capsule, plan, self.claim).await.map_err(|error| match error {
            CapsuleError::Refused(reason) => AttemptError::Final(failed(reason)),
            CapsuleError::Failed(reason) => AttemptError::Again(failed(reason)),
        })?;
        tracing::info!(build = %self.claim.build, took_ms = millis(clock.since(begun)), "the template works");
        self.gone(sandbox).await
    }

    pub(super) fn clock(&self) -> &Clock {
        &self.plane.parts.clock
    }

    /// Begins the audit entry of what the attempt does.
    pub(super) fn intent(&self, action: Action) -> AuditIntent {
        AuditIntent::system(SystemReason::Build, action)
            .in_team(self.build.order.team_id)
            .with("build", self.claim.build)
    }

    /// Removes a capsule that is not needed any more.
    async fn gone(&self, sandbox: SandboxId) -> Result<(), AttemptError> {
        let gone =
            self.plane.sandbox_destroy(sandbox, self.intent(Action::SandboxDestroy), GONE_WITHIN).await;
        gone.map(drop).map_err(|error| AttemptError::Again(format!("the capsule was not removed: {error}")))
    }
}

fn millis(took: Duration) -> u64 {
    u64::try_from(took.as_millis()).unwrap_or(u64::MAX)
}

/// The end of a step in the log.
pub(super) fn step_end(took: Duration, exit: Option<i32>, ok: bool) -> StepEnd {
    StepEnd { exit, ok, elapsed_ms: millis(took) }
}
