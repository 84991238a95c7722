//! The reconciler: what it reads, when, and what it hands to the actors.
//!
//! ```text
//!   look:    read the rows (baseline) ─▶ ask ─▶ inventory ─▶ read the rows ─▶ compare ─▶ mailboxes
//!   attach:                               hello, inventory ─▶ read the rows ─▶ compare ─▶ mailboxes
//! ```
//!
//! Every arrow takes time. The baseline, the comparison and the removal of unknown machines are the real ones
//! ([`wrenn_domain::sandbox::inventory`]).

use wrenn_domain::{
    lifecycle::{End, Lifecycle},
    sandbox::{
        inventory::{Comparison, Place, compare, removal_of_unknown},
        state::{Command, Input},
    },
};

use crate::{
    bugs::Bug,
    rules::{Rules, Witness},
    world::{Baseline, Frame, HostIx, Inventory, Look, SandboxIx, Sent, Session, Told, World},
};

impl World {
    /// Rows of a host's sandboxes that are not gone, as the store reads them.
    fn rows(&self, host: HostIx) -> impl Iterator<Item = (SandboxIx, &Lifecycle)> {
        let rows = self.on(host).map(|ix| (ix, &self.sandboxes[ix].row.lifecycle));
        rows.filter(|(_, lifecycle)| lifecycle.end != End::Reached)
    }

    fn baseline(&self, host: HostIx) -> Baseline {
        Baseline::of(self.rows(host), Vec::new())
    }

    fn inventory(&self, host: HostIx) -> Inventory {
        let listings = self.on(host).map(|ix| (ix, self.sandboxes[ix].machine.listing()));
        listings.filter_map(|(ix, listing)| Some((ix, listing?))).collect()
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
            self.compare(host, &baseline, inventory, rules);
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
            self.compare(host, &baseline, inventory, rules);
        }
    }

    fn compare(&mut self, host: HostIx, baseline: &Baseline, mut inventory: Inventory, rules: &Rules) {
        if rules.bug == Bug::ReportsOfAnyGeneration {
            for (ix, lifecycle) in self.rows(host) {
                inventory.entry(ix).and_modify(|listing| listing.generation = lifecycle.generation);
            }
        }
        let Comparison { rows, tell, unknown, strange } = compare(self.rows(host), inventory, baseline);
        assert!(strange.is_empty(), "agents of the model are of this version");
        for (ix, lifecycle) in rows {
            // The real one skips actors that do not live, which read their rows anyway.
            self.sandboxes[ix].mailbox.push(Told { row: Some(lifecycle), input: None });
        }
        for (ix, input) in tell {
            let mailbox = &mut self.sandboxes[ix].mailbox;
            match mailbox.last_mut() {
                // Handled as one with the row, which makes fewer worlds.
                Some(told) if told.input.is_none() && input != Input::TakeUp => told.input = Some(input),
                _ => mailbox.push(input.into()),
            }
        }
        for (ix, accepted) in unknown {
            let row = Some((Place::ThisHost, &self.sandboxes[ix].row.lifecycle));
            if let Some(generation) = removal_of_unknown(row, accepted) {
                rules.saw(Witness::UnknownMachineRemoved);
                self.order(ix, generation.0, Command::Destroy);
            }
        }
    }
}
