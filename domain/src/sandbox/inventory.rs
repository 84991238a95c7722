//! The comparison of what a host has with what its rows say.
//!
//! ```text
//!   rows ─▶ Baseline ─▶ (the host takes an inventory) ─▶ Listed ─┐
//!                                            rows, read again ───┴▶ compare ─▶ rows, tell, unknown
//! ```
//!
//! Rows are read before and after an inventory is taken. What was settled before, and is the same afterwards, must be in
//! it; of anything else an inventory cannot say that it is absent. Effects take place in the order of [`Comparison`]'s
//! fields: an actor learns of its row before it learns what follows from it, and what nobody knows goes last.

use std::collections::{BTreeMap, BTreeSet};

use crate::{
    ids::{SandboxId, TemplateId},
    lifecycle::{End, Generation, Lifecycle},
    sandbox::state::{Activity, Input, Machine},
};

/// Machine that a host lists.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Listing {
    /// Generation of the last command that it accepted.
    pub generation: Generation,
    /// Its state; `None` if the agent does not say, or in a word of another version.
    pub machine: Option<Machine>,
    /// Reason of its end.
    pub reason: String,
    /// State of the work on it.
    pub activity: Activity,
}

/// Inventory of a host.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Listed {
    /// Its machines.
    pub machines: BTreeMap<SandboxId, Listing>,
    /// Its templates.
    pub templates: BTreeSet<TemplateId>,
}

/// Everything that certainly was on the host when an inventory was taken, if it exists at all: the sandboxes that were
/// settled before, by their generations, and the templates.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Baseline<K = SandboxId> {
    sandboxes: BTreeMap<K, Generation>,
    templates: Vec<TemplateId>,
}

impl<K: Ord> Baseline<K> {
    /// Returns the baseline of an inventory that is taken after these rows were read.
    pub fn of<'a>(rows: impl IntoIterator<Item = (K, &'a Lifecycle)>, templates: Vec<TemplateId>) -> Self {
        let settled = rows.into_iter().filter(|(_, lifecycle)| lifecycle.operation.is_none());
        Self { sandboxes: settled.map(|(id, lifecycle)| (id, lifecycle.generation)).collect(), templates }
    }

    /// Returns the templates that the host had, and has not any more.
    pub fn lost_templates(&self, listed: &BTreeSet<TemplateId>) -> Vec<TemplateId> {
        self.templates.iter().filter(|id| !listed.contains(id)).copied().collect()
    }
}

impl<K> Default for Baseline<K> {
    fn default() -> Self {
        Self { sandboxes: BTreeMap::new(), templates: Vec::new() }
    }
}

/// Consequences of a comparison, in the order in which they take place.
#[derive(Debug, PartialEq, Eq)]
pub struct Comparison<K = SandboxId> {
    /// The rows as they were read, for the actors that live.
    pub rows: Vec<(K, Lifecycle)>,
    /// Inputs for the sandboxes' actors.
    pub tell: Vec<(K, Input)>,
    /// Machines without a row on this host, and the highest generation that they have accepted.
    pub unknown: Vec<(K, Generation)>,
    /// Machines in a state that this version does not know, about which nothing is said.
    pub strange: Vec<K>,
}

/// Compares an inventory with the host's sandboxes that are not gone, read after it was taken. `K` names a sandbox.
pub fn compare<'a, K: Ord + Copy>(
    rows: impl IntoIterator<Item = (K, &'a Lifecycle)>,
    mut machines: BTreeMap<K, Listing>,
    baseline: &Baseline<K>,
) -> Comparison<K> {
    let mut comparison =
        Comparison { rows: Vec::new(), tell: Vec::new(), unknown: Vec::new(), strange: Vec::new() };
    for (id, lifecycle) in rows {
        let generation = lifecycle.generation;
        comparison.rows.push((id, lifecycle.clone()));
        match machines.remove(&id) {
            Some(Listing { machine: None, .. }) => comparison.strange.push(id),
            Some(Listing { generation, machine: Some(machine), reason, activity }) => {
                comparison.tell.push((id, Input::Reported { generation, machine, reason, activity }));
            }
            None if baseline.sandboxes.get(&id) == Some(&generation) => {
                comparison.tell.push((id, Input::NotReported { generation }));
            }
            None => {}
        }
        if lifecycle.operation.is_some() {
            comparison.tell.push((id, Input::TakeUp));
        }
    }
    comparison.unknown = machines.into_iter().map(|(id, listing)| (id, listing.generation)).collect();
    comparison
}

/// Place of a sandbox whose machine was found on a host without a row of that host.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Place {
    /// On this host after all: its row came later.
    ThisHost,
    /// On another host.
    AnotherHost,
}

/// Returns the generation with which a machine is removed that had no row when its host was compared, or `None` if it has
/// one by now.
///
/// `row` is read after the comparison; `accepted` is the highest generation that the machine has accepted.
pub fn removal_of_unknown(row: Option<(Place, &Lifecycle)>, accepted: Generation) -> Option<Generation> {
    match row {
        // Settled for ever, so no other command of that generation is made.
        Some((_, lifecycle)) if lifecycle.end == End::Reached => {
            Some(lifecycle.generation.max(accepted).next())
        }
        Some((Place::ThisHost, _)) => None,
        Some((Place::AnotherHost, _)) | None => Some(accepted.next()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::lifecycle::{Operation, SandboxStatus};

    fn row(generation: u64, operation: Option<Operation>) -> Lifecycle {
        Lifecycle {
            status: SandboxStatus::Running,
            operation,
            generation: Generation(generation),
            ..Lifecycle::first()
        }
    }

    fn listing(generation: u64, machine: Option<Machine>) -> Listing {
        Listing {
            generation: Generation(generation),
            machine,
            reason: String::new(),
            activity: Activity::Idle,
        }
    }

    #[test]
    fn absent_is_only_what_was_settled_before_and_is_the_same_afterwards() {
        let before = [(1, row(3, None)), (2, row(3, Some(Operation::Pausing))), (3, row(3, None))];
        let baseline = Baseline::of(before.iter().map(|(id, life)| (*id, life)), Vec::new());
        let after = [(1, row(3, None)), (2, row(3, None)), (3, row(4, None)), (4, row(1, None))];
        let compared = compare(after.iter().map(|(id, life)| (*id, life)), BTreeMap::new(), &baseline);
        assert_eq!(compared.tell, [(1, Input::NotReported { generation: Generation(3) })]);
        assert_eq!(compared.rows.len(), after.len());
    }

    #[test]
    fn a_row_in_flight_is_taken_up_after_what_was_reported() {
        let rows = [(1, row(3, Some(Operation::Pausing)))];
        let machines = BTreeMap::from([(1, listing(2, Some(Machine::Running))), (9, listing(5, None))]);
        let compared = compare(rows.iter().map(|(id, life)| (*id, life)), machines, &Baseline::default());
        assert!(matches!(compared.tell[..], [(1, Input::Reported { .. }), (1, Input::TakeUp)]));
        assert_eq!(compared.unknown, [(9, Generation(5))]);
        assert!(compared.strange.is_empty());
    }

    #[test]
    fn a_machine_in_a_strange_state_is_left_alone() {
        let rows = [(1, row(3, None))];
        let machines = BTreeMap::from([(1, listing(3, None))]);
        let compared = compare(rows.iter().map(|(id, life)| (*id, life)), machines, &Baseline::default());
        assert_eq!((compared.tell.len(), compared.strange), (0, vec![1]));
    }

    #[test]
    fn an_unknown_machine_is_removed_above_everything_that_was_ordered() {
        let (living, gone) = (row(7, None), Lifecycle { end: End::Reached, ..row(7, None) });
        assert_eq!(removal_of_unknown(None, Generation(2)), Some(Generation(3)));
        assert_eq!(removal_of_unknown(Some((Place::ThisHost, &living)), Generation(2)), None);
        assert_eq!(
            removal_of_unknown(Some((Place::AnotherHost, &living)), Generation(2)),
            Some(Generation(3))
        );
        for place in [Place::ThisHost, Place::AnotherHost] {
            assert_eq!(removal_of_unknown(Some((place, &gone)), Generation(2)), Some(Generation(8)));
            assert_eq!(removal_of_unknown(Some((place, &gone)), Generation(9)), Some(Generation(10)));
        }
    }
}
