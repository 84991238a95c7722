//! The one actor that decides where new sandboxes go.
//!
//! It chooses a host, writes the row and notes the promise while it handles one message, so concurrent
//! requests cannot be promised the same room. After a panic, and in a new server, the ledger is rebuilt from
//! the rows; whatever is in flight then gets its actor, also if nobody lives who knew of it.

use std::time::Duration;

use actix::{
    Actor, ActorFutureExt, Addr, AsyncContext, AtomicResponse, Context, Handler, Supervised, WrapFuture,
    fut::ready,
};
use futures_util::future::BoxFuture;
use wrenn_domain::{
    host::HostPool,
    ids::ServerId,
    placement::{Candidate, Demand, NoRoom, Overcommit, Shortage, TemplateIs, choose, fits},
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_store::{Store, sandboxes::InsertError};
use wrenn_supervision::{CallError, SupervisedContext, call_within};

use super::{
    handle::{Admit, Held, Lost, Others, Readmit, Reservation, Rooms, Taken},
    ledger::Ledger,
};
use crate::{
    CreateError,
    host::{HostDirectory, board::HostView},
    retry::until_answered,
    sandbox::{RowRead, SandboxDirectory},
};

/// Longest wait for the answer to a new sandbox.
const ADMITTED_WITHIN: Duration = Duration::from_secs(30);
/// Longest wait for the answer to a sandbox that is there.
const READMITTED_WITHIN: Duration = Duration::from_secs(10);

/// Parts of others that the actor needs.
#[derive(Clone)]
pub(crate) struct PlacementParts {
    pub(crate) store: Store,
    pub(crate) server: ServerId,
    pub(crate) overcommit: Overcommit,
    pub(crate) hosts: HostDirectory,
    pub(crate) sandboxes: SandboxDirectory,
}

pub(crate) struct PlacementActor {
    parts: PlacementParts,
    ledger: Ledger,
}

impl PlacementActor {
    pub(crate) fn new(parts: PlacementParts) -> Self {
        Self { parts, ledger: Ledger::default() }
    }

    /// The attached hosts of the team's pool that take sandboxes, and that have the template or can get it.
    ///
    /// # Errors
    /// If no host of the pool takes sandboxes.
    fn candidates(
        &self,
        new: &NewSandbox,
        others: Others,
        pool: HostPool,
    ) -> Result<Vec<Candidate>, CreateError> {
        let mut usable = self.parts.hosts.snapshot();
        usable.retain(|host| host.takes_sandboxes() && pool.has(host.team_id));
        if usable.is_empty() {
            return Err(match pool {
                HostPool::Platform => CreateError::NoHost,
                HostPool::OwnHosts(_) => CreateError::NoOwnHost,
            });
        }
        let candidates = usable.iter().map(|host| {
            let is_here = new.template_hosts.as_ref().is_none_or(|hosts| hosts.contains(&host.id));
            let template = if is_here { TemplateIs::Here } else { TemplateIs::Elsewhere };
            self.candidate(host, template)
        });
        Ok(candidates
            .filter(|candidate| candidate.template == TemplateIs::Here || others == Others::CanFetch)
            .collect())
    }

    fn candidate(&self, host: &HostView, template: TemplateIs) -> Candidate {
        Candidate {
            host: host.id,
            template,
            capacity: Demand {
                vcpus: host.capacity.cpu_cores.into(),
                memory_mb: host.capacity.memory_mb,
                disk_mb: host.capacity.disk_mb,
            },
            reserved: self.ledger.reserved(host.id),
            disk_available_mb: host.load.map(|load| load.disk_available_mb),
        }
    }
}

impl Actor for PlacementActor {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        let (store, server) = (self.parts.store.clone(), self.parts.server);
        let read = async move {
            let reservations =
                until_answered("sandbox_reservations", || store.sandbox_reservations(server)).await;
            let in_flight = until_answered("sandboxes_in_flight", || store.sandboxes_in_flight(server)).await;
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
                actor.parts.sandboxes.wake(sandbox);
            }
        }));
    }
}

impl Supervised for PlacementActor {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.ledger = Ledger::default();
    }
}

impl Handler<Admit> for PlacementActor {
    type Result = AtomicResponse<Self, Result<Sandbox, CreateError>>;

    fn handle(&mut self, Admit { new, others, pool, intent }: Admit, _: &mut Context<Self>) -> Self::Result {
        let demand = Demand {
            vcpus: new.vcpus.into(),
            memory_mb: new.memory_mb.into(),
            disk_mb: new.disk_size_mb.into(),
        };
        let candidates = match self.candidates(&new, others, pool) {
            Ok(candidates) => candidates,
            Err(error) => return AtomicResponse::new(Box::pin(ready(Err(error)))),
        };
        let host = match choose(demand, &candidates, &self.parts.overcommit) {
            Ok(host) => host,
            Err(NoRoom::NoCandidate) => {
                return AtomicResponse::new(Box::pin(ready(Err(CreateError::NoHost))));
            }
            Err(NoRoom::Shortage(shortage)) => {
                return AtomicResponse::new(Box::pin(ready(Err(CreateError::NothingFits(shortage)))));
            }
        };
        let Some(held) = self.parts.hosts.held(host) else {
            // The host was lost a moment ago.
            return AtomicResponse::new(Box::pin(ready(Err(CreateError::NoHost))));
        };
        let store = self.parts.store.clone();
        let lost = if new.build.is_some() { CreateError::BuildOver } else { CreateError::HostMoved(host) };
        let insert = async move { store.sandbox_insert(&new, held.attachment, &intent).await };
        AtomicResponse::new(Box::pin(insert.into_actor(self).map(
            move |inserted: Result<Option<Sandbox>, InsertError>,
                  actor: &mut Self,
                  ctx: &mut Context<Self>| {
                let row = inserted.map_err(|error| match error {
                    InsertError::NotAdmitted(refusal) => CreateError::NotAdmitted(refusal),
                    InsertError::Store(error) => {
                        if !error.changed_nothing() {
                            // The row may be there all the same; the rows are read again.
                            ctx.fail("the outcome of an insert is unknown");
                        }
                        CreateError::Store(error)
                    }
                })?;
                let Some(row) = row else {
                    actor.parts.hosts.connections().check(host);
                    return Err(lost);
                };
                actor.ledger.reserve(row.id, host, demand);
                // Its actor finds the start in flight and sends it.
                actor.parts.sandboxes.wake(row.id);
                Ok(row)
            },
        )))
    }
}

impl Handler<Readmit> for PlacementActor {
    type Result = Result<(), Shortage>;

    fn handle(&mut self, Readmit(wanted): Readmit, _: &mut Context<Self>) -> Self::Result {
        let Reservation { sandbox, host, demand } = wanted;
        // What it holds already counts for it, not against it.
        let before = self.ledger.release(sandbox);
        let room = self.parts.hosts.view(host).map_or(Ok(()), |view| {
            // Its disk is there, however little is left.
            let candidate = Candidate { disk_available_mb: None, ..self.candidate(&view, TemplateIs::Here) };
            fits(demand, &candidate, &self.parts.overcommit)
        });
        match (&room, before) {
            (Ok(()), _) => self.ledger.reserve(sandbox, host, demand),
            (Err(_), Some((host, demand))) => self.ledger.reserve(sandbox, host, demand),
            (Err(_), None) => {}
        }
        room
    }
}

impl Handler<Taken> for PlacementActor {
    type Result = ();

    fn handle(&mut self, Taken(attachment): Taken, ctx: &mut Context<Self>) {
        let (store, host) = (self.parts.store.clone(), attachment.host);
        let read = async move { until_answered("sandboxes_of_host", || store.sandboxes_of_host(host)).await };
        ctx.wait(read.into_actor(self).map(move |rows: Vec<Sandbox>, actor: &mut Self, _| {
            actor.ledger.forget(host);
            for row in rows {
                let Reservation { sandbox, host, demand } = Reservation::of(&row, row.lifecycle.hold());
                actor.ledger.reserve(sandbox, host, demand);
                if row.lifecycle.operation.is_some() {
                    // An actor that lives knows the row of before.
                    actor.parts.sandboxes.tell(sandbox, RowRead(row.lifecycle));
                }
            }
        }));
    }
}

impl Handler<Lost> for PlacementActor {
    type Result = ();

    fn handle(&mut self, Lost(host): Lost, _: &mut Context<Self>) {
        self.ledger.forget(host);
    }
}

impl Handler<Held> for PlacementActor {
    type Result = ();

    fn handle(&mut self, Held(Reservation { sandbox, host, demand }): Held, _: &mut Context<Self>) {
        self.ledger.reserve(sandbox, host, demand);
    }
}

impl Rooms for Addr<PlacementActor> {
    fn held(&self, held: Held) {
        self.do_send(held);
    }

    fn taken(&self, taken: Taken) {
        self.do_send(taken);
    }

    fn lost(&self, lost: Lost) {
        self.do_send(lost);
    }

    fn readmit(&self, wanted: Readmit) -> BoxFuture<'static, Result<Result<(), Shortage>, CallError>> {
        let actor = self.clone();
        Box::pin(async move { call_within(&actor, wanted, READMITTED_WITHIN).await })
    }

    fn admit(&self, wanted: Admit) -> BoxFuture<'static, Result<Result<Sandbox, CreateError>, CallError>> {
        let actor = self.clone();
        Box::pin(async move { call_within(&actor, wanted, ADMITTED_WITHIN).await })
    }
}
