//! The reconciler: what it reads, when, and what it hands to the actors.
//!
//! ```text
//!   look:    read the rows (baseline) ─▶ ask ─▶ inventory ─▶ read the rows ─▶ compare ─▶ mailboxes
//!   attach:                               hello, inventory ─▶ read the rows ─▶ compare ─▶ mailboxes
//! ```
//!
//! Every arrow takes time. The comparison is that of `host/inventory.rs`: only what was settled before the inventory
//! was taken can be said to be absent, and what has no row is removed after the database was asked again.

use wrenn_domain::{
    lifecycle::{End, Generation},
    sandbox::state::{Command, Input},
};

use crate::{
    bugs::Bug,
    host::Report,
    rules::{Rules, Witness},
    world::{Baseline, Frame, HostIx, Inventory, Look, Sent, Session, Told, World},
};

impl World {
    fn baseline(&self, host: HostIx) -> Baseline {
        let rows = self.on(host).map(|ix| (ix, &self.sandboxes[ix].row.lifecycle));
        let settled = rows.filter(|(_, life)| life.end != End::Reached && life.operation.is_none());
        settled.map(|(ix, life)| (ix, life.generation)).collect()
    }

    fn inventory(&self, host: HostIx) -> Inventory {
        let reports = self.on(host).map(|ix| (ix, self.sandboxes[ix].machine.report()));
        reports.filter_map(|(ix, report)| Some((ix, report?))).collect()
    }

    /// The server reads the rows, and asks the host.
    pub(crate) fn look(&mut self, host: HostIx) {
        self.hosts[host].look_due = false;
        self.hosts[host].look = Look::Asked(self.baseline(host));
    }

    /// The agent takes its inventory. Frames that it has sent are before it.
    pub(crate) fn answer_look(&mut self, host: HostIx) {
        if let Look::Asked(baseline) = std::mem::take(&mut self.hosts[host].look) {
            self.hosts[host].look = Look::Answered(baseline, self.inventory(host));
        }
    }

    /// Whether a machine ended before the inventory was taken that is on its way, and that was not heard yet.
    pub(crate) fn is_outrun(&self, host: HostIx) -> bool {
        self.on(host).any(|ix| {
            self.sandboxes[ix]
                .frames
                .iter()
                .any(|frame| matches!(frame, Frame::Exited { sent: Sent::Before, .. }))
        })
    }

    /// The inventory arrives.
    pub(crate) fn compare_look(&mut self, host: HostIx, rules: &Rules) {
        if let Look::Answered(baseline, inventory) = std::mem::take(&mut self.hosts[host].look) {
            self.compare(host, &baseline, &inventory, rules);
        }
        for ix in self.on(host) {
            for frame in &mut self.sandboxes[ix].frames {
                if let Frame::Exited { sent, .. } = frame {
                    *sent = Sent::Before;
                }
            }
        }
    }

    /// The agent takes its inventory, and dials.
    pub(crate) fn dial(&mut self, host: HostIx) {
        self.hosts[host].session = Session::Dialled(self.inventory(host));
    }

    /// The hello arrives: the rows themselves are what the inventory is compared with.
    pub(crate) fn attach(&mut self, host: HostIx, rules: &Rules) {
        if let Session::Dialled(inventory) = std::mem::replace(&mut self.hosts[host].session, Session::Up) {
            let baseline = self.baseline(host);
            self.hosts[host].look = Look::Idle;
            self.hosts[host].unreachable = false;
            self.compare(host, &baseline, &inventory, rules);
        }
    }

    fn compare(&mut self, host: HostIx, baseline: &Baseline, inventory: &Inventory, rules: &Rules) {
        for ix in self.on(host) {
            let listed = inventory.iter().find(|(listed, _)| *listed == ix).map(|(_, report)| *report);
            let sandbox = &mut self.sandboxes[ix];
            let life = &sandbox.row.lifecycle;
            let current = life.generation;
            if life.end == End::Reached {
                if let Some(report) = listed {
                    rules.saw(Witness::UnknownMachineRemoved);
                    let generation = current.max(Generation(report.generation)).next();
                    self.order(ix, generation.0, Command::Destroy);
                }
                continue;
            }
            let input = match listed {
                Some(Report { generation, machine, activity }) => {
                    let generation = match rules.bug {
                        Bug::ReportsOfAnyGeneration => current,
                        _ => Generation(generation),
                    };
                    let reason = String::new();
                    Some(Input::Reported { generation, machine, reason, activity })
                }
                None if baseline.contains(&(ix, current)) => Some(Input::NotReported { generation: current }),
                None => None,
            };
            sandbox.mailbox.push(Told { row: Some(life.clone()), input });
            if life.operation.is_some() {
                sandbox.mailbox.push(Input::TakeUp.into());
            }
        }
    }
}
