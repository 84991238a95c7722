//! Inventories, as agents send them.

use std::collections::{BTreeMap, BTreeSet};

use wrenn_domain::{
    lifecycle::Generation,
    limits::{MAX_MACHINES_LISTED, MAX_TEMPLATES_LISTED},
    sandbox::{
        inventory::{Listed, Listing},
        state::Activity,
    },
};
use wrenn_proto::{
    agent,
    ids::{HostId, SandboxId},
};

use super::{frames::machine_state, text::harmless};
use crate::InventoryTooLarge;

/// Reads the wire's inventory; entries that make no sense are left out, and logged together.
///
/// # Errors
/// If it lists more than a host can have. Nothing is allocated for its entries then.
pub(crate) fn read(host: HostId, inventory: agent::Inventory) -> Result<Listed, InventoryTooLarge> {
    let (machines, templates) = (inventory.machines.len(), inventory.template_ids.len());
    if machines > MAX_MACHINES_LISTED || templates > MAX_TEMPLATES_LISTED {
        return Err(InventoryTooLarge { machines, templates });
    }
    let mut strange = Strange::default();
    let mut listed = Listed { machines: BTreeMap::new(), templates: BTreeSet::new() };
    for text in &inventory.template_ids {
        match text.parse() {
            Ok(id) => drop(listed.templates.insert(id)),
            Err(_) => strange.note(text),
        }
    }
    for report in inventory.machines {
        let Ok(id) = report.sandbox_id.parse::<SandboxId>() else {
            strange.note(&report.sandbox_id);
            continue;
        };
        let listing = Listing {
            generation: Generation(report.generation),
            machine: machine_state(report.state()),
            reason: harmless(&report.reason),
            activity: if report.busy { Activity::Busy } else { Activity::Idle },
        };
        listed.machines.insert(id, listing);
    }
    if let Strange { entries: 1.., example } = strange {
        tracing::warn!(%host, entries = strange.entries, example, "an inventory lists strange ids");
    }
    Ok(listed)
}

/// Entries that make no sense.
#[derive(Debug, Default)]
struct Strange {
    entries: u64,
    example: String,
}

impl Strange {
    fn note(&mut self, id: &str) {
        if self.entries == 0 {
            self.example = harmless(id);
        }
        self.entries += 1;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_inventory_is_bounded_and_nonsense_is_left_out() {
        let host = HostId::new();
        let machine = |id: &str| agent::MachineReport { sandbox_id: id.to_owned(), ..Default::default() };
        let id = SandboxId::new();
        let inventory = agent::Inventory {
            machines: vec![machine(&id.to_string()), machine("../etc/passwd"), machine("")],
            template_ids: vec!["tpl-nonsense".into(), "..".into()],
            ..Default::default()
        };
        let listed = read(host, inventory).unwrap();
        assert_eq!(listed.machines.keys().collect::<Vec<_>>(), [&id]);
        assert!(listed.templates.is_empty());
        let machines = vec![agent::MachineReport::default(); MAX_MACHINES_LISTED + 1];
        let large = agent::Inventory { machines, ..Default::default() };
        assert!(read(host, large).is_err());
        let template_ids = vec![String::new(); MAX_TEMPLATES_LISTED + 1];
        let large = agent::Inventory { template_ids, ..Default::default() };
        assert!(read(host, large).is_err());
    }
}
