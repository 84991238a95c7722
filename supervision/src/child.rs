//! Starting a child, and the handles to it.

use std::{fmt, sync::Arc};

use actix::{Actor, Addr, Context, WeakAddr, dev::channel::channel};
use actix_rt::ArbiterHandle;

use crate::{
    core::{ChildCore, ChildSnapshot},
    exit::{ChildExited, ExitReason},
    runner::Seed,
    spec::{ChildSpec, Restartable},
};

/// Starts a supervised actor on `arbiter`, from any thread.
///
/// Returns at once; messages sent before the actor runs wait in its mailbox. `factory` runs on the arbiter, with the
/// actor's context. The actor then lives, whether or not anybody holds an address, until it stops itself, is killed,
/// exceeds its restart limit or its arbiter ends. If the arbiter has ended already the child ends as
/// [`ExitReason::Aborted`].
pub fn spawn<A, F>(arbiter: &ArbiterHandle, spec: ChildSpec, factory: F) -> Child<A>
where
    A: Restartable,
    F: FnOnce(&mut Context<A>) -> A + Send + 'static,
{
    let (child, seed) = prepare(spec, factory);
    // On failure the closure is dropped, and the seed's guard reports the child as aborted.
    let _ = arbiter.spawn_fn(move || {
        actix_rt::spawn(seed.into_runner());
    });
    child
}

/// Starts a supervised actor on the current arbiter; as [`spawn`], but `factory` need not be `Send`.
///
/// The factory runs when the arbiter gets to it, not within this call.
///
/// # Panics
/// Panics outside of an arbiter (as `actix_rt::spawn` does).
pub fn spawn_local<A, F>(spec: ChildSpec, factory: F) -> Child<A>
where
    A: Restartable,
    F: FnOnce(&mut Context<A>) -> A + 'static,
{
    let (child, seed) = prepare(spec, factory);
    actix_rt::spawn(seed.into_runner());
    child
}

fn prepare<A: Restartable, F>(spec: ChildSpec, factory: F) -> (Child<A>, Seed<A, F>) {
    let (sender, receiver) = channel(spec.capacity);
    let addr = Addr::new(sender);
    let core = ChildCore::register(&spec, &addr);
    let child = Child { addr, handle: ChildHandle { core: core.clone() } };
    (child, Seed::new(core, spec, receiver, factory))
}

/// Returns a snapshot of every child of this process that has not ended, sorted by kind and name.
pub fn children_snapshot() -> Vec<ChildSnapshot> {
    let mut children: Vec<_> = ChildCore::all_alive().iter().map(|core| core.snapshot()).collect();
    children.sort_by(|a, b| (a.kind, &a.name).cmp(&(b.kind, &b.name)));
    children
}

/// A supervised actor: its address and the power over its life. Dropping it does not stop the actor.
pub struct Child<A: Actor> {
    addr: Addr<A>,
    handle: ChildHandle,
}

impl<A: Actor> Child<A> {
    pub(crate) fn from_parts(addr: Addr<A>, handle: ChildHandle) -> Self {
        Self { addr, handle }
    }

    /// Returns its address, which stays the same over restarts.
    pub fn addr(&self) -> Addr<A> {
        self.addr.clone()
    }

    /// Returns its weak address; it can be upgraded until the actor has ended.
    pub fn weak(&self) -> WeakAddr<A> {
        self.addr.downgrade()
    }

    /// Returns a handle that knows neither the actor's type nor its address.
    pub fn handle(&self) -> ChildHandle {
        self.handle.clone()
    }

    /// Ends the actor, see [`ChildHandle::kill`].
    pub fn kill(&self) {
        self.handle.kill();
    }

    /// Waits until the actor has ended, see [`ChildHandle::wait_exit`].
    pub async fn wait_exit(&self) -> ExitReason {
        self.handle.wait_exit().await
    }

    /// Returns its state and counters.
    pub fn snapshot(&self) -> ChildSnapshot {
        self.handle.snapshot()
    }
}

impl<A: Actor> Clone for Child<A> {
    fn clone(&self) -> Self {
        Self { addr: self.addr.clone(), handle: self.handle.clone() }
    }
}

impl<A: Actor> fmt::Debug for Child<A> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.handle.fmt(f)
    }
}

/// The power over the life of a supervised actor of any type, without its address.
#[derive(Clone)]
pub struct ChildHandle {
    core: Arc<ChildCore>,
}

impl ChildHandle {
    pub(crate) fn id(&self) -> u64 {
        self.core.id
    }

    /// Returns the kind, as in the spec.
    pub fn kind(&self) -> &'static str {
        self.core.kind
    }

    /// Returns the name, as in the spec.
    pub fn name(&self) -> &str {
        &self.core.name
    }

    /// Ends the actor without asking it: no more messages, no `stopping()`, no `stopped()`; its value and its futures
    /// are dropped.
    ///
    /// Never waits behind the mailbox; works during a back-off and while the actor awaits. Only the handler that is
    /// holding the arbiter's thread right now delays it, since Rust cannot interrupt that. Killing twice, or after the
    /// end, is harmless.
    pub fn kill(&self) {
        self.core.request_kill();
    }

    /// Waits until the actor has ended: it was dropped, its mailbox closed and its exit callbacks have run.
    pub async fn wait_exit(&self) -> ExitReason {
        self.core.wait_exit().await
    }

    /// Runs `callback` once when the actor has ended, at once if it already has; as [`ChildSpec::on_exit`].
    pub fn on_exit(&self, callback: impl FnOnce(&ChildExited) + Send + 'static) {
        self.core.add_exit_hook(Box::new(callback));
    }

    /// Returns its state and counters.
    pub fn snapshot(&self) -> ChildSnapshot {
        self.core.snapshot()
    }
}

impl fmt::Debug for ChildHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Child").field(&self.core.snapshot()).finish()
    }
}
