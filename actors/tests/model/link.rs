//! The link between server and agents, and what breaks: links, agents, servers, hosts.
//!
//! Frames and orders of a sandbox overtake each other, and any of them may come twice. What the end of a link loses
//! is lost; orders that the agent had read already are carried out all the same, perhaps much later.

use wrenn_domain::{
    lifecycle::{End, Generation},
    sandbox::state::{Input, Outcome},
};

use crate::{
    control::Fate,
    host::Outbox,
    rules::{Rules, Witness},
    work::Luck,
    world::{Actor, Frame, HostIx, Look, SandboxIx, Sent, Session, Told, World},
};

/// What becomes of something that is delivered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Delivery {
    Once,
    /// It will come again.
    Repeated,
}

/// What becomes of orders that were under way when a link ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Orders {
    Lost,
    /// The agent had read them.
    Late,
}

impl World {
    /// A frame of a host reaches the sandbox's actor.
    pub(crate) fn deliver(
        &mut self,
        ix: SandboxIx,
        frame: usize,
        delivery: Delivery,
        fate: Fate,
        rules: &Rules,
    ) -> bool {
        let frames = &mut self.sandboxes[ix].frames;
        let frame = match delivery {
            Delivery::Once => frames.remove(frame),
            Delivery::Repeated => frames[frame].clone(),
        };
        let input = match frame {
            Frame::Result { generation, outcome } => {
                Input::Finished { generation: Generation(generation), outcome }
            }
            Frame::Exited { generation, machine, .. } => {
                Input::Exited { generation: Generation(generation), machine, reason: String::new() }
            }
        };
        if let Input::Finished { outcome: Outcome::Failed { .. }, .. } = input {
            rules.saw(Witness::FailureTold);
        }
        let changed = self.handle(ix, &input, fate, rules);
        changed || (fate == Fate::Lives && delivery == Delivery::Once)
    }

    /// The actor handles the oldest of what it was told.
    pub(crate) fn handle_told(&mut self, ix: SandboxIx, fate: Fate, rules: &Rules) -> bool {
        let Told { row, input } = self.sandboxes[ix].mailbox.remove(0);
        if let Some(row) = row {
            self.recheck(ix, &row, rules);
        }
        let Some(input) = input else { return fate == Fate::Lives };
        let before = self.sandboxes[ix].row.lifecycle.status;
        let changed = self.handle(ix, &input, fate, rules);
        if self.sandboxes[ix].row.lifecycle.status != before && matches!(input, Input::Reported { .. }) {
            rules.saw(Witness::SettledByInventory);
        }
        changed || fate == Fate::Lives
    }

    /// Runs something on a machine, with its way to the server.
    fn at_machine(&mut self, ix: SandboxIx, act: impl FnOnce(&mut crate::host::Machine, &mut Outbox<'_>)) {
        let sandbox = &mut self.sandboxes[ix];
        let host = &self.hosts[sandbox.host];
        let sent = if matches!(host.look, Look::Answered(..)) { Sent::After } else { Sent::Before };
        let is_open = host.session != Session::Down;
        let mut outbox = Outbox { frames: &mut sandbox.frames, is_open, sent };
        act(&mut sandbox.machine, &mut outbox);
    }

    /// A command reaches its machine.
    pub(crate) fn receive(&mut self, ix: SandboxIx, order: usize, delivery: Delivery, rules: &Rules) {
        let orders = &mut self.sandboxes[ix].orders;
        let order = match delivery {
            Delivery::Once => orders.remove(order),
            Delivery::Repeated => orders[order],
        };
        self.at_machine(ix, |machine, outbox| machine.receive(order, outbox, rules));
    }

    /// The agent does the next step of the work on a machine.
    pub(crate) fn advance(&mut self, ix: SandboxIx, luck: Luck, rules: &Rules) {
        self.at_machine(ix, |machine, outbox| machine.advance(luck, outbox, rules));
    }

    /// A virtual machine dies by itself.
    pub(crate) fn vm_dies(&mut self, ix: SandboxIx) {
        let machine = &mut self.sandboxes[ix].machine;
        machine.vms.clear();
        machine.past.memory_forfeit = true;
    }

    /// The link to a host ends.
    pub(crate) fn link_breaks(&mut self, host: HostIx, orders: Orders) {
        self.hosts[host].session = Session::Down;
        self.hosts[host].look = Look::Idle;
        for ix in self.on(host) {
            self.sandboxes[ix].frames.clear();
            if orders == Orders::Lost {
                self.sandboxes[ix].orders.clear();
            }
        }
    }

    /// The host was not heard of for too long.
    pub(crate) fn host_is_unreachable(&mut self, host: HostIx) {
        self.hosts[host].unreachable = true;
        self.hosts[host].look_due = false;
        for ix in self.on(host) {
            let sandbox = &mut self.sandboxes[ix];
            if sandbox.row.lifecycle.end != End::Reached {
                sandbox.mailbox.push(Input::HostLost.into());
            }
        }
    }

    /// The server is killed, and another one begins.
    pub(crate) fn server_crashes(&mut self) {
        for host in 0..self.hosts.len() {
            self.link_breaks(host, Orders::Late);
            // The next server tells those again whose host it does not find.
            self.hosts[host].look_due = self.hosts[host].unreachable;
        }
        for sandbox in &mut self.sandboxes {
            sandbox.actor = Actor::Absent;
            sandbox.mailbox.clear();
        }
    }

    /// An agent is killed, and another one begins.
    pub(crate) fn agent_crashes(&mut self, host: HostIx) {
        self.link_breaks(host, Orders::Lost);
        for ix in self.on(host) {
            self.sandboxes[ix].machine.agent_restarts();
        }
    }

    /// A host loses its power and is started again.
    pub(crate) fn power_is_lost(&mut self, host: HostIx) {
        self.link_breaks(host, Orders::Lost);
        for ix in self.on(host) {
            self.sandboxes[ix].machine.power_is_lost();
        }
    }
}
