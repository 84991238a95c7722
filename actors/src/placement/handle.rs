//! The way to placement.

use std::sync::Arc;

use actix::Message;
use futures_util::future::BoxFuture;
use wrenn_domain::{
    audit::AuditIntent,
    host::{Attachment, HostPool},
    lifecycle::Hold,
    placement::{Demand, Shortage},
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_proto::ids::{HostId, SandboxId};
use wrenn_supervision::CallError;

use crate::{CreateError, directory::Late};

/// Make a sandbox, if there is room for it.
#[derive(Debug, Message)]
#[rtype(result = "Result<Sandbox, CreateError>")]
pub(crate) struct Admit {
    pub(crate) new: NewSandbox,
    pub(crate) others: Others,
    /// The hosts on which the team's sandboxes run.
    pub(crate) pool: HostPool,
    /// The audit entry that is written with the row.
    pub(crate) intent: AuditIntent,
}

/// Usefulness of hosts that do not have the template.
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
pub(crate) struct Readmit(pub(super) Reservation);

/// A sandbox holds this much now; that is so, whatever there is room for.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Held(pub(super) Reservation);

/// This server speaks for a host from now on: what its sandboxes hold is read.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Taken(pub(super) Attachment);

/// Another server speaks for a host.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Lost(pub(super) HostId);

/// Share of its host that one sandbox holds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Reservation {
    pub(super) sandbox: SandboxId,
    pub(super) host: HostId,
    pub(super) demand: Demand,
}

impl Reservation {
    pub(super) fn of(row: &Sandbox, hold: Hold) -> Self {
        let whole = Demand {
            vcpus: row.vcpus.into(),
            memory_mb: row.memory_mb.into(),
            disk_mb: row.disk_size_mb.into(),
        };
        Self { sandbox: row.id, host: row.host_id, demand: whole.held(hold) }
    }
}

/// The actor of placement, as far as others speak to it.
pub(crate) trait Rooms: Send + Sync {
    /// Tells what a sandbox holds.
    fn held(&self, held: Held);

    /// Tells that this server speaks for a host from now on.
    fn taken(&self, taken: Taken);

    /// Tells that another server speaks for a host.
    fn lost(&self, lost: Lost);

    /// Asks for room for a sandbox that is there.
    fn readmit(&self, wanted: Readmit) -> BoxFuture<'static, Result<Result<(), Shortage>, CallError>>;

    /// Asks for a new sandbox.
    fn admit(&self, wanted: Admit) -> BoxFuture<'static, Result<Result<Sandbox, CreateError>, CallError>>;
}

/// The way to the one actor that decides where sandboxes go; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct Placement(Late<dyn Rooms>);

impl Placement {
    /// Binds the actor.
    pub(crate) fn bind(&self, rooms: Arc<dyn Rooms>) {
        self.0.bind(rooms);
    }

    /// Says that this server speaks for a host from now on.
    pub(crate) fn taken(&self, attachment: Attachment) {
        if let Some(rooms) = self.0.get() {
            rooms.taken(Taken(attachment));
        }
    }

    /// Says that another server speaks for a host.
    pub(crate) fn lost(&self, host: HostId) {
        if let Some(rooms) = self.0.get() {
            rooms.lost(Lost(host));
        }
    }

    /// Says that a sandbox holds `hold`.
    pub(crate) fn held(&self, row: &Sandbox, hold: Hold) {
        if let Some(rooms) = self.0.get() {
            rooms.held(Held(Reservation::of(row, hold)));
        }
    }

    /// Asks for room for `hold` of a sandbox, and reserves it.
    ///
    /// # Errors
    /// The shortage; or a [`CallError`], after which the room may be reserved.
    pub(crate) async fn readmit(&self, row: &Sandbox, hold: Hold) -> Result<Result<(), Shortage>, CallError> {
        let Some(rooms) = self.0.get() else { return Err(CallError::NotDelivered) };
        rooms.readmit(Readmit(Reservation::of(row, hold))).await
    }

    /// Chooses a host for a new sandbox, writes its row and begins its start.
    ///
    /// # Errors
    /// See [`CreateError`]; [`CreateError::Unanswered`] if the actor does not answer.
    pub(crate) async fn admit(&self, wanted: Admit) -> Result<Sandbox, CreateError> {
        let Some(rooms) = self.0.get() else { return Err(CreateError::Unanswered(CallError::NotDelivered)) };
        rooms.admit(wanted).await.map_err(CreateError::Unanswered)?
    }
}
