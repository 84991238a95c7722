//! Reports the server's health: the database, the queue and the hosts.
//!
//! Open to every client, and not subject to admission: it must answer whatever the load is.

use std::time::Duration;

use tokio::time::timeout;
use wrenn_base::Chain;

use crate::Control;

/// Time that the database has to answer, also when all connections to it are in use.
const PING_WITHIN: Duration = Duration::from_secs(2);

/// Health of the components that the server needs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ServerHealth {
    /// True if Postgres answers.
    pub database_answers: bool,
    /// True if Redis answers, or if the server runs without it.
    pub queue_answers: bool,
    /// Hosts whose agent is attached to this server.
    pub hosts_online: usize,
    /// All hosts.
    pub hosts_total: usize,
}

/// Returns the server's health. The causes of problems go to the log.
pub async fn run(control: &Control) -> ServerHealth {
    let (database_answers, queue_answers) = tokio::join!(database_answers(control), queue_answers(control));
    let hosts = control.actors().hosts_snapshot();
    let hosts_online = hosts.iter().filter(|host| host.is_online()).count();
    ServerHealth { database_answers, queue_answers, hosts_online, hosts_total: hosts.len() }
}

async fn database_answers(control: &Control) -> bool {
    match timeout(PING_WITHIN, control.store().ping()).await {
        Ok(Ok(())) => return true,
        Ok(Err(error)) => tracing::warn!(error = %Chain(&error), "postgres does not answer"),
        Err(_) => tracing::warn!("postgres does not answer in time"),
    }
    false
}

async fn queue_answers(control: &Control) -> bool {
    let pinged = control.actors().queue_ping().await;
    if let Err(error) = &pinged {
        tracing::warn!(error = %Chain(error), "redis does not answer");
    }
    pinged.is_ok()
}
