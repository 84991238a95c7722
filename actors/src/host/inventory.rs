//! Comparing what a host has with what the database says it should have.

use std::collections::BTreeMap;

use wrenn_proto::{agent, ids::SandboxId};
use wrenn_store::{lifecycle::Generation, sandboxes::Sandbox};

use crate::sandbox::state::{Activity, Input, Machine};

/// One entry of an inventory.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Entry {
    generation: Generation,
    /// None if the agent does not say, or in a word of another version.
    machine: Option<Machine>,
    reason: String,
    activity: Activity,
}

/// What follows from a comparison.
#[derive(Debug, Default, PartialEq, Eq)]
pub(crate) struct Comparison {
    /// What the sandboxes' actors are to be told, in this order.
    pub(crate) tell: Vec<(SandboxId, Input)>,
    /// Machines without a row on this host, and the highest generation that they have accepted.
    pub(crate) unknown: Vec<(SandboxId, Generation)>,
}

/// Reads the wire's inventory; entries that make no sense are left out, and logged.
pub(crate) fn read(inventory: agent::Inventory) -> BTreeMap<SandboxId, Entry> {
    let entries = inventory.machines.into_iter().filter_map(|report| {
        let Ok(id) = report.sandbox_id.parse::<SandboxId>() else {
            tracing::warn!(id = report.sandbox_id, "an inventory lists a machine with a strange id");
            return None;
        };
        let entry = Entry {
            generation: Generation(report.generation),
            machine: Machine::from_wire(report.state()),
            reason: report.reason,
            activity: if report.busy { Activity::Busy } else { Activity::Idle },
        };
        Some((id, entry))
    });
    entries.collect()
}

/// What certainly was on the host when an inventory was taken, if it exists at all: the sandboxes that were
/// settled before, by their generations. Only of those an inventory can say that they are absent.
pub(crate) type Baseline = BTreeMap<SandboxId, Generation>;

/// Returns the baseline of an inventory that is taken after these rows were read.
pub(crate) fn baseline(rows: &[Sandbox]) -> Baseline {
    let settled = rows.iter().filter(|row| row.lifecycle.operation.is_none());
    settled.map(|row| (row.id, row.lifecycle.generation)).collect()
}

/// Compares an inventory with the host's sandboxes that are not gone, read after it was taken.
pub(crate) fn compare(
    rows: &[Sandbox],
    mut entries: BTreeMap<SandboxId, Entry>,
    baseline: &Baseline,
) -> Comparison {
    let mut comparison = Comparison::default();
    for row in rows {
        let generation = row.lifecycle.generation;
        match entries.remove(&row.id) {
            Some(Entry { machine: None, .. }) => {
                tracing::warn!(sandbox = %row.id, "an inventory lists a machine in a strange state");
            }
            Some(Entry { generation, machine: Some(machine), reason, activity }) => {
                let reported = Input::Reported { generation, machine, reason, activity };
                comparison.tell.push((row.id, reported));
            }
            None if baseline.get(&row.id) == Some(&generation) => {
                comparison.tell.push((row.id, Input::NotReported { generation }));
            }
            None => {}
        }
        if row.lifecycle.operation.is_some() {
            comparison.tell.push((row.id, Input::TakeUp));
        }
    }
    comparison.unknown = entries.into_iter().map(|(id, entry)| (id, entry.generation)).collect();
    comparison
}
