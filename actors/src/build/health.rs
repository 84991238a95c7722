//! Whether what a build has started is ready, and whether its template works.

use std::time::Duration;

use tokio::time::timeout;
use wrenn_domain::{
    build::{
        Claim,
        plan::{Context, Plan},
    },
    recipe::Healthcheck,
};
use wrenn_proto::guest::ExecStart;

use super::{
    capsule::{Capsule, CapsuleError, Exited, Output, shell},
    lines::StepLines,
    log::BuildLog,
};

/// How long a command in a new capsule of the template may take.
const TRIED_WITHIN_SEC: u32 = 60;

/// What a healthcheck has come to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    Healthy,
    Unhealthy { exit: Option<i32>, reason: String },
}

/// Tries until the check succeeds, or has failed as often as it may.
pub(super) async fn wait(
    capsule: &Capsule<'_>,
    check: &Healthcheck,
    plan: &Plan,
    output: &mut Output<'_>,
) -> Result<Verdict, CapsuleError> {
    let clock = &capsule.plane.parts.clock;
    let begun = clock.now();
    let mut failures = 0;
    let mut tries = 0_u32;
    loop {
        tries += 1;
        let (exit, reason) = match try_once(capsule, check, plan, output).await? {
            Exited { code: 0, timed_out: false } => return Ok(Verdict::Healthy),
            Exited { timed_out: true, code } => (code, format!("no answer within {:?}", check.timeout)),
            Exited { code, .. } => (code, format!("exit code {code}")),
        };
        output.note(&format!("[try {tries}: {reason}]")).await;
        if clock.since(begun) >= check.start_period {
            failures += 1;
        }
        if failures >= check.retries || clock.since(begun) >= check.budget() {
            let reason = format!(
                "not ready after {tries} tries in {} s; the last: {reason}",
                clock.since(begun).as_secs()
            );
            return Ok(Verdict::Unhealthy { exit: Some(exit), reason });
        }
        clock.sleep(check.interval).await;
    }
}

async fn try_once(
    capsule: &Capsule<'_>,
    check: &Healthcheck,
    plan: &Plan,
    output: &mut Output<'_>,
) -> Result<Exited, CapsuleError> {
    let context = Context {
        user: plan.default_user.clone(),
        env: plan.default_env.clone(),
        workdir: plan.workdir.clone(),
    };
    // The guest counts whole seconds; what is shorter is counted here, and the command ended by leaving it.
    let timeout_sec = u32::try_from(check.timeout.as_millis().div_ceil(1000)).unwrap_or(u32::MAX);
    let start = ExecStart { timeout_sec, ..shell(&check.command, &context) };
    let limit = check.timeout + Duration::from_secs(5);
    match timeout(limit, capsule.run(start, output)).await {
        Ok(exited) => exited,
        Err(_) => Ok(Exited { code: 124, timed_out: true }),
    }
}

/// Tries what a user of the template would do first: a command as its user and, if something was started, whether that
/// still answers.
pub(super) async fn try_template(
    capsule: &Capsule<'_>,
    plan: &Plan,
    claim: Claim,
) -> Result<(), CapsuleError> {
    // What is printed here belongs to no step.
    let mut log = BuildLog::new(capsule.plane, claim);
    let mut lines = StepLines::new(0);
    let mut output = Output { log: &mut log, lines: &mut lines, step: 0 };
    let context = Context { user: plan.default_user.clone(), env: plan.default_env.clone(), workdir: None };
    let start = ExecStart { timeout_sec: TRIED_WITHIN_SEC, ..shell("true", &context) };
    let exited = capsule.run(start, &mut output).await?;
    if exited.code != 0 {
        let reason = format!("`true` as user {} ended with exit code {}", plan.default_user, exited.code);
        return Err(CapsuleError::Refused(reason));
    }
    let Some(check) = &plan.healthcheck else { return Ok(()) };
    // What has been ready has no time to become ready again.
    let check = Healthcheck { start_period: Duration::ZERO, ..check.clone() };
    match wait(capsule, &check, plan, &mut output).await? {
        Verdict::Healthy => Ok(()),
        Verdict::Unhealthy { reason, .. } => {
            Err(CapsuleError::Refused(format!("its healthcheck fails: {reason}")))
        }
    }
}
