//! Builds: recipes that become templates.

pub mod copy;
pub mod plan;

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};

use crate::{
    ids::{BuildId, HostId, SandboxId, TeamId, TemplateId, UserId},
    word::words,
};

/// A key of the step cache: a hash of everything that led to a step's outcome.
pub type StepKey = [u8; 32];

words! {
    /// State of a build.
    BuildStatus, "build status" {
        /// The build waits for a worker.
        Pending = "pending",
        /// A worker works on it.
        Running = "running",
        /// Its template is ready.
        Success = "success",
        /// The build made no template.
        Failed = "failed",
        /// A client cancelled the build.
        Cancelled = "cancelled",
    }
}

impl BuildStatus {
    /// Returns true if nothing changes any more.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Success | Self::Failed | Self::Cancelled)
    }
}

words! {
    /// Stage of a running build.
    BuildStage, "build stage" {
        /// The attempt looks for known steps, and gets its capsule.
        Preparing = "preparing",
        /// The attempt carries out its steps.
        Steps = "steps",
        /// The attempt waits until what was started is ready.
        Healthcheck = "healthcheck",
        /// Its template is being made.
        Template = "template",
        /// A capsule is made of its template, to see that it works.
        Testing = "testing",
    }
}

/// Request for a build. Sizes must be within the range of an `i32`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BuildOrder {
    /// Team whose template it makes, and to which its capsules belong; the platform's team is one of them.
    pub team_id: TeamId,
    /// Name of the team's template that it makes; one that is there is replaced when it is ready.
    pub name: String,
    /// Name of the template with which the build begins: one of the team, else one of the platform.
    pub base_template: String,
    /// The recipe as it was sent, in parts of one or more lines.
    pub recipe: Vec<String>,
    /// Check that what was started is ready; with one, the template has memory.
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
    /// User who asked for the build.
    pub created_by: Option<UserId>,
}

/// A build that is taken in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewBuild {
    /// Its id.
    pub id: BuildId,
    /// The request.
    pub order: BuildOrder,
    /// Name of the archive in object storage.
    pub archive: Option<String>,
    /// Number of steps, those before and after the recipe included.
    pub total_steps: u32,
}

/// A build as it is stored.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Build {
    /// Its id.
    pub id: BuildId,
    /// The request.
    pub order: BuildOrder,
    /// Name of the archive in object storage; `None` if there is none, or the build has ended.
    pub archive: Option<String>,
    /// Number of steps, those before and after the recipe included.
    pub total_steps: u32,
    /// State of the build.
    pub status: BuildStatus,
    /// Stage of the attempt, while the build runs.
    pub stage: Option<BuildStage>,
    /// The step that it is at, counted from 1; 0 before the first.
    pub current_step: u32,
    /// Why it failed, or why it had to begin anew.
    pub error: Option<String>,
    /// The capsule in which it is, or was, built.
    pub sandbox_id: Option<SandboxId>,
    /// Host of that capsule.
    pub host_id: Option<HostId>,
    /// The template that it made.
    pub template_id: Option<TemplateId>,
    /// User of commands in capsules of its template that name none.
    pub default_user: String,
    /// Environment of every command in capsules of its template.
    pub default_env: BTreeMap<String, String>,
    /// Number of attempts so far.
    pub attempt: u32,
    /// When it was asked for.
    pub created_at: DateTime<Utc>,
    /// When it was taken up first.
    pub started_at: Option<DateTime<Utc>>,
    /// When it ended.
    pub completed_at: Option<DateTime<Utc>>,
}

/// Teams whose builds a server can carry out: their capsules have a place on hosts that are attached to it.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct BuildableTeams {
    /// True for all teams that run on the platform's hosts: one of them is attached.
    pub of_platform: bool,
    /// The teams whose own hosts are attached, for builds of those that run on their own hosts.
    pub with_own_hosts: Vec<TeamId>,
}

/// Attempt at a build.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Claim {
    /// Which build.
    pub build: BuildId,
    /// The number of the attempt, counted from 1.
    pub attempt: u32,
}

/// End of a build, as an attempt writes it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum BuildEnd {
    /// Its template is ready: either this one, which has been tested, or one that was ready already.
    Success(TemplateId),
    /// For this reason.
    Failed(String),
}

/// Step of a build, as it is logged.
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
    /// True if the step succeeded; `None` while it runs.
    pub ok: Option<bool>,
    /// Duration.
    pub elapsed_ms: u64,
    /// True if the outcome was known from an earlier build.
    pub cached: bool,
    /// When it began.
    pub started_at: DateTime<Utc>,
}

/// Bytes that an entry of the log has of each stream at most.
pub const ENTRY_STREAM_BYTES: usize = 16 * 1024;

/// Entry of a build's log: a step that has ended, and the end of its output.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LogEntry {
    /// The step.
    pub step: LoggedStep,
    /// End of its standard output, [`ENTRY_STREAM_BYTES`] at most.
    pub stdout: String,
    /// End of its standard error, [`ENTRY_STREAM_BYTES`] at most.
    pub stderr: String,
}

/// Joins the lines of a stream, and cuts them to their last [`ENTRY_STREAM_BYTES`], on the boundary of a character.
pub fn last_output<'a>(lines: impl IntoIterator<Item = &'a str>) -> String {
    let mut text = String::new();
    for line in lines {
        text.push_str(line);
        text.push('\n');
    }
    let cut = text.ceil_char_boundary(text.len().saturating_sub(ENTRY_STREAM_BYTES));
    text.split_off(cut)
}

/// End of a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct StepEnd {
    /// Exit code of its command.
    pub exit: Option<i32>,
    /// True if the step succeeded.
    pub ok: bool,
    /// Duration.
    pub elapsed_ms: u64,
}

words! {
    /// Stream on which a line was printed.
    LogStream, "log stream" {
        /// Standard output.
        Stdout = "stdout",
        /// Standard error.
        Stderr = "stderr",
    }
}

/// Line of output, without its end.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LoggedLine {
    /// Grows by the line, over all attempts.
    pub seq: u64,
    /// The step that printed it.
    pub step: u32,
    /// Stream on which it was printed.
    pub stream: LogStream,
    /// Text, without zero bytes.
    pub line: String,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_end_of_the_output_is_kept_and_no_character_is_halved() {
        assert_eq!(last_output([]), "");
        assert_eq!(last_output(["a", "", "b"]), "a\n\nb\n");
        let fits = "x".repeat(ENTRY_STREAM_BYTES - 1);
        assert_eq!(last_output([fits.as_str()]), format!("{fits}\n"));
        // Two bytes each: the cut is in the middle of one.
        let long = "ä".repeat(ENTRY_STREAM_BYTES);
        let kept = last_output(["first", long.as_str()]);
        assert_eq!(kept.len(), ENTRY_STREAM_BYTES - 1);
        assert!(kept.starts_with('ä') && kept.ends_with("ä\n"));
    }
}
