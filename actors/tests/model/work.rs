//! The work on a machine: what goes on, in whose name, and what is done next. [`crate::steps`] does it.

use wrenn_agent::machines::fence::CommandKind;
use wrenn_domain::sandbox::state::Command;
use wrenn_proto::ids::TemplateId;

use crate::host::{Keeps, Rest};

/// A piece of work that goes on.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub(crate) struct Work {
    pub(crate) kind: WorkKind,
    /// What is done next.
    pub(crate) step: Step,
    pub(crate) generation: u64,
    pub(crate) overtaken_by_any: bool,
    pub(crate) overtaken_by_destroy: bool,
}

/// Who wants a piece of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum WorkKind {
    Command(Command),
    Upkeep,
    Sync,
}

/// One step of work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Step {
    StartRecord,
    StartVm,
    StartSettle,
    PauseRecord,
    PauseSuspend,
    PauseCommit,
    PauseKill,
    Sync,
    ResumeRecord {
        from: Rest,
    },
    ResumeLoad {
        from: Rest,
    },
    ResumeCommit {
        from: Rest,
    },
    ResumeRun,
    ResumeSettle,
    BootRecord {
        from: Rest,
    },
    BootDropRecord,
    BootDropFiles,
    BootVm,
    BootSettle,
    TakeBack,
    TemplateRecord {
        template: TemplateId,
        of: Rest,
    },
    TemplateSuspend {
        template: TemplateId,
    },
    TemplateClone {
        template: TemplateId,
        of: Rest,
    },
    TemplateRun {
        template: TemplateId,
    },
    TemplateFinish {
        template: TemplateId,
        of: Rest,
    },
    TemplateSettle {
        template: TemplateId,
        of: Rest,
    },
    ReleaseRecord {
        keeps: Keeps,
        failed: bool,
    },
    ReleaseSettle {
        failed: bool,
    },
    DestroyRecord,
    DestroyKill,
    DestroyBury,
    DestroyForget,
    Confirm,
    Refuse,
    RefuseAbsent,
    /// A machine that was being paused when the agent died.
    AdoptPausing,
    /// A machine of which a template was being made when the agent died.
    AdoptTemplate {
        template: TemplateId,
        of: Rest,
    },
}

impl Work {
    pub(crate) fn new(kind: WorkKind, step: Step, generation: u64) -> Self {
        Self { kind, step, generation, overtaken_by_any: false, overtaken_by_destroy: false }
    }

    /// Asks the work to give up in favour of such a command.
    pub(crate) fn ask(&mut self, command: CommandKind) {
        self.overtaken_by_any = true;
        self.overtaken_by_destroy |= command == CommandKind::Destroy;
    }

    /// Whether an inventory says that somebody works on the machine.
    pub(crate) fn is_announced(&self) -> bool {
        let is_first_of_a_command = matches!(
            self.step,
            Step::StartRecord
                | Step::PauseRecord
                | Step::ResumeRecord { .. }
                | Step::BootRecord { .. }
                | Step::TemplateRecord { .. }
                | Step::DestroyRecord
                | Step::Confirm
                | Step::Refuse
                | Step::RefuseAbsent
        );
        match self.kind {
            WorkKind::Command(_) => !is_first_of_a_command,
            WorkKind::Upkeep => true,
            WorkKind::Sync => false,
        }
    }

    /// Whether the next step is one that can fail by itself.
    pub(crate) fn can_fail(&self) -> bool {
        matches!(
            self.step,
            Step::StartVm
                | Step::PauseSuspend
                | Step::ResumeLoad { .. }
                | Step::BootVm
                | Step::TemplateSuspend { .. }
                | Step::TemplateClone { .. }
        )
    }
}

/// How a step goes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Luck {
    Good,
    Bad,
}
