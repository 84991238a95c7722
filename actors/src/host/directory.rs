//! The way to hosts: what is known of each, and what its connection can be told and asked.

use std::{collections::BTreeSet, sync::Arc};

use futures_util::future::{BoxFuture, ready};
use wrenn_domain::{build::BuildableTeams, host::Host};
use wrenn_proto::ids::{HostId, TeamId, TemplateId};
use wrenn_supervision::CallError;

use super::{
    board::{Held, HostBoard, HostView},
    messages::{
        AskMetrics, DropFailure, HostAway, MetricsReport, OpenTunnel, OrderTemplate, SendCommand,
        TakeInventory,
    },
};
use crate::directory::Late;

/// The connections of hosts, as far as others speak to them.
pub(crate) trait Connections: Send + Sync {
    /// Passes a host's row on to its connection, which is started if it does not live.
    fn refresh(&self, row: Host);

    /// Has a host's connection read whether the host is still attached to this server.
    fn check(&self, host: HostId);

    /// Passes a sandbox's command on.
    fn send(&self, host: HostId, command: SendCommand);

    /// Says that the host can never come back.
    fn retire(&self, host: HostId);

    /// Has a host's connection read whether the host is deleted: then its agent is terminated, and the connection ends.
    fn deleted(&self, host: HostId);

    /// Has the host open a tunnel; answered when it was told to.
    fn open_tunnel(&self, host: HostId, tunnel: OpenTunnel) -> Answer<HostAway>;

    /// Has the host send a template; answered when it was told to.
    fn order_template(&self, host: HostId, order: OrderTemplate) -> Answer<HostAway>;

    /// Has the host remove a template's files; answered when that is done.
    fn drop_template(&self, host: HostId, template: TemplateId) -> Answer<DropFailure>;

    /// Asks a host for measurements, and a guest for its own.
    fn ask_metrics(&self, host: HostId, ask: AskMetrics) -> Answer<HostAway, MetricsReport>;

    /// Has the host say what it has; answered when that was compared with the rows.
    fn take_inventory(&self, host: HostId, ask: TakeInventory) -> Answer<HostAway>;
}

/// The answer of a connection.
pub(crate) type Answer<E, T = ()> = BoxFuture<'static, Result<Result<T, E>, CallError>>;

/// The states of hosts, and the way to their connections; clones share both.
#[derive(Debug, Clone, Default)]
pub(crate) struct HostDirectory {
    board: HostBoard,
    connections: Late<dyn Connections>,
}

impl HostDirectory {
    /// Returns a directory of what `board` shows, whose connections are bound later.
    pub(crate) fn new(board: HostBoard) -> Self {
        Self { board, connections: Late::default() }
    }

    /// Binds the connections.
    pub(crate) fn bind(&self, connections: Arc<dyn Connections>) {
        self.connections.bind(connections);
    }

    /// Returns true if an agent of the host is attached to this server.
    pub(crate) fn is_online(&self, host: HostId) -> bool {
        self.board.is_online(host)
    }

    /// Returns the teams whose new capsules have a place on the hosts that are attached to this server.
    pub(crate) fn buildable_teams(&self) -> BuildableTeams {
        let views = self.board.snapshot().into_iter().filter(HostView::takes_sandboxes);
        let teams: BTreeSet<Option<TeamId>> = views.map(|view| view.team_id).collect();
        BuildableTeams {
            of_platform: teams.contains(&None),
            with_own_hosts: teams.into_iter().flatten().collect(),
        }
    }

    /// Returns the hosts that are attached to this server.
    pub(crate) fn online(&self) -> Vec<HostId> {
        self.board.snapshot().into_iter().filter(HostView::is_online).map(|view| view.id).collect()
    }

    /// Returns the attachment of a host to this server; `None` if another one, or none, speaks for it.
    pub(crate) fn held(&self, host: HostId) -> Option<Held> {
        self.board.view(host)?.attachment
    }

    /// Returns how a host is doing.
    pub(crate) fn view(&self, host: HostId) -> Option<HostView> {
        self.board.view(host)
    }

    /// Returns how all hosts are doing, sorted by id.
    pub(crate) fn snapshot(&self) -> Vec<HostView> {
        self.board.snapshot()
    }

    /// Passes a sandbox's command on to its host.
    pub(crate) fn send(&self, host: HostId, command: SendCommand) {
        self.connections().send(host, command);
    }

    /// Returns the connections, for whoever has a question.
    pub(crate) fn connections(&self) -> Arc<dyn Connections> {
        self.connections.get().unwrap_or_else(|| Arc::new(Ended))
    }

    /// Lets the connections go, which have ended.
    pub(crate) fn release(&self) {
        self.connections.release();
    }
}

/// The connections of a control plane that has ended: every host is away.
struct Ended;

impl Connections for Ended {
    fn refresh(&self, _: Host) {}

    fn check(&self, _: HostId) {}

    fn send(&self, _: HostId, _: SendCommand) {}

    fn retire(&self, _: HostId) {}

    fn deleted(&self, _: HostId) {}

    fn open_tunnel(&self, _: HostId, _: OpenTunnel) -> Answer<HostAway> {
        Box::pin(ready(Ok(Err(HostAway))))
    }

    fn order_template(&self, _: HostId, _: OrderTemplate) -> Answer<HostAway> {
        Box::pin(ready(Ok(Err(HostAway))))
    }

    fn drop_template(&self, _: HostId, _: TemplateId) -> Answer<DropFailure> {
        Box::pin(ready(Ok(Err(DropFailure::HostAway))))
    }

    fn ask_metrics(&self, _: HostId, _: AskMetrics) -> Answer<HostAway, MetricsReport> {
        Box::pin(ready(Ok(Err(HostAway))))
    }

    fn take_inventory(&self, _: HostId, _: TakeInventory) -> Answer<HostAway> {
        Box::pin(ready(Ok(Err(HostAway))))
    }
}
