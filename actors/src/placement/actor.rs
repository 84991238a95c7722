//! The one actor that decides where new sandboxes go.
//!
//! It chooses a host, writes the row and notes the promise while it handles one message, so concurrent
//! requests cannot be promised the same room. After a panic, and in a new server, the ledger is rebuilt from
//! the rows; whatever is in flight then gets its actor, also if nobody lives who knew of it.

use std::sync::Arc;

use actix::{
    Actor, ActorFutureExt, AsyncContext, AtomicResponse, Context, Handler, Message, Supervised, WrapFuture,
    fut::ready,
};
use wrenn_proto::ids::SandboxId;
use wrenn_store::{
    StoreError,
    hosts::HostStatus,
    sandboxes::{NewSandbox, Sandbox},
};
use wrenn_supervision::SupervisedContext;

use super::{
    ledger::Ledger,
    score::{Candidate, Demand, NoRoom, choose},
};
use crate::{CreateError, retry::until_answered, shared::Shared};

/// Make a sandbox, if there is room for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sandbox, CreateError>")]
pub(crate) struct Admit(pub(crate) NewSandbox);

/// A sandbox holds nothing any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Release(pub(crate) SandboxId);

pub(crate) struct Placement {
    shared: Arc<Shared>,
    ledger: Ledger,
}

impl Placement {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ledger: Ledger::default() }
    }

    /// The attached hosts that this team may use.
    fn candidates(&self, new: &NewSandbox) -> Vec<Candidate> {
        let hosts = self.shared.board.snapshot();
        let usable = hosts.into_iter().filter(|host| {
            host.status == HostStatus::Online && host.team_id.is_none_or(|team| team == new.team_id)
        });
        let candidate = usable.map(|host| Candidate {
            host: host.id,
            capacity: Demand {
                vcpus: host.capacity.cpu_cores.into(),
                memory_mb: host.capacity.memory_mb,
                disk_mb: host.capacity.disk_mb,
            },
            reserved: self.ledger.reserved(host.id),
            disk_available_mb: host.load.map(|load| load.disk_available_mb),
        });
        candidate.collect()
    }
}

impl Actor for Placement {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let store = self.shared.store.clone();
        let read = async move {
            let reservations = until_answered("sandbox_reservations", || store.sandbox_reservations()).await;
            let in_flight = until_answered("sandboxes_in_flight", || store.sandboxes_in_flight()).await;
            (reservations, in_flight)
        };
        ctx.wait(read.into_actor(self).map(|(reservations, in_flight), actor, _| {
            tracing::info!(
                reservations = reservations.len(),
                in_flight = in_flight.len(),
                "placement is ready"
            );
            actor.ledger = Ledger::rebuild(reservations);
            for sandbox in in_flight {
                actor.shared.sandbox(sandbox);
            }
        }));
    }
}

impl Supervised for Placement {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.ledger = Ledger::default();
    }
}

impl Handler<Admit> for Placement {
    type Result = AtomicResponse<Self, Result<Sandbox, CreateError>>;

    fn handle(&mut self, Admit(new): Admit, _: &mut Context<Self>) -> Self::Result {
        let demand = Demand {
            vcpus: new.vcpus.into(),
            memory_mb: new.memory_mb.into(),
            disk_mb: new.disk_size_mb.into(),
        };
        let host = match choose(demand, &self.candidates(&new), &self.shared.config.overcommit) {
            Ok(host) => host,
            Err(NoRoom::NoCandidate) => {
                return AtomicResponse::new(Box::pin(ready(Err(CreateError::NoHost))));
            }
            Err(NoRoom::Shortage(shortage)) => {
                return AtomicResponse::new(Box::pin(ready(Err(CreateError::NothingFits(shortage)))));
            }
        };
        let store = self.shared.store.clone();
        let insert = async move { store.sandbox_insert(&new, host).await };
        AtomicResponse::new(Box::pin(insert.into_actor(self).map(
            move |inserted: Result<Sandbox, StoreError>, actor: &mut Self, ctx: &mut Context<Self>| {
                let row = inserted.map_err(|error| {
                    if !error.changed_nothing() {
                        // The row may be there all the same; the rows are read again.
                        ctx.fail("the outcome of an insert is unknown");
                    }
                    CreateError::Store(error)
                })?;
                actor.ledger.reserve(row.id, host, demand);
                // Its actor finds the start in flight and sends it.
                actor.shared.sandbox(row.id);
                Ok(row)
            },
        )))
    }
}

impl Handler<Release> for Placement {
    type Result = ();

    fn handle(&mut self, Release(sandbox): Release, _: &mut Context<Self>) {
        self.ledger.release(sandbox);
    }
}
