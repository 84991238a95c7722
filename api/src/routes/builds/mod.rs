//! Builds: recipes that become templates of a team, or of the platform.

pub(crate) mod cancel;
pub(crate) mod check;
pub(crate) mod create;
pub(crate) mod get;
pub(in crate::routes) mod intake;
pub(crate) mod list;
pub(crate) mod logs;
pub(in crate::routes) mod request;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Serialize;
use utoipa::ToSchema;
use wrenn_domain::build::{self, BuildStage, LoggedStep};

/// Builds of a page if the client does not say how many.
pub(in crate::routes) const DEFAULT_ROWS: u32 = 200;

/// Status of a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum BuildStatus {
    Pending,
    Running,
    Success,
    Failed,
    Cancelled,
}

impl From<build::BuildStatus> for BuildStatus {
    fn from(status: build::BuildStatus) -> Self {
        match status {
            build::BuildStatus::Pending => Self::Pending,
            build::BuildStatus::Running => Self::Running,
            build::BuildStatus::Success => Self::Success,
            build::BuildStatus::Failed => Self::Failed,
            build::BuildStatus::Cancelled => Self::Cancelled,
        }
    }
}

/// Stage of a running build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, ToSchema)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Stage {
    /// Looks up cached steps and gets a capsule.
    Preparing,
    Steps,
    Healthcheck,
    /// Makes the template.
    Template,
    /// Makes a capsule of the template, to check that it works.
    Testing,
}

impl From<BuildStage> for Stage {
    fn from(stage: BuildStage) -> Self {
        match stage {
            BuildStage::Preparing => Self::Preparing,
            BuildStage::Steps => Self::Steps,
            BuildStage::Healthcheck => Self::Healthcheck,
            BuildStage::Template => Self::Template,
            BuildStage::Testing => Self::Testing,
        }
    }
}

/// A build: a recipe that becomes a template of a team or of the platform.
#[derive(Debug, PartialEq, Serialize, ToSchema)]
pub(crate) struct Build {
    #[schema(example = "bld-01jx3m8k2vdqg5z7c9h4f6t8r")]
    id: String,
    /// The team whose template it makes.
    team_id: String,
    /// Name of the template that the build makes.
    name: String,
    base_template: String,
    recipe: Vec<String>,
    #[schema(required = true)]
    healthcheck: Option<String>,
    vcpus: u32,
    memory_mb: u32,
    disk_size_mb: u32,
    skip_pre_post: bool,
    no_cache: bool,
    status: BuildStatus,
    /// Present while the build is running.
    #[schema(required = true)]
    stage: Option<Stage>,
    /// Number of the current step, counted from 1 over all phases.
    current_step: u32,
    total_steps: u32,
    /// Output of each step. Lists have the steps that have ended, with the last 16 KB of each stream; events have none. Empty
    /// once the output was removed, 30 days after the build's end unless the operator has chosen another time.
    logs: Vec<LogEntry>,
    /// Reason for which the build failed, or began anew.
    #[schema(required = true)]
    error: Option<String>,
    /// The capsule in which the build runs, or ran.
    #[schema(required = true)]
    sandbox_id: Option<String>,
    #[schema(required = true)]
    host_id: Option<String>,
    /// The template that the build made.
    #[schema(required = true)]
    template_id: Option<String>,
    /// User of commands in the template's capsules that name none.
    default_user: String,
    /// Environment of every command in the template's capsules.
    default_env: BTreeMap<String, String>,
    /// Number of attempts; more than one if a host, capsule or server failed meanwhile.
    attempt: u32,
    created_at: DateTime<Utc>,
    #[schema(required = true)]
    started_at: Option<DateTime<Utc>>,
    #[schema(required = true)]
    completed_at: Option<DateTime<Utc>>,
}

impl From<build::Build> for Build {
    fn from(build: build::Build) -> Self {
        let order = build.order;
        Self {
            id: build.id.to_string(),
            team_id: order.team_id.to_string(),
            name: order.name,
            base_template: order.base_template,
            recipe: order.recipe,
            healthcheck: order.healthcheck,
            vcpus: order.vcpus,
            memory_mb: order.memory_mb,
            disk_size_mb: order.disk_size_mb,
            skip_pre_post: order.skip_pre_post,
            no_cache: order.no_cache,
            status: build.status.into(),
            stage: build.stage.map(Into::into),
            current_step: build.current_step,
            total_steps: build.total_steps,
            logs: Vec::new(),
            error: build.error,
            sandbox_id: build.sandbox_id.map(|id| id.to_string()),
            host_id: build.host_id.map(|id| id.to_string()),
            template_id: build.template_id.map(|id| id.to_string()),
            default_user: build.default_user,
            default_env: build.default_env,
            attempt: build.attempt,
            created_at: build.created_at,
            started_at: build.started_at,
            completed_at: build.completed_at,
        }
    }
}

impl Build {
    /// Returns a build as lists show it.
    pub(crate) fn listed((build, entries): (build::Build, Vec<build::LogEntry>)) -> Self {
        Self { logs: entries.into_iter().map(Into::into).collect(), ..build.into() }
    }
}

/// A step of a build, and its output.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, ToSchema)]
pub(crate) struct LogEntry {
    /// Number of the step, counted from 1 over all phases.
    step: u32,
    /// `pre-build`, `recipe`, `post-build` or `healthcheck`.
    #[schema(example = "recipe")]
    phase: String,
    /// The instruction as it was written.
    cmd: String,
    stdout: String,
    stderr: String,
    /// Null while it runs, and for a step that is no command.
    #[schema(required = true)]
    exit: Option<i32>,
    /// Null while it runs.
    #[schema(required = true)]
    ok: Option<bool>,
    elapsed_ms: u64,
    /// True if the outcome was known from an earlier build.
    cached: bool,
    started_at: DateTime<Utc>,
}

impl From<LoggedStep> for LogEntry {
    fn from(step: LoggedStep) -> Self {
        Self {
            step: step.step,
            phase: step.phase,
            cmd: step.cmd,
            stdout: String::new(),
            stderr: String::new(),
            exit: step.exit,
            ok: step.ok,
            elapsed_ms: step.elapsed_ms,
            cached: step.cached,
            started_at: step.started_at,
        }
    }
}

impl From<build::LogEntry> for LogEntry {
    fn from(build::LogEntry { step, stdout, stderr }: build::LogEntry) -> Self {
        Self { stdout, stderr, ..step.into() }
    }
}
