//! Builds: recipes that become templates.

pub mod copy;
pub mod plan;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    ids::{BuildId, HostId, SandboxId, TemplateId, UserId},
    word::words,
};

/// A key of the step cache: a hash of everything that led to a step's outcome.
pub type StepKey = [u8; 32];

words! {
    /// Where a build stands.
    BuildStatus, "build status" {
        /// It waits for a worker.
        Pending = "pending",
        /// A worker works on it.
        Running = "running",
        /// Its template is ready.
        Success = "success",
        /// It made no template.
        Failed = "failed",
        /// Somebody did not want it any more.
        Cancelled = "cancelled",
    }
}

impl BuildStatus {
    /// Whether nothing changes any more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// What a running build is doing.
    BuildStage, "build stage" {
        /// It looks for what is there already, and gets its capsule.
        Preparing = "preparing",
        /// It carries out its steps.
        Steps = "steps",
        /// It waits until what was started is ready.
        Healthcheck = "healthcheck",
        /// Its template is being made.
        Template = "template",
        /// A capsule is made of its template, to see that it works.
        Testing = "testing",
    }
}

/// What a build is asked for. Sizes must be within the range of an `i32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOrder {
    /// Name of the platform's template that it makes; one that is there is replaced when it is ready.
    pub name: String,
    /// What it begins with: the name of a template of the platform.
    pub base_template: String,
    /// The recipe as it was sent, in parts of one or more lines.
    pub recipe: Vec<String>,
    /// How it is known that what was started is ready; with one, the template has memory.
    pub healthcheck: Option<String>,
    /// Processors.
    pub vcpus: u32,
    /// Memory.
    pub memory_mb: u32,
    /// Size of the disk on which it is built.
    pub disk_size_mb: u32,
    /// Leaves out what is done before and after every recipe.
    pub skip_pre_post: bool,
    /// Carries out every step, also those whose outcome is known.
    pub no_cache: bool,
    /// Who wants it.
    pub created_by: Option<UserId>,
}

/// A build that is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBuild {
    /// Its id.
    pub id: BuildId,
    /// What is asked for.
    pub order: BuildOrder,
    /// Where its archive is in object storage.
    pub archive: Option<String>,
    /// How many steps it has, those before and after the recipe included.
    pub total_steps: u32,
}

/// A build as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// What it was asked for.
    pub order: BuildOrder,
    /// Where its archive is in object storage; none if it has none, or has ended.
    pub archive: Option<String>,
    /// How many steps it has, those before and after the recipe included.
    pub total_steps: u32,
    /// Where it stands.
    pub status: BuildStatus,
    /// What it is doing, if it runs.
    pub stage: Option<BuildStage>,
    /// The step that it is at, counted from 1; 0 before the first.
    pub current_step: u32,
    /// Why it failed, or why it had to begin anew.
    pub error: Option<String>,
    /// The capsule in which it is, or was, built.
    pub sandbox_id: Option<SandboxId>,
    /// Where that is.
    pub host_id: Option<HostId>,
    /// The template that it made.
    pub template_id: Option<TemplateId>,
    /// User of commands in capsules of its template that name none.
    pub default_user: String,
    /// Environment of every command in capsules of its template.
    pub default_env: BTreeMap<String, String>,
    /// How often it was taken up.
    pub attempt: u32,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was taken up first.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// One attempt at a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which build.
    pub build: BuildId,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
}

/// How an attempt ends a build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEnd {
    /// Its template is ready: either this one, which has been tested, or one that was ready already.
    Success(TemplateId),
    /// For this reason.
    Failed(String),
}

/// One step of a build, as it is logged.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedStep {
    /// Its number, counted from 1 over all phases.
    pub step: u32,
    /// To which part of the build it belongs: `pre-build`, `recipe`, `post-build` or `healthcheck`.
    pub phase: String,
    /// As it was written.
    pub cmd: String,
    /// The exit code of its command; none while it runs, and for a step that is no command.
    pub exit: Option<i32>,
    /// Whether it succeeded; none while it runs.
    pub ok: Option<bool>,
    /// How long it took.
    pub elapsed_ms: u64,
    /// Whether its outcome was known already.
    pub cached: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// How a step ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepEnd {
    /// Exit code of its command.
    pub exit: Option<i32>,
    /// Whether it succeeded.
    pub ok: bool,
    /// How long it took.
    pub elapsed_ms: u64,
}

words! {
    /// Where a line was printed.
    LogStream, "log stream" {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

/// One line, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// Grows by the line, over all attempts.
    pub seq: u64,
    /// The step that printed it.
    pub step: u32,
    /// Where.
    pub stream: LogStream,
    /// What. No zero byte is in it.
    pub line: String,
}
