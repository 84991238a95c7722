//! The mailbox of a supervised actor, emptied by a loop of our own.
//!
//! actix's loop hands an actor every queued message in one go: a kill that arrives meanwhile waits for all of them,
//! siblings on the same thread starve, and pending cancellations leak into the next incarnation. So the context gets
//! an idle mailbox, and the real one is read by a [`Pump`], a future of the context like any other:
//!
//! ```text
//!   Addr ──► Inbox (kept by the runner over restarts)
//!              ▲ reads, one message at a time; stops when told to, rests after a batch
//!            Pump (one per incarnation, polled by actix with the actor and its context)
//!              └──► Handler::handle
//! ```
//!
//! To the actor nothing differs: `ctx.address()` is the address that everybody has, `ctx.wait(..)` holds messages
//! back, `ctx.stop()` ends them.

use std::{
    cell::{Cell, RefCell},
    pin::Pin,
    rc::Rc,
    sync::Arc,
    task::{Context as TaskContext, Poll},
};

use actix::{
    Actor, ActorFuture, AsyncContext, Context,
    dev::{ContextParts, EnvelopeProxy, channel::AddressReceiver},
};
use futures_util::StreamExt;

use crate::core::ChildCore;

/// Messages handled in one turn before the other actors of the thread get theirs.
const MESSAGES_PER_TURN: u32 = 32;

/// The receiving end of an actor's address.
pub(crate) struct Inbox<A: Actor> {
    shared: Rc<Shared<A>>,
}

struct Shared<A: Actor> {
    receiver: RefCell<AddressReceiver<A>>,
    core: Arc<ChildCore>,
    pumping: Cell<bool>,
    /// Messages that may still be handled in this turn. actix may poll a future several times in a turn.
    budget: Cell<u32>,
}

impl<A: Actor<Context = Context<A>>> Inbox<A> {
    pub(crate) fn new(receiver: AddressReceiver<A>, core: Arc<ChildCore>) -> Self {
        let shared = Shared {
            receiver: RefCell::new(receiver),
            core,
            pumping: Cell::new(false),
            budget: Cell::new(0),
        };
        Self { shared: Rc::new(shared) }
    }

    /// Returns the inside of a new context whose address is this inbox's.
    pub(crate) fn context_parts(&self) -> ContextParts<A> {
        ContextParts::new(self.shared.receiver.borrow().sender_producer())
    }

    /// Begins a turn.
    pub(crate) fn refill(&self) {
        self.shared.budget.set(MESSAGES_PER_TURN);
    }

    /// Makes sure that the context reads this inbox; returns true if it did not.
    ///
    /// Needed at the begin of each incarnation, and whenever the actor cancelled the pump: actix numbers futures anew
    /// after a restart, so a handle that the actor kept from before may mean the pump now.
    pub(crate) fn attach(&self, ctx: &mut Context<A>) -> bool {
        if self.shared.pumping.replace(true) {
            return false;
        }
        ctx.spawn(Pump { shared: self.shared.clone() });
        true
    }
}

struct Pump<A: Actor> {
    shared: Rc<Shared<A>>,
}

impl<A: Actor<Context = Context<A>>> ActorFuture<A> for Pump<A> {
    type Output = ();

    fn poll(
        self: Pin<&mut Self>,
        actor: &mut A,
        ctx: &mut Context<A>,
        task: &mut TaskContext<'_>,
    ) -> Poll<()> {
        let Shared { receiver, core, budget, .. } = &*self.shared;
        // The context polls all its futures again when the waiting is over.
        while !ctx.waiting() && !core.is_interrupted() {
            let Some(left) = budget.get().checked_sub(1) else {
                task.waker().wake_by_ref();
                break;
            };
            // The borrow ends before the handler runs, which may do anything.
            let next = receiver.borrow_mut().poll_next_unpin(task);
            match next {
                Poll::Ready(Some(mut message)) => {
                    budget.set(left);
                    message.handle(actor, ctx);
                }
                Poll::Ready(None) | Poll::Pending => break,
            }
        }
        Poll::Pending
    }
}

impl<A: Actor> Drop for Pump<A> {
    fn drop(&mut self) {
        self.shared.pumping.set(false);
    }
}
