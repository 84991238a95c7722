//! The way to the actors of sandboxes.

use std::time::Duration;

use actix::{Addr, Handler, Message, dev::ToEnvelope};
use wrenn_proto::ids::SandboxId;
use wrenn_supervision::{CallError, ChildHandle, call_within};

use super::{actor::SandboxActor, load::SandboxParts};
use crate::directory::{Arbiters, Living};

/// Longest wait for an answer that needs no host.
pub(crate) const ANSWER_WITHIN: Duration = Duration::from_secs(30);

/// Finds the actor of a sandbox, and starts one where none lives; clones share the actors.
#[derive(Clone)]
pub(crate) struct SandboxDirectory(Living<SandboxId, SandboxActor, SandboxParts>);

impl SandboxDirectory {
    pub(crate) fn new(arbiters: Arbiters, parts: SandboxParts) -> Self {
        Self(Living::new("sandbox", arbiters, parts, SandboxActor::new))
    }

    /// Returns the address of a sandbox's actor, which is started if it does not live.
    pub(crate) fn address(&self, id: SandboxId) -> Addr<SandboxActor> {
        self.0.address(id)
    }

    /// Returns the address of a sandbox's actor if it lives.
    pub(crate) fn living(&self, id: SandboxId) -> Option<Addr<SandboxActor>> {
        self.0.living(id)
    }

    /// Returns how many actors live.
    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// Returns the actors that live, to end them.
    pub(crate) fn handles(&self) -> Vec<ChildHandle> {
        self.0.handles()
    }

    /// Starts a sandbox's actor, which takes up whatever is in flight.
    pub(crate) fn wake(&self, id: SandboxId) {
        self.address(id);
    }

    /// Tells a sandbox's actor, past the bound of its mailbox: the message must not get lost.
    pub(crate) fn tell<M>(&self, id: SandboxId, message: M)
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SandboxActor: Handler<M>,
        <SandboxActor as actix::Actor>::Context: ToEnvelope<SandboxActor, M>,
    {
        self.address(id).do_send(message);
    }

    /// Asks a sandbox's actor; once more if it ended meanwhile, which mostly means that it had nothing to do. A message
    /// that is asked this way may be executed twice.
    ///
    /// # Errors
    /// See [`CallError`].
    pub(crate) async fn ask<M>(&self, id: SandboxId, message: impl Fn() -> M) -> Result<M::Result, CallError>
    where
        M: Message + Send + 'static,
        M::Result: Send,
        SandboxActor: Handler<M>,
        <SandboxActor as actix::Actor>::Context: ToEnvelope<SandboxActor, M>,
    {
        match call_within(&self.address(id), message(), ANSWER_WITHIN).await {
            Err(CallError::NotDelivered | CallError::MayHaveExecuted) => {
                call_within(&self.address(id), message(), ANSWER_WITHIN).await
            }
            answer => answer,
        }
    }
}
