//! Comparing what a host has with what the database says it should have.

use std::collections::{BTreeMap, BTreeSet};

use wrenn_domain::{
    lifecycle::{End, Generation, Lifecycle},
    sandbox::{
        Sandbox,
        state::{Activity, Input, Machine},
    },
};
use wrenn_proto::{
    agent,
    ids::{HostId, SandboxId, TemplateId},
};
use wrenn_store::{Store, StoreError};

use super::{frames::machine_state, text::harmless};

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
struct Comparison {
    /// The rows as they were read.
    rows: Vec<(SandboxId, Lifecycle)>,
    /// What the sandboxes' actors are to be told, in this order.
    tell: Vec<(SandboxId, Input)>,
    /// Machines without a row on this host, and the highest generation that they have accepted.
    unknown: Vec<(SandboxId, Generation)>,
}

/// What a host says that it has.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Listed {
    machines: BTreeMap<SandboxId, Entry>,
    templates: BTreeSet<TemplateId>,
}

/// Reads the wire's inventory; entries that make no sense are left out, and logged.
pub(crate) fn read(inventory: agent::Inventory) -> Listed {
    let templates = inventory.template_ids.iter().filter_map(|text| {
        let id = text.parse().ok();
        if id.is_none() {
            tracing::warn!(id = harmless(text), "an inventory lists a template with a strange id");
        }
        id
    });
    let templates = templates.collect();
    let machines = inventory.machines.into_iter().filter_map(|report| {
        let Ok(id) = report.sandbox_id.parse::<SandboxId>() else {
            tracing::warn!(
                id = harmless(&report.sandbox_id),
                "an inventory lists a machine with a strange id"
            );
            return None;
        };
        let entry = Entry {
            generation: Generation(report.generation),
            machine: machine_state(report.state()),
            reason: harmless(&report.reason),
            activity: if report.busy { Activity::Busy } else { Activity::Idle },
        };
        Some((id, entry))
    });
    Listed { machines: machines.collect(), templates }
}

/// What certainly was on the host when an inventory was taken, if it exists at all: the sandboxes that were
/// settled before, by their generations, and the templates that were there. Only of those an inventory can say that
/// they are absent.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(crate) struct Baseline {
    sandboxes: BTreeMap<SandboxId, Generation>,
    templates: Vec<TemplateId>,
}

impl Baseline {
    /// Returns the baseline of an inventory that is taken after these rows were read.
    pub(crate) fn of(rows: &[Sandbox], templates: Vec<TemplateId>) -> Self {
        let settled = rows.iter().filter(|row| row.lifecycle.operation.is_none());
        let sandboxes = settled.map(|row| (row.id, row.lifecycle.generation)).collect();
        Self { sandboxes, templates }
    }
}

/// Compares an inventory with the host's sandboxes that are not gone, read after it was taken.
fn compare(rows: &[Sandbox], mut entries: BTreeMap<SandboxId, Entry>, baseline: &Baseline) -> Comparison {
    let mut comparison = Comparison::default();
    for row in rows {
        let generation = row.lifecycle.generation;
        comparison.rows.push((row.id, row.lifecycle.clone()));
        match entries.remove(&row.id) {
            Some(Entry { machine: None, .. }) => {
                tracing::warn!(sandbox = %row.id, "an inventory lists a machine in a strange state");
            }
            Some(Entry { generation, machine: Some(machine), reason, activity }) => {
                let reported = Input::Reported { generation, machine, reason, activity };
                comparison.tell.push((row.id, reported));
            }
            None if baseline.sandboxes.get(&row.id) == Some(&generation) => {
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

/// What an inventory says, once compared with the database.
pub(crate) struct Found {
    /// The rows as they were read, for actors that know other ones.
    pub(crate) rows: Vec<(SandboxId, Lifecycle)>,
    /// What the sandboxes' actors are to be told, in this order.
    pub(crate) tell: Vec<(SandboxId, Input)>,
    /// Machines without a living row on this host.
    pub(crate) unwanted: Vec<Unwanted>,
    /// Templates that nobody knows.
    pub(crate) unwanted_templates: Vec<TemplateId>,
    /// Templates that the host had, and does not have any more.
    pub(crate) lost_templates: Vec<TemplateId>,
}

/// A machine that must go, and the generation with which it will.
pub(crate) struct Unwanted {
    pub(crate) sandbox: SandboxId,
    pub(crate) generation: Generation,
}

/// Compares an inventory with the host's rows, and asks again for every machine that has none. Without a
/// baseline the rows themselves are it.
pub(crate) async fn look_up(
    store: &Store,
    host: HostId,
    listed: Listed,
    baseline: Option<Baseline>,
) -> Result<Found, StoreError> {
    let rows = store.sandboxes_of_host(host).await?;
    let baseline = match baseline {
        Some(baseline) => baseline,
        None => Baseline::of(&rows, store.templates_on_host(host).await?),
    };
    let lost_templates =
        baseline.templates.iter().filter(|id| !listed.templates.contains(id)).copied().collect();
    let templates = Vec::from_iter(listed.templates);
    let unwanted_templates = if templates.is_empty() {
        Vec::new()
    } else {
        // One that was made elsewhere and fetched is known from now on.
        store.template_hosts_note(host, &templates).await?;
        store.templates_unknown(host, &templates).await?
    };
    let Comparison { rows: read, tell, unknown } = compare(&rows, listed.machines, &baseline);
    let mut unwanted = Vec::new();
    for (sandbox, accepted) in unknown {
        let generation = match store.sandbox_load(sandbox).await? {
            Some(row) if row.host_id == host && row.lifecycle.end != End::Reached => continue,
            // Its row is settled for ever, or another host's, so no other command of that generation is made.
            Some(row) if row.lifecycle.end == End::Reached => row.lifecycle.generation.max(accepted).next(),
            Some(_) | None => accepted.next(),
        };
        unwanted.push(Unwanted { sandbox, generation });
    }
    Ok(Found { rows: read, tell, unwanted, unwanted_templates, lost_templates })
}
