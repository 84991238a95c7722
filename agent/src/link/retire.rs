//! The end of a host that was deleted: its machines and templates are destroyed, then its credentials are forgotten.
//!
//! The credentials go last. An agent that dies before is told once more when it dials again, and goes on here.

use std::time::Duration;

use actix::Recipient;
use wrenn_base::{Backoff, Chain};
use wrenn_proto::agent::{Command, DestroyMachine, command};

use super::credentials::CredentialsFile;
use crate::machines::{Dispatch, Host};

/// Orders to destroy what is left, one after the other; a machine that is left after them needs a person.
const ORDERS: u32 = 20;
/// Longest wait for the machines after an order.
const GONE_WITHIN: Duration = Duration::from_secs(30);
/// Rest between two orders.
const REST: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(10));

/// Destroys everything that this host has, and forgets its credentials. They stay if something is left.
pub(super) async fn retire(host: &Host, commands: &Recipient<Dispatch>, credentials: &CredentialsFile) {
    for order in 1..=ORDERS {
        let machines = host.board.reports();
        if machines.is_empty() {
            break;
        }
        tracing::warn!(machines = machines.len(), "host was deleted, destroying its machines");
        for report in machines {
            let generation = report.generation.saturating_add(1);
            let destroy = Some(command::Command::Destroy(DestroyMachine {}));
            let command =
                Command { sandbox_id: report.sandbox_id, generation, command: destroy, ..Default::default() };
            commands.do_send(Dispatch(command));
        }
        let gone = host.board.wait_until(|board| board.reports().is_empty());
        if host.clock.timeout(GONE_WITHIN, gone).await.is_err() {
            host.clock.sleep(REST.plain_delay(order)).await;
        }
    }
    if !host.board.reports().is_empty() {
        tracing::error!(
            "machines of the deleted host are left; start the agent again, or remove its data folder"
        );
        return;
    }
    for template in host.backend.template_ids() {
        if let Err(error) = host.backend.drop_template(template).await {
            tracing::warn!(%template, error = %Chain(&error), "template of the deleted host not removed");
        }
    }
    host.metrics.remove_all();
    match credentials.forget() {
        Ok(()) => tracing::warn!("host was deleted, its credentials are forgotten"),
        Err(error) => tracing::error!(error = %Chain(&error), "credentials of the deleted host not removed"),
    }
}
