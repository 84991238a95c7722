//! The comparison, with the reads around it.

use std::collections::HashMap;

use futures_util::{StreamExt as _, stream};
use wrenn_domain::{
    host::Attachment,
    lifecycle::{Generation, Lifecycle},
    sandbox::{
        Sandbox,
        inventory::{Baseline, Comparison, Listed, Place, compare, removal_of_unknown},
    },
};
use wrenn_proto::ids::{HostId, SandboxId, TemplateId};
use wrenn_store::{Store, StoreError};

use super::due::DueHosts;
use crate::{
    host::{HostDirectory, TakeInventory},
    sandbox::{Observe, RowRead, SandboxDirectory},
};

/// Hosts that are compared at the same time.
const AT_ONCE: usize = 16;

/// Orders for the host after a comparison.
#[derive(Debug, Default)]
pub(crate) struct ForHost {
    /// Machines that nobody knows, and the generation with which they are removed.
    pub(crate) unknown_machines: Vec<(SandboxId, Generation)>,
    /// Templates that nobody knows.
    pub(crate) unknown_templates: Vec<TemplateId>,
}

/// Compares hosts with their rows; clones share everything.
#[derive(Clone)]
pub(crate) struct Reconciler {
    store: Store,
    hosts: HostDirectory,
    sandboxes: SandboxDirectory,
    due: DueHosts,
}

fn lifecycles(rows: &[Sandbox]) -> impl Iterator<Item = (SandboxId, &Lifecycle)> {
    rows.iter().map(|row| (row.id, &row.lifecycle))
}

impl Reconciler {
    pub(crate) fn new(
        store: Store,
        hosts: HostDirectory,
        sandboxes: SandboxDirectory,
        due: DueHosts,
    ) -> Self {
        Self { store, hosts, sandboxes, due }
    }

    /// Compares every attached host that is due.
    pub(crate) async fn look(&self) -> Result<(), StoreError> {
        let views = self.hosts.snapshot().into_iter().filter(|view| view.agent.is_some());
        let due = views.map(|view| view.id).filter(|host| self.due.is_due(*host));
        let looked = stream::iter(due).map(|host| self.look_at(host)).buffer_unordered(AT_ONCE);
        let failures: Vec<StoreError> = looked.filter_map(async |looked| looked.err()).collect().await;
        failures.into_iter().next().map_or(Ok(()), Err)
    }

    async fn look_at(&self, host: HostId) -> Result<(), StoreError> {
        let templates = self.store.templates_on_host(host).await?;
        let rows = self.store.sandboxes_of_host(host).await?;
        let baseline = Baseline::of(lifecycles(&rows), templates);
        self.due.done(host);
        match self.hosts.connections().take_inventory(host, TakeInventory { baseline }).await {
            Ok(Ok(())) => {}
            Ok(Err(_away)) => tracing::debug!(%host, "host went away before it was compared"),
            Err(error) => tracing::warn!(%host, %error, "host was not compared"),
        }
        Ok(())
    }

    /// Compares an inventory with the host's rows and tells the sandboxes' actors what follows, before it returns what
    /// the host is to be told. Without a baseline the rows themselves are it.
    ///
    /// For the host's connection, which handles no frame meanwhile.
    ///
    /// # Errors
    /// The database did not answer; then nobody was told anything.
    pub(crate) async fn compare(
        &self,
        attachment: Attachment,
        listed: Listed,
        baseline: Option<Baseline>,
    ) -> Result<ForHost, StoreError> {
        let host = attachment.host;
        let rows = self.store.sandboxes_of_host(host).await?;
        let baseline = match baseline {
            Some(baseline) => baseline,
            None => Baseline::of(lifecycles(&rows), self.store.templates_on_host(host).await?),
        };
        let lost_templates = baseline.lost_templates(&listed.templates);
        let unknown_templates = self.unknown_templates(attachment, &listed).await?;
        let Comparison { rows, tell, unknown, strange } =
            compare(lifecycles(&rows), listed.machines, &baseline);
        let unknown_machines = self.unknown_machines(host, unknown).await?;
        for template in lost_templates {
            tracing::error!(%host, %template, "the host does not have a template any more");
            self.store.template_host_remove(template, attachment).await?;
        }
        if let Some(example) = strange.first() {
            tracing::warn!(%host, %example, machines = strange.len(), "an inventory lists machines in a strange state");
        }
        for (sandbox, lifecycle) in rows {
            // An actor that does not live reads its row anyway.
            if let Some(actor) = self.sandboxes.living(sandbox) {
                actor.do_send(RowRead(lifecycle));
            }
        }
        for (sandbox, input) in tell {
            self.sandboxes.tell(sandbox, Observe { from: host, input });
        }
        Ok(ForHost { unknown_machines, unknown_templates })
    }

    /// Of the machines without a row on this host, returns those to remove, with the generations of their removal. However many
    /// a host makes up, it costs one statement.
    async fn unknown_machines(
        &self,
        host: HostId,
        unknown: Vec<(SandboxId, Generation)>,
    ) -> Result<Vec<(SandboxId, Generation)>, StoreError> {
        if unknown.is_empty() {
            return Ok(Vec::new());
        }
        let ids: Vec<SandboxId> = unknown.iter().map(|(id, _)| *id).collect();
        let rows = self.store.sandboxes_load(&ids).await?;
        let rows: HashMap<SandboxId, Sandbox> = rows.into_iter().map(|row| (row.id, row)).collect();
        let removals = unknown.into_iter().filter_map(|(id, accepted)| {
            let row = rows.get(&id).map(|row| {
                let place = if row.host_id == host { Place::ThisHost } else { Place::AnotherHost };
                (place, &row.lifecycle)
            });
            Some((id, removal_of_unknown(row, accepted)?))
        });
        Ok(removals.collect())
    }

    /// Notes the templates that the host has, and returns those that nobody knows.
    async fn unknown_templates(
        &self,
        attachment: Attachment,
        listed: &Listed,
    ) -> Result<Vec<TemplateId>, StoreError> {
        if listed.templates.is_empty() {
            return Ok(Vec::new());
        }
        let templates = Vec::from_iter(listed.templates.iter().copied());
        // A template that was made elsewhere and fetched is known from now on.
        self.store.template_hosts_note(attachment, &templates).await?;
        self.store.templates_unknown(attachment.host, &templates).await
    }
}
