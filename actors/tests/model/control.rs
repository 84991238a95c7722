//! The control plane: rows, and the actors that write them, with the real state machine.
//!
//! The order of what `SandboxActor` does around [`step`] is the real one, too ([`wrenn_domain::sandbox::handling`]). Written
//! once more, without time, are reads and writes of the row, its fence, and what a follow-up does. Between a step, its
//! write and its follow-ups anything may die, see [`Fate`].

use wrenn_domain::{
    lifecycle::{End, Lifecycle},
    sandbox::{
        handling::{Commit, FollowUp, Reader, after_commit, after_load, step_for_request, without_commit},
        invariants::check_step,
        state::{Command, Input, Request, State, Step, TemplateEffect},
        step,
    },
};

use crate::{
    bugs::Bug,
    host::Order,
    rules::{Rules, Witness},
    world::{Actor, Row, Sandbox, SandboxIx, TemplateRow, World},
};

/// What becomes of an actor while it handles one input.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Fate {
    /// It handles it to the end.
    Lives,
    /// It panics before anything is written.
    DiesBeforeWrite,
    /// It panics after the write was committed, and before anything is sent.
    DiesAfterWrite,
    /// The server is killed while the write is on its way to the database, which may commit it much later.
    WriteLingers,
}

impl Fate {
    /// All there are.
    pub(crate) const ALL: [Self; 4] =
        [Self::Lives, Self::DiesBeforeWrite, Self::DiesAfterWrite, Self::WriteLingers];
}

impl Row {
    /// `UPDATE sandboxes … WHERE generation = … AND operation IS NOT DISTINCT FROM … AND destroyed_at IS NULL`.
    fn write(&mut self, write: &Commit, bug: Bug) -> bool {
        let Lifecycle { generation, operation, end, .. } = &self.lifecycle;
        let is_fenced = bug != Bug::UnfencedSettling || write.to.operation.is_some();
        let is_expected = (*generation, *operation) == (write.from.generation, write.from.operation)
            && *end != End::Reached;
        if is_fenced && !is_expected {
            return false;
        }
        self.lifecycle = write.to.clone();
        match write.template {
            Some(TemplateEffect::Begin(id)) => self.templates.push((id, TemplateRow::Making)),
            Some(TemplateEffect::Publish { template: id, .. }) => {
                self.templates
                    .iter_mut()
                    .filter(|row| row.0 == id)
                    .for_each(|row| row.1 = TemplateRow::Ready);
            }
            Some(TemplateEffect::Discard(id)) => self.templates.retain(|row| row.0 != id),
            None => {}
        }
        true
    }
}

impl World {
    /// Reads the row, as at the start of every incarnation.
    pub(crate) fn load(&mut self, ix: SandboxIx, rules: &Rules) {
        match self.sandboxes[ix].actor {
            Actor::Absent => self.loaded(ix, Reader::First, rules),
            Actor::Restarting => self.loaded(ix, Reader::Restarted, rules),
            Actor::Knows(_) => {}
        }
    }

    fn loaded(&mut self, ix: SandboxIx, reader: Reader, rules: &Rules) {
        let sandbox = &mut self.sandboxes[ix];
        let lifecycle = sandbox.row.lifecycle.clone();
        let follow_ups = after_load(Some(&lifecycle), reader);
        sandbox.actor = Actor::Knows(State::loaded(lifecycle));
        self.carry_out(ix, follow_ups, rules);
    }

    /// Lets an observation have its effect on the actor. Returns false if nothing changed.
    pub(crate) fn handle(&mut self, ix: SandboxIx, input: &Input, fate: Fate, rules: &Rules) -> bool {
        self.load(ix, rules);
        let Actor::Knows(state) = &self.sandboxes[ix].actor else { return false };
        let Ok(step) = step(state, input) else { return false };
        self.act(ix, step, fate, rules)
    }

    /// Lets a request have its effect on the actor. Returns false if nothing changed.
    pub(crate) fn operate(&mut self, ix: SandboxIx, request: Request, fate: Fate, rules: &Rules) -> bool {
        self.load(ix, rules);
        let is_online = self.is_online(self.sandboxes[ix].host);
        let Actor::Knows(state) = &self.sandboxes[ix].actor else { return false };
        let Ok(step) = step_for_request(state, request, is_online) else { return false };
        self.act(ix, step, fate, rules)
    }

    fn act(&mut self, ix: SandboxIx, step: Step, fate: Fate, rules: &Rules) -> bool {
        let Actor::Knows(state) = self.sandboxes[ix].actor.clone() else { return false };
        if fate == Fate::DiesBeforeWrite {
            self.actor_died(ix);
            return true;
        }
        self.note(check_step(&state, &step));
        let Some(commit) = Commit::of(&state, &step) else {
            if fate != Fate::Lives {
                // Where nothing is written these are deaths before, or after everything.
                return false;
            }
            let changed = step.next != state || !step.effects.is_empty();
            self.adopt(ix, without_commit(&step), step.next, rules);
            return changed;
        };
        let follow_ups = after_commit(&step);
        match fate {
            Fate::Lives if self.sandboxes[ix].row.write(&commit, rules.bug) => {
                self.adopt(ix, follow_ups, step.next, rules);
            }
            // Somebody else wrote the row.
            Fate::Lives | Fate::DiesBeforeWrite => self.actor_died(ix),
            Fate::DiesAfterWrite if rules.bug == Bug::SentBeforeCommit => {
                self.adopt(ix, follow_ups, step.next, rules);
                self.actor_died(ix);
            }
            Fate::DiesAfterWrite => {
                self.sandboxes[ix].row.write(&commit, rules.bug);
                self.actor_died(ix);
            }
            Fate::WriteLingers => {
                if self.sandboxes[ix].late_write.is_some() {
                    return false;
                }
                self.server_crashes();
                self.sandboxes[ix].late_write = Some(commit);
            }
        }
        true
    }

    /// Reads the row again if it is not what the actor knows: a write of an earlier incarnation may have arrived
    /// after this one had read it. No further inventory is requested, as if no incarnation had failed.
    pub(crate) fn recheck(&mut self, ix: SandboxIx, row: &Lifecycle, rules: &Rules) {
        let Sandbox { actor, row: committed, .. } = &self.sandboxes[ix];
        let is_other = |known: &Lifecycle| known != row && *known != committed.lifecycle;
        if matches!(actor, Actor::Knows(known) if is_other(&known.lifecycle)) {
            rules.saw(Witness::RowReadAgain);
            self.loaded(ix, Reader::First, rules);
        }
    }

    fn adopt(
        &mut self,
        ix: SandboxIx,
        follow_ups: impl IntoIterator<Item = FollowUp>,
        next: State,
        rules: &Rules,
    ) {
        self.sandboxes[ix].actor = Actor::Knows(next);
        self.carry_out(ix, follow_ups, rules);
    }

    fn carry_out(&mut self, ix: SandboxIx, follow_ups: impl IntoIterator<Item = FollowUp>, rules: &Rules) {
        let host = self.sandboxes[ix].host;
        for follow_up in follow_ups {
            match follow_up {
                FollowUp::Send(command) => self.send(ix, command),
                FollowUp::RequestInventory => self.hosts[host].look_due = true,
                FollowUp::TakeUp => {
                    self.handle(ix, &Input::TakeUp, Fate::Lives, rules);
                }
                // The inventory is one of those that nothing demands: from templates nothing about sandboxes follows.
                FollowUp::SweepTemplates => {}
                // The model has no room, no idle time and no waiters, and its actors do not end.
                FollowUp::Hold(_)
                | FollowUp::NoteUse
                | FollowUp::ForgetUse
                | FollowUp::AnswerWaiters
                | FollowUp::Linger => {}
            }
        }
    }

    /// Sends a command; a host that is away gets it when it is back.
    fn send(&mut self, ix: SandboxIx, command: Command) {
        let Sandbox { host, actor, .. } = &self.sandboxes[ix];
        if let Actor::Knows(known) = actor
            && self.is_online(*host)
        {
            self.order(ix, known.lifecycle.generation.0, command);
        }
    }

    /// Puts a command on its way.
    pub(crate) fn order(&mut self, ix: SandboxIx, generation: u64, command: Command) {
        let (orders, order) = (&mut self.sandboxes[ix].orders, Order { generation, command });
        if !orders.contains(&order) {
            orders.push(order);
            orders.sort_by_key(|order| order.generation);
        }
    }

    /// An incarnation fails, and what it was handling is lost.
    fn actor_died(&mut self, ix: SandboxIx) {
        self.sandboxes[ix].actor = Actor::Restarting;
    }

    /// The write of a dead server reaches the database.
    pub(crate) fn late_write_arrives(&mut self, ix: SandboxIx, rules: &Rules) {
        let sandbox = &mut self.sandboxes[ix];
        if let Some(write) = sandbox.late_write.take() {
            rules.saw(if sandbox.row.write(&write, rules.bug) {
                Witness::LateWriteCommitted
            } else {
                Witness::LateWriteRefused
            });
        }
    }
}
