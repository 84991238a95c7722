//! The control plane: rows, and the actors that write them, with the real state machine.
//!
//! What `SandboxActor` does around [`step`] is written here once more, without time: read the row, take up what is in
//! flight, let an input have its effect, write, and only then adopt and send. Between these anything may die, see
//! [`Fate`].

use wrenn_domain::{
    lifecycle::{End, Lifecycle},
    sandbox::{
        invariants::check_step,
        state::{Command, Effect, Input, State, Step, TemplateEffect},
        step,
    },
};

use crate::{
    bugs::Bug,
    host::Order,
    rules::{Rules, Witness},
    world::{Row, Sandbox, SandboxIx, TemplateRow, TemplateWrite, World, Write},
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

/// The end of a template in the making, or its beginning, in the store's words.
fn template_write(effect: TemplateEffect) -> TemplateWrite {
    match effect {
        TemplateEffect::Begin(id) => TemplateWrite::Begin(id),
        TemplateEffect::Publish { template, .. } => TemplateWrite::Publish(template),
        TemplateEffect::Discard(id) => TemplateWrite::Discard(id),
    }
}

impl Row {
    /// `UPDATE sandboxes … WHERE generation = … AND operation IS NOT DISTINCT FROM … AND destroyed_at IS NULL`.
    fn write(&mut self, write: &Write, bug: Bug) -> bool {
        let Lifecycle { generation, operation, end, .. } = &self.lifecycle;
        let is_fenced = bug != Bug::UnfencedSettling || write.to.operation.is_some();
        let is_expected = (*generation, *operation) == (write.from.generation, write.from.operation)
            && *end != End::Reached;
        if is_fenced && !is_expected {
            return false;
        }
        self.lifecycle = write.to.clone();
        match write.template {
            Some(TemplateWrite::Begin(id)) => self.templates.push((id, TemplateRow::Making)),
            Some(TemplateWrite::Publish(id)) => {
                self.templates
                    .iter_mut()
                    .filter(|row| row.0 == id)
                    .for_each(|row| row.1 = TemplateRow::Ready);
            }
            Some(TemplateWrite::Discard(id)) => self.templates.retain(|row| row.0 != id),
            None => {}
        }
        true
    }
}

impl World {
    /// Reads the row, and takes up what is in flight; as at the start of every incarnation.
    pub(crate) fn load(&mut self, ix: SandboxIx, rules: &Rules) {
        let sandbox = &mut self.sandboxes[ix];
        if sandbox.actor.is_none() {
            sandbox.actor = Some(State::loaded(sandbox.row.lifecycle.clone()));
            self.handle(ix, &Input::TakeUp, Fate::Lives, rules);
        }
    }

    /// Lets an input have its effect on the actor. Returns false if nothing changed.
    pub(crate) fn handle(&mut self, ix: SandboxIx, input: &Input, fate: Fate, rules: &Rules) -> bool {
        self.load(ix, rules);
        let Some(state) = self.sandboxes[ix].actor.clone() else { return false };
        if fate == Fate::DiesBeforeWrite {
            self.actor_died(ix);
            return true;
        }
        let Ok(step) = step(&state, input) else { return false };
        self.note(check_step(&state, &step));
        if step.next.lifecycle == state.lifecycle {
            if fate != Fate::Lives {
                // Where nothing is written these are deaths before, or after everything.
                return false;
            }
            let changed = step.next != state || !step.effects.is_empty();
            self.adopt(ix, step);
            return changed;
        }
        let write = Write {
            from: state.lifecycle,
            to: step.next.lifecycle.clone(),
            template: step.template.map(template_write),
        };
        match fate {
            Fate::Lives if self.sandboxes[ix].row.write(&write, rules.bug) => self.adopt(ix, step),
            // Somebody else wrote the row.
            Fate::Lives | Fate::DiesBeforeWrite => self.actor_died(ix),
            Fate::DiesAfterWrite if rules.bug == Bug::SentBeforeCommit => {
                self.send(ix, &step);
                self.actor_died(ix);
            }
            Fate::DiesAfterWrite => {
                self.sandboxes[ix].row.write(&write, rules.bug);
                self.actor_died(ix);
            }
            Fate::WriteLingers => {
                if self.sandboxes[ix].late_write.is_some() {
                    return false;
                }
                self.server_crashes();
                self.sandboxes[ix].late_write = Some(write);
            }
        }
        true
    }

    /// Reads the row again if it is not what the actor knows: a write of an earlier incarnation may have arrived
    /// after this one had read it.
    pub(crate) fn recheck(&mut self, ix: SandboxIx, row: &Lifecycle, rules: &Rules) {
        let Sandbox { actor, row: committed, .. } = &self.sandboxes[ix];
        let is_other = |known: &Lifecycle| known != row && *known != committed.lifecycle;
        if actor.as_ref().is_some_and(|known| is_other(&known.lifecycle)) {
            rules.saw(Witness::RowReadAgain);
            self.sandboxes[ix].actor = None;
            self.load(ix, rules);
        }
    }

    fn adopt(&mut self, ix: SandboxIx, step: Step) {
        self.send(ix, &step);
        self.sandboxes[ix].actor = Some(step.next);
    }

    /// Sends the commands of a step; a host that is away gets them when it is back.
    fn send(&mut self, ix: SandboxIx, step: &Step) {
        if !self.is_online(self.sandboxes[ix].host) {
            return;
        }
        for effect in &step.effects {
            if let Effect::Send(command) = effect {
                self.order(ix, step.next.lifecycle.generation.0, *command);
            }
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

    /// The actor starts anew: what it was handling is lost, so it demands a look at the host.
    fn actor_died(&mut self, ix: SandboxIx) {
        let host = self.sandboxes[ix].host;
        self.sandboxes[ix].actor = None;
        self.hosts[host].look_due = true;
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
