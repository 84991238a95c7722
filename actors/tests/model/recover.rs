//! What is lost with an agent or with the power of its host, and what the next agent does about each record.
//!
//! The table is that of the agent's `machines/work/recover.rs`.

use crate::{
    host::{Agent, Fitting, Keeps, Machine, Phase, Record, Rest, Saved, Vcpus},
    work::{Step, Work, WorkKind},
};

impl Machine {
    /// The agent is killed, and another one begins.
    pub(crate) fn agent_restarts(&mut self) {
        let generation = self.record.as_ref().map(|record| record.generation);
        self.agent = Agent { accepted: self.tombstone.max(generation), ..Agent::default() };
        let Some(record) = &self.record else { return };
        let generation = record.generation;
        let lost = Step::ReleaseRecord { keeps: Keeps::Disk, failed: true };
        let step = match record.phase {
            _ if self.tombstone >= Some(generation) => Step::DestroyRecord,
            Phase::Running if self.vms.is_empty() => return self.clean_up(),
            Phase::Running | Phase::Stopped | Phase::Exited => return,
            Phase::Starting => Step::ReleaseRecord { keeps: Keeps::Nothing, failed: true },
            Phase::Pausing => Step::AdoptPausing,
            Phase::Paused(Saved::Unsound) => return self.clean_up(),
            Phase::Paused(_) if self.vms.is_empty() => return self.sync_if_paused(),
            Phase::Paused(_) => Step::PauseKill,
            Phase::Resuming { vcpus: Vcpus::MayHaveRun, .. } => Step::ResumeRun,
            Phase::Resuming { from: Rest::Paused(Saved::Unsound), .. } => lost,
            Phase::Resuming { .. } => Step::TakeBack,
            Phase::MakingTemplate { template, of } => Step::AdoptTemplate { template, of },
            Phase::Releasing(_) => Step::ReleaseSettle { failed: false },
            Phase::Destroying => Step::DestroyRecord,
        };
        self.agent.work = Some(Work::new(WorkKind::Upkeep, step, generation));
    }

    /// The host loses its power: nothing runs, and of saved memory only what was brought to the disk is left.
    pub(crate) fn power_is_lost(&mut self) {
        self.vms.clear();
        let unsound = |rest: &mut Rest| {
            if *rest == Rest::Paused(Saved::InPart) {
                *rest = Rest::Paused(Saved::Unsound);
            }
        };
        if let Some(Record { phase, .. }) = &mut self.record {
            match phase {
                Phase::Paused(saved @ Saved::InPart) => *saved = Saved::Unsound,
                Phase::Resuming { from: rest, .. } | Phase::MakingTemplate { of: rest, .. } => unsound(rest),
                _ => {}
            }
        }
        let saved = match self.record.as_ref().map(|record| record.phase) {
            Some(
                Phase::Paused(saved)
                | Phase::Resuming { vcpus: Vcpus::NotStarted, from: Rest::Paused(saved) }
                | Phase::MakingTemplate { of: Rest::Paused(saved), .. },
            ) => Some(saved),
            _ => None,
        };
        let is_whole = saved == Some(Saved::Whole);
        if !is_whole {
            self.past.memory_forfeit = true;
            if self.files.state.is_some() {
                self.files.state = Some(Fitting::RanOn);
            }
        }
        self.agent_restarts();
    }
}
