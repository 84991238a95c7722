//! The steps of the work on a machine: after each of them the agent may be killed.
//!
//! ```text
//!   start     [Starting] ─ boot ─ [Running]
//!   pause     Pausing ─ suspend ─ [Paused] ─ kill, tell                        then: sync ─ [Paused, whole]
//!   resume    Resuming ─ load ─ [MayHaveRun] ─ run ─ [Running]
//!   boot      Resuming ─ [memory dropped] ─ remove memory ─ boot ─ [Running]
//!   template  MakingTemplate ─ suspend ─ clone ─ run ─ finish ─ [what it was]
//!   release   [Releasing] ─ kill, remove ─ [Stopped or Exited]
//!   destroy   [Destroying] ─ kill, remove ─ tombstone ─ no record
//! ```
//!
//! In brackets: the records that something depends on. The steps are those of the agent's `machines/work`, and the order of what is
//! written, done and told within one of them, too. Each of them goes well, or fails where a backend can, or finds that
//! the virtual machine has died, or that a later command has overtaken it.

use wrenn_domain::sandbox::state::{Command, Machine as State, Outcome};
use wrenn_proto::ids::TemplateId;

use crate::{
    bugs::Bug,
    host::{
        Content, Copied, Cpus, Fitting, Keeps, Machine, Outbox, Phase, Record, Rest, Saved, Vcpus, Vm,
        failed, started,
    },
    rules::{Rules, Witness},
    work::{Luck, Step, Work, WorkKind},
};

/// What comes after a step.
enum Then {
    Next(Step),
    Done,
}

/// One step of work on one machine.
struct At<'a, 'b> {
    machine: &'a mut Machine,
    work: Work,
    outbox: &'a mut Outbox<'b>,
    rules: &'a Rules,
}

impl Machine {
    /// Does the next step of the work in progress.
    pub(crate) fn advance(&mut self, luck: Luck, outbox: &mut Outbox<'_>, rules: &Rules) {
        let Some(work) = self.agent.work.clone() else { return };
        match (At { machine: self, work, outbox, rules }).go(luck) {
            Then::Next(step) => {
                if let Some(work) = &mut self.agent.work {
                    work.step = step;
                }
            }
            Then::Done => self.work_done(outbox, rules),
        }
    }

    pub(crate) fn set_cpus(&mut self, cpus: Cpus) {
        self.vms.iter_mut().for_each(|vm| vm.cpus = cpus);
        if cpus == Cpus::Running && self.files.state.is_some() {
            self.files.state = Some(Fitting::RanOn);
        }
    }

    fn remove_memory(&mut self) {
        self.files.memory = false;
        self.files.state = None;
    }
}

impl At<'_, '_> {
    fn go(&mut self, luck: Luck) -> Then {
        match self.work.step {
            Step::StartRecord | Step::StartVm | Step::StartSettle => self.start(luck),
            Step::PauseRecord | Step::PauseSuspend | Step::PauseCommit | Step::PauseKill | Step::Sync => {
                self.pause(luck)
            }
            Step::ResumeRecord { .. }
            | Step::ResumeLoad { .. }
            | Step::ResumeCommit { .. }
            | Step::ResumeRun
            | Step::ResumeSettle => self.resume(luck),
            Step::BootRecord { .. }
            | Step::BootDropRecord
            | Step::BootDropFiles
            | Step::BootVm
            | Step::BootSettle
            | Step::TakeBack => self.boot(luck),
            Step::TemplateRecord { .. }
            | Step::TemplateSuspend { .. }
            | Step::TemplateClone { .. }
            | Step::TemplateRun { .. }
            | Step::TemplateFinish { .. }
            | Step::TemplateSettle { .. } => self.template(luck),
            Step::ReleaseRecord { .. }
            | Step::ReleaseSettle { .. }
            | Step::DestroyRecord
            | Step::DestroyKill
            | Step::DestroyBury
            | Step::DestroyForget => self.release(),
            Step::Confirm | Step::Refuse | Step::RefuseAbsent => self.answer(),
            Step::AdoptPausing | Step::AdoptTemplate { .. } => self.adopt(),
        }
    }

    fn start(&mut self, luck: Luck) -> Then {
        let gives_up = luck == Luck::Bad || self.work.overtaken_by_any;
        match self.work.step {
            Step::StartRecord => {
                self.save(Phase::Starting, None);
                Then::Next(Step::StartVm)
            }
            Step::StartVm if !gives_up => {
                self.machine.files.disk = true;
                self.spawn(Cpus::Running, Fitting::Fits);
                Then::Next(Step::StartSettle)
            }
            Step::StartSettle if !gives_up && self.is_alive() => self.runs(),
            _ => Then::Next(Step::ReleaseRecord { keeps: Keeps::Nothing, failed: true }),
        }
    }

    fn pause(&mut self, luck: Luck) -> Then {
        match self.work.step {
            Step::PauseRecord => {
                self.save_step(Phase::Pausing);
                Then::Next(Step::PauseSuspend)
            }
            Step::PauseSuspend if luck == Luck::Good && self.is_alive() => {
                self.machine.set_cpus(Cpus::Stopped);
                self.machine.files.state = Some(Fitting::Fits);
                if self.rules.bug == Bug::KilledBeforePauseIsCommitted {
                    self.machine.vms.clear();
                }
                Then::Next(Step::PauseCommit)
            }
            Step::PauseCommit if !self.work.overtaken_by_destroy => {
                self.save(Phase::Paused(Saved::InPart), Some(Outcome::Paused));
                self.achieved();
                self.machine.past.memory_forfeit = false;
                self.rules.saw(Witness::Paused);
                Then::Next(Step::PauseKill)
            }
            Step::PauseKill => {
                self.machine.vms.clear();
                self.tell();
                Then::Done
            }
            Step::Sync => {
                if !self.work.overtaken_by_any {
                    let outcome = self.machine.record.as_ref().and_then(|record| record.outcome.clone());
                    self.save(Phase::Paused(Saved::Whole), outcome);
                }
                Then::Done
            }
            _ => self.go_on(Rest::Running),
        }
    }

    fn resume(&mut self, luck: Luck) -> Then {
        match self.work.step {
            Step::ResumeRecord { from } => {
                self.save_step(Phase::Resuming { vcpus: Vcpus::NotStarted, from });
                Then::Next(Step::ResumeLoad { from })
            }
            Step::ResumeLoad { .. } | Step::ResumeCommit { .. }
                if luck == Luck::Bad || self.work.overtaken_by_any =>
            {
                Then::Next(Step::TakeBack)
            }
            Step::ResumeLoad { from } => {
                let memory = match self.machine.files.state {
                    Some(fitting) if self.machine.files.memory && self.machine.files.disk => fitting,
                    _ => return Then::Next(Step::TakeBack),
                };
                self.spawn(Cpus::Stopped, memory);
                if self.rules.bug == Bug::RunsBeforeThatIsCommitted {
                    self.machine.set_cpus(Cpus::Running);
                }
                Then::Next(Step::ResumeCommit { from })
            }
            Step::ResumeCommit { from } => {
                self.save(Phase::Resuming { vcpus: Vcpus::MayHaveRun, from }, None);
                Then::Next(Step::ResumeRun)
            }
            _ if !self.is_alive() => Then::Next(Step::ReleaseRecord { keeps: Keeps::Disk, failed: true }),
            Step::ResumeRun => {
                self.machine.set_cpus(Cpus::Running);
                Then::Next(Step::ResumeSettle)
            }
            _ if self.work.overtaken_by_destroy => self.tell_overtaken(State::Running),
            _ => {
                self.rules.saw(Witness::Resumed);
                let then = self.runs();
                self.machine.files.state = None;
                then
            }
        }
    }

    fn boot(&mut self, luck: Luck) -> Then {
        let gives_up = luck == Luck::Bad || self.work.overtaken_by_any;
        match self.work.step {
            Step::BootRecord { from } => {
                self.save_step(Phase::Resuming { vcpus: Vcpus::NotStarted, from });
                Then::Next(if from == Rest::Stopped { Step::BootVm } else { Step::BootDropRecord })
            }
            Step::BootDropRecord if gives_up => Then::Next(Step::TakeBack),
            Step::BootDropRecord => {
                self.machine.past.memory_forfeit = true;
                self.save(Phase::Resuming { vcpus: Vcpus::NotStarted, from: Rest::Stopped }, None);
                Then::Next(Step::BootDropFiles)
            }
            Step::BootDropFiles => {
                self.machine.remove_memory();
                Then::Next(Step::BootVm)
            }
            Step::BootVm if !gives_up => {
                self.spawn(Cpus::Running, Fitting::Fits);
                Then::Next(Step::BootSettle)
            }
            Step::BootSettle if !gives_up && self.is_alive() => {
                self.rules.saw(Witness::BootedFromDisk);
                self.runs()
            }
            Step::TakeBack => {
                let from = match self.machine.record.as_ref().map(|record| record.phase) {
                    Some(Phase::Resuming { from, .. }) => from,
                    _ => Rest::Stopped,
                };
                self.machine.vms.clear();
                if from == Rest::Stopped {
                    self.machine.remove_memory();
                }
                self.settle_failed(from)
            }
            _ => Then::Next(Step::ReleaseRecord { keeps: Keeps::Disk, failed: true }),
        }
    }

    fn template(&mut self, luck: Luck) -> Then {
        let overtaken = self.work.overtaken_by_destroy;
        match self.work.step {
            Step::TemplateRecord { template, of } => {
                self.save_step(Phase::MakingTemplate { template, of });
                let is_cloned_running = self.rules.bug == Bug::ClonedWhileRunning;
                let stands_still = of != Rest::Running || self.flattens() || is_cloned_running;
                Then::Next(if stands_still {
                    Step::TemplateClone { template, of }
                } else {
                    Step::TemplateSuspend { template }
                })
            }
            Step::TemplateSuspend { template } if luck == Luck::Good && !overtaken && self.is_alive() => {
                // The device state goes into the draft.
                self.machine.set_cpus(Cpus::Stopped);
                Then::Next(Step::TemplateClone { template, of: Rest::Running })
            }
            Step::TemplateClone { template, of }
                if luck == Luck::Good && !overtaken && (of != Rest::Running || self.is_alive()) =>
            {
                let runs = self.machine.vms.iter().any(|vm| vm.cpus == Cpus::Running);
                let content = if runs && !self.flattens() { Content::Torn } else { Content::Whole };
                self.machine.draft = Some(Copied { template, content });
                let was_suspended = of == Rest::Running && !self.flattens();
                Then::Next(if was_suspended {
                    Step::TemplateRun { template }
                } else {
                    Step::TemplateFinish { template, of }
                })
            }
            Step::TemplateRun { template } if self.is_alive() => {
                self.machine.set_cpus(Cpus::Running);
                Then::Next(Step::TemplateFinish { template, of: Rest::Running })
            }
            Step::TemplateFinish { template, of } if !overtaken => {
                self.machine.templates.extend(self.machine.draft.take());
                self.achieved();
                self.rules.saw(Witness::TemplateMade);
                Then::Next(Step::TemplateSettle { template, of })
            }
            Step::TemplateSettle { template, of } => self.settle_made(template, of),
            Step::TemplateClone { of, .. } | Step::TemplateFinish { of, .. } => self.go_on(of),
            _ => self.go_on(Rest::Running),
        }
    }

    fn settle_made(&mut self, template: TemplateId, of: Rest) -> Then {
        let machine = Some(of.state());
        let made = Outcome::TemplateMade { template, size_bytes: 0, disk_size_mb: 0, machine };
        self.save(of.into(), Some(made));
        self.tell();
        Then::Done
    }

    /// Lets a machine be what it was when its state was not saved, or no template made of it.
    fn go_on(&mut self, of: Rest) -> Then {
        self.machine.draft = None;
        if of == Rest::Running {
            self.machine.files.state = None;
            if !self.is_alive() {
                return Then::Next(Step::ReleaseRecord { keeps: Keeps::Disk, failed: true });
            }
            self.machine.set_cpus(Cpus::Running);
        }
        if self.work.overtaken_by_destroy { self.tell_overtaken(of.state()) } else { self.settle_failed(of) }
    }

    fn release(&mut self) -> Then {
        match self.work.step {
            Step::ReleaseRecord { keeps, failed: is_failure } => {
                let phase = Phase::Releasing(keeps);
                let recorded = self.machine.record.as_ref().and_then(|record| record.outcome.clone());
                let outcome = if is_failure { Some(failed(phase.state())) } else { recorded };
                self.save(phase, outcome);
                Then::Next(Step::ReleaseSettle { failed: is_failure })
            }
            Step::ReleaseSettle { failed: is_failure } => {
                self.machine.vms.clear();
                self.machine.draft = None;
                self.machine.remove_memory();
                let recorded = self.machine.record.as_ref().and_then(|record| record.outcome.clone());
                let phase = match self.machine.record.as_ref().map(|record| record.phase) {
                    Some(Phase::Releasing(Keeps::Nothing)) => {
                        self.machine.files.disk = false;
                        Phase::Exited
                    }
                    _ => Phase::Stopped,
                };
                self.save(phase, recorded);
                if is_failure {
                    self.tell();
                } else {
                    self.outbox.ended(self.work.generation, phase.state());
                }
                Then::Done
            }
            Step::DestroyRecord => {
                self.save(Phase::Destroying, None);
                Then::Next(Step::DestroyKill)
            }
            Step::DestroyKill => {
                self.machine.vms.clear();
                self.machine.remove_memory();
                self.machine.files.disk = false;
                Then::Next(Step::DestroyBury)
            }
            Step::DestroyBury => {
                if self.rules.bug == Bug::ForgottenBeforeBuried {
                    self.machine.record = None;
                } else {
                    self.bury();
                }
                Then::Next(Step::DestroyForget)
            }
            _ => {
                self.machine.record = None;
                self.rules.saw(Witness::Destroyed);
                self.outbox.result(self.work.generation, Outcome::Destroyed);
                Then::Done
            }
        }
    }

    /// Commands that change nothing.
    fn answer(&mut self) -> Then {
        let state = self.machine.record.as_ref().map_or(State::Exited, |record| record.phase.state());
        let phase = self.machine.record.as_ref().map_or(Phase::Exited, |record| record.phase);
        let WorkKind::Command(command) = self.work.kind else { return Then::Done };
        let outcome = match (self.work.step, state) {
            (Step::RefuseAbsent, _) => {
                self.bury();
                self.machine.tell_absent(command, self.work.generation, self.outbox);
                return Then::Done;
            }
            (Step::Confirm, State::Running) => started(),
            (Step::Confirm, _) => Outcome::Paused,
            _ => failed(state),
        };
        self.save(phase, Some(outcome));
        self.tell();
        Then::Done
    }

    /// Takes machines over that an agent left in the middle of something.
    fn adopt(&mut self) -> Then {
        let lost = Then::Next(Step::ReleaseRecord { keeps: Keeps::Disk, failed: true });
        match self.work.step {
            Step::AdoptPausing if self.is_alive() => {
                self.machine.set_cpus(Cpus::Running);
                Then::Next(Step::PauseRecord)
            }
            Step::AdoptTemplate { template, of } if of != Rest::Running || self.is_alive() => {
                if of == Rest::Running {
                    self.machine.set_cpus(Cpus::Running);
                }
                let is_complete = self.machine.templates.iter().any(|made| made.template == template);
                let settled = if is_complete {
                    self.settle_made(template, of)
                } else {
                    self.machine.draft = None;
                    self.settle_failed(of)
                };
                if of == Rest::Paused(Saved::Unsound) {
                    return Then::Next(Step::ReleaseRecord { keeps: Keeps::Disk, failed: false });
                }
                settled
            }
            _ => lost,
        }
    }

    fn flattens(&self) -> bool {
        matches!(self.work.kind, WorkKind::Command(Command::Flatten(_)))
    }

    fn is_alive(&self) -> bool {
        !self.machine.vms.is_empty()
    }

    fn spawn(&mut self, cpus: Cpus, memory: Fitting) {
        self.machine.files.memory = true;
        self.machine.vms.push(Vm { cpus, memory });
    }

    /// Something was achieved in the name of the command that is carried out.
    fn achieved(&mut self) {
        let accepted = self.machine.agent.accepted.unwrap_or_default();
        self.machine.past.late_effect |= self.work.generation < accepted;
    }

    /// Settles a machine that runs, and tells it.
    fn runs(&mut self) -> Then {
        self.save(Phase::Running, Some(started()));
        self.achieved();
        self.machine.past.memory_forfeit = false;
        self.tell();
        Then::Done
    }

    fn settle_failed(&mut self, rest: Rest) -> Then {
        self.save(rest.into(), Some(failed(rest.state())));
        self.tell();
        Then::Done
    }

    /// Answers a command that a removal has overtaken. That is not written down.
    fn tell_overtaken(&mut self, state: State) -> Then {
        self.outbox.result(self.work.generation, failed(state));
        Then::Done
    }

    /// Writes the record of a command that is being carried out.
    fn save_step(&mut self, phase: Phase) {
        self.save(phase, None);
    }

    /// Writes a record, durably: the disk of a machine belongs to nobody without it.
    fn save(&mut self, phase: Phase, outcome: Option<Outcome>) {
        let generation = self.work.generation;
        self.machine.record = Some(Record { generation, phase, outcome });
        self.machine.past.highest = self.machine.past.highest.max(generation);
    }

    fn bury(&mut self) {
        let generation = self.work.generation;
        self.machine.tombstone = self.machine.tombstone.max(Some(generation));
        self.machine.past.highest = self.machine.past.highest.max(generation);
    }

    fn tell(&mut self) {
        if let Some(Record { generation, outcome: Some(outcome), .. }) = &self.machine.record {
            self.outbox.result(*generation, outcome.clone());
        }
    }
}
