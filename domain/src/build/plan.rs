//! The plan of a build: every step that it has, before any is carried out. No input or output.
//!
//! ```text
//!   pre-build ─ recipe ─ post-build ─▶ steps with the user, the environment and the folder that each has,
//!                                      and the key under which its outcome is known
//! ```
//!
//! A key is a hash of everything that leads to the disk after a step: the team, the base template, the size of the disk, every
//! instruction until then with its user, environment and folder, and what is copied. Steps after `START` have none, as
//! what runs changes the disk, too. With the team in it, no team reads or fills the cache of another one, or the platform's.

use std::{borrow::Cow, collections::BTreeMap};

use sha2::{Digest as _, Sha256};

use super::copy::{CopyError, Selection, Target, absolute, select};
use crate::{
    archive::{Entry, EntryDigest},
    build::StepKey,
    environment,
    ids::{TeamId, TemplateId},
    recipe::{Healthcheck, HealthcheckError, Instruction, Recipe, RecipeError, Step},
};

/// Done before every recipe that does not leave it out.
const PRE_BUILD: &str = "RUN apt-get update\nUSER wrenn-user\nWORKDIR /home/wrenn-user";
/// Done after it.
const POST_BUILD: &str = "RUN apt-get clean\nRUN rm -rf /var/lib/apt/lists/* /var/cache/apt/*.bin";
const ROOT: &str = "root";
/// Changed when the same steps lead to something else than before.
const KEY_VERSION: &str = "wrenn build 2";

/// Part of a build to which a step belongs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Phase {
    /// Fixed steps before the recipe.
    PreBuild,
    /// Steps of the recipe.
    Recipe,
    /// Fixed steps after the recipe.
    PostBuild,
    /// The healthcheck.
    Healthcheck,
}

impl Phase {
    /// The text in logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::PreBuild => "pre-build",
            Self::Recipe => "recipe",
            Self::PostBuild => "post-build",
            Self::Healthcheck => "healthcheck",
        }
    }
}

/// User, environment and folder of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Context {
    /// Name of the user.
    pub user: String,
    /// Every variable that the command sees.
    pub env: BTreeMap<String, String>,
    /// An absolute path; `None` is the user's home.
    pub workdir: Option<String>,
}

impl Context {
    /// Returns what a command in this context would see in a variable.
    fn value_of(&self, name: &str) -> Option<Cow<'_, str>> {
        let set = self.env.get(name).map(|value| value.into());
        set.or_else(|| environment::initial_value(&self.user, name))
    }
}

/// Work of a step.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum StepAction {
    /// Run a command and wait for it.
    Run {
        /// For a shell.
        command: String,
        /// Time limit in seconds.
        timeout_sec: u32,
    },
    /// Start a command that goes on running.
    Start {
        /// For a shell.
        command: String,
    },
    /// The plan itself has done it.
    Nothing,
    /// Make a folder.
    Workdir {
        /// An absolute path.
        path: String,
    },
    /// Make a user.
    User {
        /// Name of the user.
        name: String,
    },
    /// Copy entries of the archive.
    Copy {
        /// The entries.
        selection: Selection,
        /// Destination in the capsule.
        target: Target,
    },
}

/// A step, ready to be carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlannedStep {
    /// Part of the build.
    pub phase: Phase,
    /// The instruction as it was written.
    pub text: String,
    /// Work of the step.
    pub action: StepAction,
    /// Context after the step, for the instructions that change it.
    pub context: Context,
    /// Key of the step cache; `None` if the outcome depends on what runs.
    pub key: Option<StepKey>,
}

/// The base template, as far as the plan depends on it, and the team that builds on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Base {
    /// Team of the build.
    pub team_id: TeamId,
    /// Its id.
    pub id: TemplateId,
    /// User of its commands.
    pub default_user: String,
    /// Environment of its commands.
    pub default_env: BTreeMap<String, String>,
    /// Size of the disk on which the build works.
    pub disk_size_mb: u32,
}

/// Content of a build's archive.
#[derive(Debug, Clone, Default)]
pub struct ArchiveIndex {
    /// In the order of the archive.
    pub entries: Vec<Entry>,
    /// By path; empty where only the plan is checked.
    pub digests: std::collections::HashMap<String, EntryDigest>,
}

/// A whole build.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan {
    /// In their order, without the healthcheck.
    pub steps: Vec<PlannedStep>,
    /// The healthcheck, if the template has memory.
    pub healthcheck: Option<Healthcheck>,
    /// User of commands in capsules of the template.
    pub default_user: String,
    /// Environment of commands in capsules of the template.
    pub default_env: BTreeMap<String, String>,
    /// The folder in which the recipe ends, and the healthcheck is run.
    pub workdir: Option<String>,
    /// The key of a template without memory that this plan makes; none if something is started.
    pub result_key: Option<StepKey>,
}

/// Why a build cannot be carried out.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PlanError {
    /// The recipe is wrong.
    #[error("recipe: {0}")]
    Recipe(#[from] RecipeError),
    /// The healthcheck is wrong.
    #[error("healthcheck: {0}")]
    Healthcheck(#[from] HealthcheckError),
    /// An instruction of the recipe cannot be carried out.
    #[error("recipe: line {line}: {instruction}: {reason}")]
    Step {
        /// Its line.
        line: usize,
        /// Name of the instruction.
        instruction: &'static str,
        /// Why not.
        reason: String,
    },
    /// Something is copied, and no archive came.
    #[error("recipe: line {0}: COPY: the build has no archive; send one in the part `archive` of the form")]
    NoArchive(usize),
}

/// The part of a build request that the plan depends on.
#[derive(Debug, Clone, Copy)]
pub struct Order<'a> {
    /// The recipe as it was sent.
    pub recipe: &'a [String],
    /// The healthcheck as it was sent.
    pub healthcheck: Option<&'a str>,
    /// Leaves out the fixed steps.
    pub skip_pre_post: bool,
}

/// Makes the plan.
///
/// # Errors
/// See [`PlanError`]; it names the line.
pub fn plan(order: Order<'_>, base: &Base, archive: Option<&ArchiveIndex>) -> Result<Plan, PlanError> {
    let recipe = Recipe::parse(order.recipe.iter().map(String::as_str))?;
    let healthcheck = order.healthcheck.map(Healthcheck::parse).transpose()?;
    let mut planner = Planner::new(base, archive);
    if !order.skip_pre_post {
        planner.add_fixed(Phase::PreBuild, PRE_BUILD)?;
    }
    for step in &recipe.steps {
        planner.add(Phase::Recipe, step)?;
    }
    let Context { user, env, workdir } = planner.context.clone();
    if !order.skip_pre_post {
        planner.add_fixed(Phase::PostBuild, POST_BUILD)?;
    }
    let result_key = planner.key.map(|key| {
        let mut hash = Sha256::new();
        put(&mut hash, b"result");
        put(&mut hash, &key);
        put(&mut hash, user.as_bytes());
        put_env(&mut hash, &env);
        hash.finalize().into()
    });
    Ok(Plan { steps: planner.steps, healthcheck, default_user: user, default_env: env, workdir, result_key })
}

impl Plan {
    /// Returns true if anything is copied from an archive.
    pub fn copies_something(&self) -> bool {
        self.steps.iter().any(|step| matches!(step.action, StepAction::Copy { .. }))
    }

    /// Returns the number of steps that are logged, the healthcheck included.
    pub fn total_steps(&self) -> u32 {
        let steps = self.steps.len() + usize::from(self.healthcheck.is_some());
        u32::try_from(steps).unwrap_or(u32::MAX)
    }
}

struct Planner<'a> {
    archive: Option<&'a ArchiveIndex>,
    context: Context,
    /// None from the first `START` on.
    key: Option<StepKey>,
    steps: Vec<PlannedStep>,
}

impl<'a> Planner<'a> {
    fn new(base: &Base, archive: Option<&'a ArchiveIndex>) -> Self {
        let mut hash = Sha256::new();
        put(&mut hash, KEY_VERSION.as_bytes());
        put(&mut hash, base.team_id.0.as_bytes());
        put(&mut hash, base.id.0.as_bytes());
        put(&mut hash, &base.disk_size_mb.to_le_bytes());
        let context =
            Context { user: base.default_user.clone(), env: base.default_env.clone(), workdir: None };
        Self { archive, context, key: Some(hash.finalize().into()), steps: Vec::new() }
    }

    /// Adds steps of our own, whose commands are root's whatever the user is.
    fn add_fixed(&mut self, phase: Phase, text: &str) -> Result<(), PlanError> {
        for step in &Recipe::parse([text])?.steps {
            if matches!(step.instruction, Instruction::Run { .. }) {
                let root =
                    Context { user: ROOT.to_owned(), workdir: Some("/".to_owned()), ..self.context.clone() };
                let before = std::mem::replace(&mut self.context, root);
                let added = self.add(phase, step);
                self.context = before;
                added?;
            } else {
                self.add(phase, step)?;
            }
        }
        Ok(())
    }

    fn add(&mut self, phase: Phase, step: &Step) -> Result<(), PlanError> {
        let (name, action) = self.action(step).map_err(|fault| match fault {
            StepFault::NoArchive => PlanError::NoArchive(step.line),
            StepFault::Other(instruction, reason) => PlanError::Step { line: step.line, instruction, reason },
        })?;
        if matches!(action, StepAction::Start { .. }) {
            self.key = None;
        }
        self.key = self.key.map(|key| self.key_after(key, name, &action));
        let (text, context) = (step.text.clone(), self.context.clone());
        self.steps.push(PlannedStep { phase, text, action, context, key: self.key });
        Ok(())
    }

    /// Returns the work of a step; the context becomes what it is after it.
    fn action(&mut self, step: &Step) -> Result<(&'static str, StepAction), StepFault> {
        Ok(match &step.instruction {
            Instruction::Run { command, timeout } => {
                let timeout_sec = u32::try_from(timeout.as_secs()).unwrap_or(u32::MAX);
                ("RUN", StepAction::Run { command: command.clone(), timeout_sec })
            }
            Instruction::Start { command } => ("START", StepAction::Start { command: command.clone() }),
            Instruction::Env { variables } => {
                for (name, value) in variables {
                    let value = value.expand(|name| self.context.value_of(name));
                    self.context.env.insert(name.clone(), value);
                }
                environment::check(&self.context.env, environment::Scope::Stored)
                    .map_err(|error| StepFault::Other("ENV", format!("the variables {error}")))?;
                ("ENV", StepAction::Nothing)
            }
            Instruction::Workdir { path } => {
                let path = self.resolve("WORKDIR", &path.expand(|name| self.context.value_of(name)))?;
                self.context.workdir = Some(path.clone());
                ("WORKDIR", StepAction::Workdir { path })
            }
            Instruction::User { name } => {
                self.context.user.clone_from(name);
                ("USER", StepAction::User { name: name.clone() })
            }
            Instruction::Copy { sources, target } => {
                let archive = self.archive.ok_or(StepFault::NoArchive)?;
                let sources: Vec<String> =
                    sources.iter().map(|source| source.expand(|name| self.context.value_of(name))).collect();
                for source in &sources {
                    check_source(source).map_err(|reason| StepFault::Other("COPY", reason))?;
                }
                let selection = select(&archive.entries, &sources)
                    .map_err(|error: CopyError| StepFault::Other("COPY", error.to_string()))?;
                let written = target.expand(|name| self.context.value_of(name));
                let base = if written.starts_with('/') { "/" } else { self.workdir("COPY", &written)? };
                let target = Target::of(base, &written, selection.single.is_none());
                ("COPY", StepAction::Copy { selection, target })
            }
        })
    }

    fn resolve(&self, instruction: &'static str, path: &str) -> Result<String, StepFault> {
        if path.is_empty() {
            return Err(StepFault::Other(
                instruction,
                "the path is empty; is a variable not set?".to_owned(),
            ));
        }
        let base = if path.starts_with('/') { "/" } else { self.workdir(instruction, path)? };
        Ok(absolute(base, path))
    }

    /// The folder in which relative paths begin.
    fn workdir(&self, instruction: &'static str, path: &str) -> Result<&str, StepFault> {
        self.context.workdir.as_deref().ok_or_else(|| {
            let reason =
                format!("`{path}` is relative, and no WORKDIR comes before it; write an absolute path");
            StepFault::Other(instruction, reason)
        })
    }

    fn key_after(&self, before: StepKey, name: &str, action: &StepAction) -> StepKey {
        let mut hash = Sha256::new();
        put(&mut hash, &before);
        put(&mut hash, name.as_bytes());
        put(&mut hash, self.context.user.as_bytes());
        put(&mut hash, self.context.workdir.as_deref().unwrap_or_default().as_bytes());
        put_env(&mut hash, &self.context.env);
        match action {
            // How long it may take does not matter once it has succeeded.
            StepAction::Run { command, .. } | StepAction::Start { command } => {
                put(&mut hash, command.as_bytes())
            }
            StepAction::Nothing => {}
            StepAction::Workdir { path } => put(&mut hash, path.as_bytes()),
            StepAction::User { name } => put(&mut hash, name.as_bytes()),
            StepAction::Copy { selection, target } => {
                put(&mut hash, target.path().as_bytes());
                put(&mut hash, &[u8::from(target.name.is_some())]);
                for (from, to) in &selection.names {
                    put(&mut hash, to.as_bytes());
                    let digest = self.archive.and_then(|archive| archive.digests.get(from));
                    put(&mut hash, digest.map_or(&[], EntryDigest::as_slice));
                }
            }
        }
        hash.finalize().into()
    }
}

enum StepFault {
    NoArchive,
    Other(&'static str, String),
}

fn check_source(source: &str) -> Result<(), String> {
    if source.is_empty() {
        return Err("a source is empty; is a variable not set?".to_owned());
    }
    if source.starts_with('/') || source.split('/').any(|part| part == "..") {
        return Err(format!("`{source}` leaves the archive; sources are paths within it"));
    }
    Ok(())
}

/// With its length, so that no two lists of texts make the same hash.
fn put(hash: &mut Sha256, bytes: &[u8]) {
    hash.update((bytes.len() as u64).to_le_bytes());
    hash.update(bytes);
}

fn put_env(hash: &mut Sha256, env: &BTreeMap<String, String>) {
    hash.update((env.len() as u64).to_le_bytes());
    for (name, value) in env {
        put(hash, name.as_bytes());
        put(hash, value.as_bytes());
    }
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;
    use crate::archive::Kind;

    fn base() -> Base {
        Base {
            team_id: TeamId::PLATFORM,
            id: TemplateId(Uuid::from_u128(1)),
            default_user: "root".into(),
            default_env: BTreeMap::from([("LANG".into(), "C.UTF-8".into())]),
            disk_size_mb: 5120,
        }
    }

    fn index(content: u8) -> ArchiveIndex {
        let kind = Kind::File { size_bytes: 1, is_executable: false };
        let entry = |path: &str| Entry { path: path.to_owned(), kind: kind.clone() };
        ArchiveIndex {
            entries: vec![entry("a"), entry("b")],
            digests: [("a".to_owned(), [content; 32]), ("b".to_owned(), [7; 32])].into(),
        }
    }

    fn planned(recipe: &str, archive: Option<&ArchiveIndex>) -> Result<Plan, PlanError> {
        let recipe = [recipe.to_owned()];
        plan(Order { recipe: &recipe, healthcheck: None, skip_pre_post: true }, &base(), archive)
    }

    fn keys(recipe: &str, archive: Option<&ArchiveIndex>) -> Vec<Option<StepKey>> {
        planned(recipe, archive).unwrap().steps.into_iter().map(|step| step.key).collect()
    }

    #[test]
    fn every_step_has_what_the_ones_before_it_have_set() {
        let plan = planned(
            "ENV A=1\nENV B=${A}2 C='$A'\nWORKDIR /srv/$B\nWORKDIR x\nUSER me\nRUN make\nCOPY a to",
            Some(&index(0)),
        )
        .unwrap();
        let last = plan.steps.last().unwrap();
        assert_eq!((last.context.user.as_str(), last.context.workdir.as_deref()), ("me", Some("/srv/12/x")));
        assert_eq!((last.context.env["B"].as_str(), last.context.env["C"].as_str()), ("12", "$A"));
        assert_eq!((plan.default_user.as_str(), plan.default_env["LANG"].as_str()), ("me", "C.UTF-8"));
        assert!(matches!(&last.action, StepAction::Copy { target, .. } if target.path() == "/srv/12/x/to"));
        assert_eq!(plan.total_steps(), 7);
    }

    #[test]
    fn variables_that_nobody_set_are_what_a_command_sees() {
        let recipe = "ENV PATH=/opt/tool/bin:$PATH\nENV NOTE=$HOME:$USER:$NONE\nUSER me\nENV PATH=$PATH:$HOME/bin\nWORKDIR $HOME/src";
        let plan = planned(recipe, None).unwrap();
        let default = environment::DEFAULT_PATH;
        assert_eq!(plan.default_env["PATH"], format!("/opt/tool/bin:{default}:/home/me/bin"));
        assert_eq!(plan.default_env["NOTE"], "/root:root:");
        assert_eq!(plan.workdir.as_deref(), Some("/home/me/src"));
    }

    #[test]
    fn what_comes_before_and_after_is_roots_and_changes_no_default() {
        let recipe = ["RUN id".to_owned()];
        let order = Order { recipe: &recipe, healthcheck: Some("true"), skip_pre_post: false };
        let plan = plan(order, &Base { default_user: "somebody".into(), ..base() }, None).unwrap();
        let steps: Vec<_> =
            plan.steps.iter().map(|step| (step.phase.as_str(), step.context.user.as_str())).collect();
        assert_eq!(
            steps,
            [
                ("pre-build", "root"),
                ("pre-build", "wrenn-user"),
                ("pre-build", "wrenn-user"),
                ("recipe", "wrenn-user"),
                ("post-build", "root"),
                ("post-build", "root")
            ]
        );
        assert_eq!(plan.steps[3].context.workdir.as_deref(), Some("/home/wrenn-user"));
        assert_eq!(plan.workdir.as_deref(), Some("/home/wrenn-user"));
        assert_eq!((plan.default_user.as_str(), plan.total_steps()), ("wrenn-user", 7));
    }

    #[test]
    fn a_change_changes_its_own_key_and_all_that_follow() {
        let same = |one: &str, two: &str, archives: [u8; 2]| -> Vec<bool> {
            let (one, two) = (keys(one, Some(&index(archives[0]))), keys(two, Some(&index(archives[1]))));
            one.iter().zip(&two).map(|(one, two)| one == two).collect()
        };
        let recipe = "RUN a\nENV X=1\nWORKDIR /w\nCOPY a .\nRUN b";
        assert_eq!(same(recipe, recipe, [0, 0]), [true; 5]);
        assert_eq!(same(recipe, recipe, [0, 1]), [true, true, true, false, false]);
        assert_eq!(
            same(recipe, "RUN a\nENV X=2\nWORKDIR /w\nCOPY a .\nRUN b", [0, 0]),
            [true, false, false, false, false]
        );
        assert_eq!(
            same(recipe, "RUN a\nENV X=1\nWORKDIR /w\nCOPY a .\nRUN c", [0, 0]),
            [true, true, true, true, false]
        );
        assert_eq!(same("USER me\nRUN a", "USER you\nRUN a", [0, 0]), [false, false]);
        assert_eq!(same("COPY b /x\nRUN a", "COPY b /x/\nRUN a", [0, 0]), [false, false]);
        // What nothing is copied of does not matter; nor does how long a command may take, or a comment.
        assert_eq!(same("COPY b /x", "COPY b /x", [0, 1]), [true]);
        assert_eq!(same("RUN a", "# first\nRUN --timeout=5s a", [0, 0]), [true]);
    }

    #[test]
    fn a_base_or_disk_of_another_size_is_another_beginning() {
        let recipe = ["RUN a".to_owned()];
        let key = |base: &Base| {
            let order = Order { recipe: &recipe, healthcheck: None, skip_pre_post: true };
            plan(order, base, None).unwrap().steps[0].key
        };
        assert_ne!(key(&base()), key(&Base { id: TemplateId(Uuid::from_u128(2)), ..base() }));
        assert_ne!(key(&base()), key(&Base { disk_size_mb: 9000, ..base() }));
        let of_team = |team| Base { team_id: TeamId(Uuid::from_u128(team)), ..base() };
        assert_ne!(key(&base()), key(&of_team(1)));
        assert_ne!(key(&of_team(1)), key(&of_team(2)));
    }

    #[test]
    fn nothing_is_known_of_what_follows_a_start() {
        let plan = planned("RUN a\nSTART serve\nRUN b", None).unwrap();
        assert_eq!(
            plan.steps.iter().map(|step| step.key.is_some()).collect::<Vec<_>>(),
            [true, false, false]
        );
        assert_eq!(plan.result_key, None);
        assert!(planned("RUN a", None).unwrap().result_key.is_some());
        assert_ne!(
            planned("RUN a", None).unwrap().result_key,
            planned("RUN a\nENV A=1", None).unwrap().result_key
        );
    }

    #[test]
    fn what_cannot_be_carried_out_is_said_with_its_line() {
        let index = index(0);
        for (recipe, archive, words) in [
            ("\nWORKDIR app", None, ["line 2", "WORKDIR", "absolute"]),
            ("COPY a b", Some(&index), ["line 1", "COPY", "absolute"]),
            ("RUN x\nCOPY a /b", None, ["line 2", "COPY", "archive"]),
            ("COPY c /b", Some(&index), ["line 1", "COPY", "`c`"]),
            (
                &format!("ENV E={}\nENV F=$E$E", "v".repeat(70_000)),
                None,
                ["line 2", "ENV", "`F` must have at most 131070 bytes"],
            ),
            ("ENV E=\nWORKDIR $E", None, ["line 2", "WORKDIR", "empty"]),
            ("ENV E=../x\nCOPY $E /b", Some(&index), ["line 2", "COPY", "leaves"]),
            ("RUN x\nFLY", None, ["line 2", "FLY", "no instruction"]),
        ] {
            let error = planned(recipe, archive).unwrap_err().to_string();
            assert!(words.iter().all(|word| error.contains(word)), "{recipe}: {error}");
        }
    }
}
