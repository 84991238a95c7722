//! The connections that live, and how others reach them.

use std::time::Duration;

use wrenn_domain::host::Host;
use wrenn_proto::ids::{HostId, TemplateId};
use wrenn_supervision::call_within;

use super::{
    connection::{HostConnection, HostParts},
    directory::{Answer, Connections},
    messages::{
        AskMetrics, Check, DropFailure, DropTemplate, HostAway, HostDeleted, MetricsReport, OpenTunnel,
        OrderTemplate, Refresh, Retire, SendCommand, TakeInventory,
    },
};
use crate::directory::Living;

/// Longest wait for a connection to pass an order on.
const ORDERED_WITHIN: Duration = Duration::from_secs(10);
/// Longest wait for an inventory and its comparison, which goes on without whoever waits: other hosts are due, too.
const COMPARED_WITHIN: Duration = Duration::from_secs(10);

/// Longest wait for measurements: an older agent does not answer at all.
const MEASURED_WITHIN: Duration = Duration::from_secs(3);

/// The connections of hosts: one is started where none lives. Clones share them.
pub(crate) type HostConnections = Living<HostId, HostConnection, HostParts>;

impl Connections for HostConnections {
    fn refresh(&self, row: Host) {
        self.address(row.id).do_send(Refresh(row));
    }

    fn check(&self, host: HostId) {
        self.address(host).do_send(Check);
    }

    fn send(&self, host: HostId, command: SendCommand) {
        // Past the mailbox's bound: there is one command per sandbox, and it must not get lost.
        self.address(host).do_send(command);
    }

    fn retire(&self, host: HostId) {
        self.address(host).do_send(Retire);
    }

    fn deleted(&self, host: HostId) {
        self.address(host).do_send(HostDeleted);
    }

    fn open_tunnel(&self, host: HostId, tunnel: OpenTunnel) -> Answer<HostAway> {
        let connection = self.address(host);
        Box::pin(async move { call_within(&connection, tunnel, ORDERED_WITHIN).await })
    }

    fn order_template(&self, host: HostId, order: OrderTemplate) -> Answer<HostAway> {
        let connection = self.address(host);
        Box::pin(async move { call_within(&connection, order, ORDERED_WITHIN).await })
    }

    fn drop_template(&self, host: HostId, template: TemplateId) -> Answer<DropFailure> {
        let connection = self.address(host);
        Box::pin(async move { call_within(&connection, DropTemplate(template), ORDERED_WITHIN).await })
    }

    fn ask_metrics(&self, host: HostId, ask: AskMetrics) -> Answer<HostAway, MetricsReport> {
        let connection = self.address(host);
        Box::pin(async move { call_within(&connection, ask, MEASURED_WITHIN).await })
    }

    fn take_inventory(&self, host: HostId, ask: TakeInventory) -> Answer<HostAway> {
        let connection = self.address(host);
        Box::pin(async move { call_within(&connection, ask, COMPARED_WITHIN).await })
    }
}
