//! The steps of a build, carried out in its capsule one after the other; the disk after each is kept for later builds.

use std::time::Duration;

use wrenn_domain::{
    action::Action,
    build::{
        copy::{Selection, Target},
        plan::{Phase, Plan, PlannedStep, StepAction},
    },
    recipe::Healthcheck,
    template::{OnConflict, TemplateOrigin, TemplateSource},
};
use wrenn_proto::{
    guest::{ExecStart, Lifetime},
    ids::TemplateId,
};

use super::{
    capsule::{Capsule, CapsuleError, Exited, Output, script, shell},
    health::{self, Verdict},
    lines::StepLines,
    log::BuildLog,
    run::{Archive, Attempt, AttemptError, step_end},
};
use crate::{TemplateOrder, retry::until_answered};

/// How long keeping a disk may take.
const KEPT_WITHIN: Duration = Duration::from_secs(300);
/// Lines of a failed command that the build's error repeats.
const ERROR_LINES: usize = 20;
/// Longest of these lines, in characters.
const ERROR_LINE_CHARACTERS: usize = 500;
/// What a script of ours says if it had nothing to do.
const UNCHANGED: i32 = 100;

/// Makes a user who may become root, if there is none of that name. Exits with [`UNCHANGED`] if there is.
const USER_SCRIPT: &str = r#"
if id -u -- "$1" >/dev/null 2>&1; then exit 100; fi
command -v useradd >/dev/null || { echo "the image has no useradd, so user $1 cannot be made" >&2; exit 1; }
useradd --create-home --shell "$(command -v bash || echo /bin/sh)" -- "$1" || exit 1
if command -v sudo >/dev/null; then
    umask 337 && printf '%s ALL=(ALL:ALL) NOPASSWD:ALL\n' "$1" >"/etc/sudoers.d/90-wrenn-$1"
else
    echo "the image has no sudo, so $1 cannot become root" >&2
fi
"#;

/// Makes a folder and its parents; what is made belongs to the user. Exits with [`UNCHANGED`] if it is there.
const WORKDIR_SCRIPT: &str = r#"
if [ -d "$1" ]; then exit 100; fi
path=; rest=${1#/}/
while [ -n "$rest" ]; do
    path=$path/${rest%%/*}; rest=${rest#*/}
    [ -d "$path" ] && continue
    mkdir -- "$path" && chown -- "$2:" "$path" || exit 1
done
"#;

/// Whether a step has changed the disk.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Disk {
    Changed,
    AsBefore,
}

/// The steps of an attempt.
pub(super) struct Steps<'a> {
    pub(super) attempt: &'a Attempt,
    pub(super) capsule: &'a Capsule<'a>,
    pub(super) archive: Option<&'a Archive>,
    pub(super) log: &'a mut BuildLog,
    /// The template whose disk is that of the capsule, as far as it is known.
    pub(super) kept: TemplateId,
}

impl Steps<'_> {
    /// Carries out the step at `index`.
    pub(super) async fn carry_out(&mut self, index: usize, step: &PlannedStep) -> Result<(), AttemptError> {
        let number = u32::try_from(index + 1).unwrap_or(u32::MAX);
        self.log.step_begin(number, step.phase.as_str(), &step.text, false).await;
        let begun = self.attempt.clock().now();
        let mut lines = self.log.lines();
        let mut output = Output { log: self.log, lines: &mut lines, step: number };
        let done = act(self.capsule, self.archive, step, &mut output).await;
        let rest = lines.finish();
        self.log.add(number, rest).await;
        let (exit, outcome) = match done {
            Ok((exit, disk)) => (exit, Ok(disk)),
            Err(Failure { exit, reason, is_final }) => {
                let reason = format!("step {number}, {}: {reason}{}", step.text, quoted(&lines));
                let error = if is_final { AttemptError::Final(reason) } else { AttemptError::Again(reason) };
                (exit, Err(error))
            }
        };
        self.log.step_end(number, step_end(self.attempt.clock().since(begun), exit, outcome.is_ok())).await;
        let disk = outcome?;
        if let Some(key) = step.key {
            self.keep(disk, &key).await;
        }
        Ok(())
    }

    /// Keeps the disk as it is now, under a key. A build whose disk cannot be kept goes on.
    async fn keep(&mut self, disk: Disk, key: &wrenn_domain::build::StepKey) {
        let plane = &self.attempt.plane;
        if disk == Disk::Changed {
            let id = TemplateId::new();
            let order = TemplateOrder {
                id,
                name: format!("step.{id}"),
                source: TemplateSource::AsItIs,
                on_conflict: OnConflict::Refuse,
                origin: TemplateOrigin::Step(self.attempt.claim),
                defaults: None,
            };
            let intent = self.attempt.intent(Action::TemplateCreate);
            match plane.template_make(self.capsule.id, order, intent, KEPT_WITHIN).await {
                Ok(_) => self.kept = id,
                Err(error) => {
                    let (build, error) = (self.attempt.claim.build, &error as &dyn std::error::Error);
                    tracing::warn!(%build, error, "a step's disk is not kept");
                    return;
                }
            }
        }
        let (store, kept) = (&plane.parts.store, self.kept);
        until_answered("build_cache_put", || store.build_cache_put(key, kept)).await;
    }

    /// Waits until what was started is ready.
    pub(super) async fn check_health(
        &mut self,
        healthcheck: &Healthcheck,
        plan: &Plan,
    ) -> Result<(), AttemptError> {
        let number = plan.total_steps();
        self.log.step_begin(number, Phase::Healthcheck.as_str(), &healthcheck.command, false).await;
        let begun = self.attempt.clock().now();
        let mut lines = self.log.lines();
        let mut output = Output { log: self.log, lines: &mut lines, step: number };
        let checked = health::wait(self.capsule, healthcheck, plan, &mut output).await;
        let rest = lines.finish();
        self.log.add(number, rest).await;
        let (exit, outcome) = match checked {
            Ok(Verdict::Healthy) => (Some(0), Ok(())),
            Ok(Verdict::Unhealthy { exit, reason }) => {
                let reason = format!("healthcheck, {}: {reason}{}", healthcheck.command, quoted(&lines));
                (exit, Err(AttemptError::Final(reason)))
            }
            Err(error) => (None, Err(AttemptError::again("healthcheck")(error))),
        };
        self.log.step_end(number, step_end(self.attempt.clock().since(begun), exit, outcome.is_ok())).await;
        outcome
    }
}

/// Why a step failed.
struct Failure {
    exit: Option<i32>,
    reason: String,
    is_final: bool,
}

impl From<CapsuleError> for Failure {
    fn from(error: CapsuleError) -> Self {
        let is_final = matches!(error, CapsuleError::Refused(_));
        Self { exit: None, reason: error.to_string(), is_final }
    }
}

/// The end of what was printed, as part of an error.
fn quoted(lines: &StepLines) -> String {
    let last = lines.last_lines(ERROR_LINES);
    if last.is_empty() {
        return String::new();
    }
    let cut = |line: &&str| format!("\n  {}", line.chars().take(ERROR_LINE_CHARACTERS).collect::<String>());
    format!("; the last lines:{}", last.iter().map(cut).collect::<String>())
}

async fn act(
    capsule: &Capsule<'_>,
    archive: Option<&Archive>,
    step: &PlannedStep,
    output: &mut Output<'_>,
) -> Result<(Option<i32>, Disk), Failure> {
    match &step.action {
        StepAction::Nothing => Ok((None, Disk::AsBefore)),
        StepAction::Run { command, timeout_sec } => {
            let start = ExecStart { timeout_sec: *timeout_sec, ..shell(command, &step.context) };
            let exited = capsule.run(start, output).await?;
            match exited {
                Exited { code: 0, .. } => Ok((Some(0), Disk::Changed)),
                Exited { timed_out: true, code } => {
                    let reason =
                        format!("was ended after its time of {timeout_sec} s (RUN --timeout=… gives more)");
                    Err(Failure { exit: Some(code), reason, is_final: true })
                }
                Exited { code, .. } => {
                    Err(Failure { exit: Some(code), reason: format!("exit code {code}"), is_final: true })
                }
            }
        }
        StepAction::Start { command } => {
            let start = ExecStart {
                lifetime: Lifetime::Background.into(),
                timeout_sec: 0,
                ..shell(command, &step.context)
            };
            capsule.run(start, output).await?;
            Ok((None, Disk::Changed))
        }
        StepAction::User { name } => changed_by(capsule.run(script(USER_SCRIPT, &[name]), output).await?),
        StepAction::Workdir { path } => {
            let start = script(WORKDIR_SCRIPT, &[path, &step.context.user]);
            changed_by(capsule.run(start, output).await?)
        }
        StepAction::Copy { selection, target } => {
            let archive = archive.ok_or_else(|| Failure {
                exit: None,
                reason: "the build has no archive".to_owned(),
                is_final: true,
            })?;
            copy(capsule, archive, selection, target, step, output).await?;
            Ok((None, Disk::Changed))
        }
    }
}

/// What the end of a script of ours says.
fn changed_by(exited: Exited) -> Result<(Option<i32>, Disk), Failure> {
    match exited.code {
        0 => Ok((Some(0), Disk::Changed)),
        UNCHANGED => Ok((Some(0), Disk::AsBefore)),
        code => Err(Failure { exit: Some(code), reason: format!("exit code {code}"), is_final: true }),
    }
}

async fn copy(
    capsule: &Capsule<'_>,
    archive: &Archive,
    selection: &Selection,
    target: &Target,
    step: &PlannedStep,
    output: &mut Output<'_>,
) -> Result<(), CapsuleError> {
    let mut selection = selection.clone();
    let mut folder = target.folder.clone();
    if let (Some(name), Some(single)) = (&target.name, &selection.single) {
        let is_folder = capsule.run(script(r#"[ -d "$1" ]"#, &[&target.path()]), output).await?.code == 0;
        if is_folder {
            folder = target.path();
        } else {
            selection.names.insert(single.clone(), name.clone());
        }
    }
    capsule.unpack(&archive.file, &archive.contents, selection, &folder, &step.context.user).await
}
