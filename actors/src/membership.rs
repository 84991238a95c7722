//! This server among the others: it says that it lives, takes hosts that nobody holds, and learns of those it has lost.
//!
//! ```text
//!   renew:  the lease, for itself alone; taken for dead: register anew
//!   look:   remove silent servers ─▶ claim free hosts ─▶ rows ─▶ host connections
//!                                        └─▶ deletions that nobody ends
//! ```
//!
//! | what happens | what follows |
//! |---|---|
//! | a server ends | its hosts are free at once; the next look of another server takes them |
//! | a server is killed, or cannot reach the database | its hosts are free after a lease; it writes nothing about them any more |
//! | its agents dial another server | that one has the hosts from then on, whatever the lease |
//! | this server was only slow | it is registered anew, and takes its hosts again, if nobody else has them |
//! | the database is away for longer than a lease | nobody is removed until whoever judges has renewed its own lease for one |

use std::{
    collections::BTreeSet,
    sync::Arc,
    time::{Duration, Instant},
};

use parking_lot::Mutex;
use wrenn_base::{Clock, clock::Elapsed};
use wrenn_domain::ids::{HostId, ServerId};
use wrenn_store::{Store, StoreError};

use crate::host::HostDirectory;

/// The reason for which the lease was not renewed.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RenewError {
    /// The database answered with an error.
    #[error("the lease was not renewed")]
    Store(#[from] StoreError),
    /// The database did not answer in time.
    #[error("the lease was not renewed in time")]
    Elapsed(#[from] Elapsed),
}

/// Renewals of this server, one after the other.
#[derive(Debug, Clone, Copy)]
struct Steady {
    since: Instant,
    last: Instant,
}

/// Looks for a server after its lease; clones share everything.
#[derive(Debug, Clone)]
pub(crate) struct Membership {
    store: Store,
    server: ServerId,
    clock: Clock,
    lease: Duration,
    steady: Arc<Mutex<Option<Steady>>>,
}

impl Membership {
    pub(crate) fn new(store: Store, server: ServerId, clock: Clock, lease: Duration) -> Self {
        Self { store, server, clock, lease, steady: Arc::default() }
    }

    /// Returns the period of renewals, each of which may take as long: two of three may fail.
    pub(crate) fn renew_period(&self) -> Duration {
        self.lease / 6
    }

    /// Returns the period of looks for what is free.
    pub(crate) fn look_period(&self) -> Duration {
        self.lease / 4
    }

    /// Registers the server, and takes the hosts that are free.
    ///
    /// # Errors
    /// The database did not answer.
    pub(crate) async fn begin(&self) -> Result<(), StoreError> {
        self.store.server_register(self.server).await?;
        self.take().await
    }

    /// Renews the lease.
    ///
    /// # Errors
    /// See [`RenewError`]; the next renewal tries again.
    pub(crate) async fn renew(&self) -> Result<(), RenewError> {
        let renewed = self.clock.timeout(self.renew_period(), self.store.server_renew(self.server)).await??;
        if !renewed {
            tracing::error!(server = %self.server, "this server was taken for dead; it begins anew");
            self.store.server_register(self.server).await?;
        }
        let now = self.clock.now();
        let mut steady = self.steady.lock();
        *steady = match *steady {
            Some(Steady { since, last }) if now.saturating_duration_since(last) <= self.lease / 2 => {
                Some(Steady { since, last: now })
            }
            _ => Some(Steady { since: now, last: now }),
        };
        Ok(())
    }

    /// Takes what is free, and tells the connections of hosts how their rows are.
    ///
    /// # Errors
    /// The database did not answer; the next look tries again.
    pub(crate) async fn look(&self, hosts: &HostDirectory) -> Result<(), StoreError> {
        self.take().await?;
        let rows = self.store.host_list().await?;
        let known: BTreeSet<HostId> = rows.iter().map(|row| row.id).collect();
        for row in rows {
            hosts.connections().refresh(row);
        }
        // Another server may have deleted it, or it was made just now, which its connection finds out.
        for view in hosts.snapshot().into_iter().filter(|view| !known.contains(&view.id)) {
            hosts.connections().deleted(view.id);
        }
        Ok(())
    }

    /// Returns true if this server could renew its lease for as long as others are silent: otherwise the database was away
    /// for them, too.
    fn may_judge(&self) -> bool {
        let now = self.clock.now();
        self.steady.lock().is_some_and(|steady| {
            now.saturating_duration_since(steady.since) >= self.lease
                && now.saturating_duration_since(steady.last) <= self.lease / 2
        })
    }

    /// Removes servers that are silent, and takes over hosts and deletions that are nobody's.
    async fn take(&self) -> Result<(), StoreError> {
        if self.may_judge() {
            for server in self.store.servers_remove_silent(self.lease).await? {
                tracing::warn!(%server, "another server is silent; its hosts are free");
            }
        }
        let hosts = self.store.hosts_claim(self.server).await?;
        if hosts > 0 {
            tracing::info!(hosts, "took hosts that no server spoke for");
        }
        for template in self.store.templates_deleted_by_nobody().await? {
            // Its files go when hosts are compared with the rows, its object with the next sweep.
            self.store.template_delete_finish(template).await?;
            tracing::info!(%template, "finished the deletion of a template");
        }
        Ok(())
    }

    /// Sets this server's hosts free.
    pub(crate) async fn end(&self) {
        if let Err(error) = self.store.server_end(self.server).await {
            tracing::warn!(%error, "the hosts of this server are free when its lease is over");
        }
    }
}
