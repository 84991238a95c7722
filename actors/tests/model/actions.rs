//! What can happen in a world.
//!
//! *Inner* actions are what the system does by itself. *Outer* ones are done to it, and cost something of the world's
//! budget.

use wrenn_domain::lifecycle::End;

use crate::{
    client::Wish,
    control::Fate,
    link::{Delivery, Orders},
    rules::Rules,
    work::Luck,
    world::{Actor, Budget, Frame, HostIx, Look, SandboxIx, Sent, Session, World},
};

/// Everything that can happen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub(crate) enum Action {
    Ask(SandboxIx, Wish, Fate),
    /// The actor begins, or begins anew.
    Load(SandboxIx),
    Told(SandboxIx, Fate),
    Frame(SandboxIx, usize, Delivery, Fate),
    Order(SandboxIx, usize, Delivery),
    LateWrite(SandboxIx),
    Advance(SandboxIx, Luck),
    VmDies(SandboxIx),
    DeathNoticed(SandboxIx),
    Dial(HostIx),
    Attach(HostIx),
    Look(HostIx),
    Inventory(HostIx),
    Compare(HostIx),
    Unreachable(HostIx),
    LinkBreaks(HostIx, Orders),
    AgentCrashes(HostIx),
    PowerIsLost(HostIx),
    ServerCrashes,
}

impl Action {
    /// Whether it is paid for with a fault.
    pub(crate) fn is_fault(self) -> bool {
        match self {
            Self::Ask(_, _, fate) | Self::Told(_, fate) => fate != Fate::Lives,
            Self::Frame(_, _, delivery, fate) => fate != Fate::Lives || delivery == Delivery::Repeated,
            Self::Order(_, _, delivery) => delivery == Delivery::Repeated,
            Self::Advance(_, luck) => luck == Luck::Bad,
            Self::VmDies(_)
            | Self::LinkBreaks(..)
            | Self::AgentCrashes(_)
            | Self::PowerIsLost(_)
            | Self::ServerCrashes => true,
            _ => false,
        }
    }
}

impl World {
    /// What will happen if nothing is done to the system from outside.
    pub(crate) fn inner_actions(&self, actions: &mut Vec<Action>) {
        for (ix, sandbox) in self.sandboxes.iter().enumerate() {
            let host = &self.hosts[sandbox.host];
            if !matches!(sandbox.actor, Actor::Knows(_)) && sandbox.row.lifecycle.end != End::Reached {
                actions.push(Action::Load(ix));
            }
            if !sandbox.mailbox.is_empty() {
                actions.push(Action::Told(ix, Fate::Lives));
            } else if host.session == Session::Up {
                let is_next = |frame: &Frame| match frame {
                    Frame::Result { .. } => true,
                    Frame::Exited { sent, .. } => {
                        *sent == Sent::Before || !matches!(host.look, Look::Answered(..))
                    }
                };
                let frames = sandbox.frames.iter().enumerate().filter(|(_, frame)| is_next(frame));
                actions
                    .extend(frames.map(|(frame, _)| Action::Frame(ix, frame, Delivery::Once, Fate::Lives)));
            }
            actions.extend((0..sandbox.orders.len()).map(|order| Action::Order(ix, order, Delivery::Once)));
            if sandbox.late_write.is_some() {
                actions.push(Action::LateWrite(ix));
            }
            if sandbox.machine.agent.work.is_some() {
                actions.push(Action::Advance(ix, Luck::Good));
            }
            if sandbox.machine.died_unnoticed() {
                actions.push(Action::DeathNoticed(ix));
            }
        }
        for (ix, host) in self.hosts.iter().enumerate() {
            match host.session {
                Session::Down => actions.push(Action::Dial(ix)),
                Session::Dialled(_) => actions.push(Action::Attach(ix)),
                Session::Up => {}
            }
            match (&host.session, &host.look) {
                (Session::Down | Session::Dialled(_), _) if host.unreachable && host.look_due => {
                    // There is nothing to look at, so what is known of the host is told again.
                    actions.push(Action::Unreachable(ix));
                }
                (Session::Up, Look::Asked(_)) => actions.push(Action::Inventory(ix)),
                (Session::Up, Look::Answered(..)) if !self.is_outrun(ix) => actions.push(Action::Compare(ix)),
                (Session::Up, Look::Idle) if host.look_due => actions.push(Action::Look(ix)),
                _ => {}
            }
        }
    }

    /// What else can happen, once its budget is looked at.
    pub(crate) fn outer_actions(&self, wishes: &[Wish], actions: &mut Vec<Action>) {
        let inner = actions.clone();
        let Budget { requests, faults, looks } = self.budget;
        if requests > 0 {
            for ix in 0..self.sandboxes.len() {
                actions.extend(wishes.iter().map(|&wish| Action::Ask(ix, wish, Fate::Lives)));
            }
        }
        for (ix, host) in self.hosts.iter().enumerate() {
            if looks > 0 && host.session == Session::Up && host.look == Look::Idle && !host.look_due {
                actions.push(Action::Look(ix));
            }
            if host.session != Session::Up && !host.unreachable {
                actions.push(Action::Unreachable(ix));
            }
        }
        if faults == 0 {
            return;
        }
        let deaths = Fate::ALL.into_iter().filter(|&fate| fate != Fate::Lives);
        for fate in deaths {
            actions.extend(inner.iter().filter_map(|&action| match action {
                Action::Told(ix, _) => Some(Action::Told(ix, fate)),
                Action::Frame(ix, frame, delivery, _) => Some(Action::Frame(ix, frame, delivery, fate)),
                _ => None,
            }));
            if requests > 0 && fate != Fate::DiesBeforeWrite {
                for ix in 0..self.sandboxes.len() {
                    actions.extend(wishes.iter().map(|&wish| Action::Ask(ix, wish, fate)));
                }
            }
        }
        actions.extend(inner.iter().filter_map(|&action| match action {
            Action::Frame(ix, frame, _, fate) => Some(Action::Frame(ix, frame, Delivery::Repeated, fate)),
            Action::Order(ix, order, _) => Some(Action::Order(ix, order, Delivery::Repeated)),
            _ => None,
        }));
        for (ix, sandbox) in self.sandboxes.iter().enumerate() {
            if sandbox.machine.agent.work.as_ref().is_some_and(|work| work.can_fail()) {
                actions.push(Action::Advance(ix, Luck::Bad));
            }
            if !sandbox.machine.vms.is_empty() {
                actions.push(Action::VmDies(ix));
            }
        }
        for (ix, host) in self.hosts.iter().enumerate() {
            if host.session == Session::Up {
                actions.push(Action::LinkBreaks(ix, Orders::Lost));
                if self.on(ix).any(|sandbox| !self.sandboxes[sandbox].orders.is_empty()) {
                    actions.push(Action::LinkBreaks(ix, Orders::Late));
                }
            }
            actions.extend([Action::AgentCrashes(ix), Action::PowerIsLost(ix)]);
        }
        actions.push(Action::ServerCrashes);
    }

    /// Lets something happen. Returns false if nothing follows from it.
    pub(crate) fn happens(&mut self, action: Action, rules: &Rules) -> bool {
        match action {
            Action::Ask(ix, wish, fate) => return self.ask(ix, wish, fate, rules),
            Action::Load(ix) => self.load(ix, rules),
            Action::Told(ix, fate) => return self.handle_told(ix, fate, rules),
            Action::Frame(ix, frame, delivery, fate) => {
                return self.deliver(ix, frame, delivery, fate, rules);
            }
            Action::Order(ix, order, delivery) => self.receive(ix, order, delivery, rules),
            Action::LateWrite(ix) => self.late_write_arrives(ix, rules),
            Action::Advance(ix, luck) => self.advance(ix, luck, rules),
            Action::VmDies(ix) => self.vm_dies(ix),
            Action::DeathNoticed(ix) => self.sandboxes[ix].machine.clean_up(),
            Action::Dial(host) => self.dial(host),
            Action::Attach(host) => self.attach(host, rules),
            Action::Look(host) => self.look(host),
            Action::Inventory(host) => self.answer_look(host),
            Action::Compare(host) => self.compare_look(host, rules),
            Action::Unreachable(host) => self.host_is_unreachable(host),
            Action::LinkBreaks(host, orders) => self.link_breaks(host, orders),
            Action::AgentCrashes(host) => self.agent_crashes(host),
            Action::PowerIsLost(host) => self.power_is_lost(host),
            Action::ServerCrashes => self.server_crashes(),
        }
        true
    }
}
