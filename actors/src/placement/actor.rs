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
use wrenn_domain::{
    audit::AuditIntent,
    host::HostStatus,
    lifecycle::Hold,
    placement::{Candidate, Demand, NoRoom, Shortage, TemplateIs, choose, fits},
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_proto::ids::{HostId, SandboxId};
use wrenn_store::StoreError;
use wrenn_supervision::SupervisedContext;

use super::ledger::Ledger;
use crate::{CreateError, host::board::HostView, retry::until_answered, shared::Shared};

/// Make a sandbox, if there is room for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sandbox, CreateError>")]
pub(crate) struct Admit {
    pub(crate) new: NewSandbox,
    pub(crate) others: Others,
    /// The audit entry that is written with the row.
    pub(crate) intent: AuditIntent,
}

/// What about hosts that do not have the template?
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Others {
    /// They can fetch it.
    CanFetch,
    /// They cannot: nobody is there from whom.
    CannotFetch,
}

/// A sandbox that holds less than a machine is to run again: reserve the rest, if its host has room for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<(), Shortage>")]
pub(crate) struct Readmit(Reservation);

impl Readmit {
    /// Asks for room for `hold` of this sandbox.
    pub(crate) fn of(row: &Sandbox, hold: Hold) -> Self {
        Self(Reservation::of(row, hold))
    }
}

/// A sandbox holds this much now; that is so, whatever there is room for.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Held(Reservation);

impl Held {
    /// Says that this sandbox holds `hold`.
    pub(crate) fn by(row: &Sandbox, hold: Hold) -> Self {
        Self(Reservation::of(row, hold))
    }
}

/// How much one sandbox holds of its host.
#[derive(Debug, Clone, Copy)]
struct Reservation {
    sandbox: SandboxId,
    host: HostId,
    demand: Demand,
}

impl Reservation {
    fn of(row: &Sandbox, hold: Hold) -> Self {
        let whole = Demand {
            vcpus: row.vcpus.into(),
            memory_mb: row.memory_mb.into(),
            disk_mb: row.disk_size_mb.into(),
        };
        Self { sandbox: row.id, host: row.host_id, demand: whole.held(hold) }
    }
}

pub(crate) struct Placement {
    shared: Arc<Shared>,
    ledger: Ledger,
}

impl Placement {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, ledger: Ledger::default() }
    }

    /// The attached hosts that this team may use, and that have the template or can get it.
    fn candidates(&self, new: &NewSandbox, others: Others) -> Vec<Candidate> {
        let hosts = self.shared.board.snapshot();
        let usable = hosts.into_iter().filter(|host| {
            host.status == HostStatus::Online && host.team_id.is_none_or(|team| team == new.team_id)
        });
        let candidates = usable.map(|host| {
            let is_here = new.template_hosts.as_ref().is_none_or(|hosts| hosts.contains(&host.id));
            let template = if is_here { TemplateIs::Here } else { TemplateIs::Elsewhere };
            self.candidate(&host, template)
        });
        candidates
            .filter(|candidate| candidate.template == TemplateIs::Here || others == Others::CanFetch)
            .collect()
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

    fn handle(&mut self, Admit { new, others, intent }: Admit, _: &mut Context<Self>) -> Self::Result {
        let demand = Demand {
            vcpus: new.vcpus.into(),
            memory_mb: new.memory_mb.into(),
            disk_mb: new.disk_size_mb.into(),
        };
        let host = match choose(demand, &self.candidates(&new, others), &self.shared.config.overcommit) {
            Ok(host) => host,
            Err(NoRoom::NoCandidate) => {
                return AtomicResponse::new(Box::pin(ready(Err(CreateError::NoHost))));
            }
            Err(NoRoom::Shortage(shortage)) => {
                return AtomicResponse::new(Box::pin(ready(Err(CreateError::NothingFits(shortage)))));
            }
        };
        let store = self.shared.store.clone();
        let insert = async move { store.sandbox_insert(&new, host, &intent).await };
        AtomicResponse::new(Box::pin(insert.into_actor(self).map(
            move |inserted: Result<Option<Sandbox>, StoreError>,
                  actor: &mut Self,
                  ctx: &mut Context<Self>| {
                let row = inserted.map_err(|error| {
                    if !error.changed_nothing() {
                        // The row may be there all the same; the rows are read again.
                        ctx.fail("the outcome of an insert is unknown");
                    }
                    CreateError::Store(error)
                })?;
                let row = row.ok_or(CreateError::BuildOver)?;
                actor.ledger.reserve(row.id, host, demand);
                // Its actor finds the start in flight and sends it.
                actor.shared.sandbox(row.id);
                Ok(row)
            },
        )))
    }
}

impl Handler<Readmit> for Placement {
    type Result = Result<(), Shortage>;

    fn handle(&mut self, Readmit(wanted): Readmit, _: &mut Context<Self>) -> Self::Result {
        let Reservation { sandbox, host, demand } = wanted;
        // What it holds already counts for it, not against it.
        let before = self.ledger.release(sandbox);
        let room = self.shared.board.view(host).map_or(Ok(()), |view| {
            // Its disk is there, however little is left.
            let candidate = Candidate { disk_available_mb: None, ..self.candidate(&view, TemplateIs::Here) };
            fits(demand, &candidate, &self.shared.config.overcommit)
        });
        match (&room, before) {
            (Ok(()), _) => self.ledger.reserve(sandbox, host, demand),
            (Err(_), Some((host, demand))) => self.ledger.reserve(sandbox, host, demand),
            (Err(_), None) => {}
        }
        room
    }
}

impl Handler<Held> for Placement {
    type Result = ();

    fn handle(&mut self, Held(Reservation { sandbox, host, demand }): Held, _: &mut Context<Self>) {
        self.ledger.reserve(sandbox, host, demand);
    }
}
