//! The means by which actors find each other without knowing each other.
//!
//! ```text
//!   SandboxActor ──▶ HostDirectory ─ ─ ▶ HostConnection      ──▶ holds the type
//!        ▲    └────▶ Placement ─ ─ ─ ─ ▶ PlacementActor      ─ ─ ▶ through a trait, bound when the runtime starts
//!        └─ SandboxDirectory ◀── HostConnection, PlacementActor
//! ```
//!
//! Everybody speaks to sandboxes, and sandboxes speak to hosts and to placement. So the directories of hosts and of
//! placement know their actors by a trait only ([`Late`]), and no module stands in a circle.

use std::{
    fmt::{self, Display},
    hash::Hash,
    sync::Arc,
    time::Duration,
};

use actix::{Addr, Context};
use parking_lot::RwLock;
use wrenn_base::{Backoff, Clock, Rng};
use wrenn_supervision::{
    ArbiterPool, Child, ChildHandle, ChildSpec, Registry, RestartLimit, Restartable, Root,
};

/// Questions that an actor may leave unanswered before it refuses more; each is short.
const CAPACITY: usize = 4096;

/// A part that is bound when the runtime starts, and released when it has ended; clones share it.
///
/// The part refers back to it, so it must be released: nothing of a control plane is freed before.
pub(crate) struct Late<T: ?Sized>(Arc<RwLock<Option<Arc<T>>>>);

impl<T: ?Sized> Late<T> {
    /// Binds the part.
    pub(crate) fn bind(&self, part: Arc<T>) {
        *self.0.write() = Some(part);
    }

    /// Lets the part go.
    pub(crate) fn release(&self) {
        let part = self.0.write().take();
        drop(part);
    }

    /// Returns the part; `None` before the runtime has started, and when it has ended.
    pub(crate) fn get(&self) -> Option<Arc<T>> {
        self.0.read().clone()
    }
}

impl<T: ?Sized> Default for Late<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: ?Sized> Clone for Late<T> {
    fn clone(&self) -> Self {
        Self(self.0.clone())
    }
}

impl<T: ?Sized> fmt::Debug for Late<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Late").field("is_bound", &self.get().is_some()).finish()
    }
}

/// The threads of the actors, and the rules by which an actor is started; clones share them.
#[derive(Debug, Clone)]
pub(crate) struct Arbiters {
    pool: Arc<ArbiterPool>,
    clock: Clock,
    rng: Rng,
}

impl Arbiters {
    pub(crate) fn new(pool: ArbiterPool, clock: Clock, rng: Rng) -> Self {
        Self { pool: Arc::new(pool), clock, rng }
    }

    /// Returns the source of chance.
    pub(crate) fn rng(&self) -> Rng {
        self.rng.clone()
    }

    /// Starts an actor on the thread that has the fewest.
    pub(crate) fn spawn<A: Restartable>(
        &self,
        kind: &'static str,
        name: String,
        factory: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
    ) -> Child<A> {
        self.pool.spawn(self.spec(kind, name), factory)
    }

    /// As [`spawn`](Self::spawn), for an actor without which the process is of no use: its end for good is `root`'s.
    pub(crate) fn spawn_under<A: Restartable>(
        &self,
        root: &Root,
        kind: &'static str,
        name: String,
        factory: impl FnOnce(&mut Context<A>) -> A + Send + 'static,
    ) -> Child<A> {
        self.pool.spawn(root.adopt(self.spec(kind, name)), factory)
    }

    /// A failure costs a moment, and many failures are no reason to give up on a sandbox or a host.
    fn spec(&self, kind: &'static str, name: String) -> ChildSpec {
        ChildSpec::new(kind, name, self.clock.clone(), self.rng.clone())
            .capacity(CAPACITY)
            .backoff(Backoff::new(Duration::from_millis(20), Duration::from_secs(5)))
            .limit(RestartLimit::new(30, Duration::from_secs(120)))
    }

    /// Returns the names of the arbiters and how many actors live on each.
    pub(crate) fn loads(&self) -> Vec<(String, usize)> {
        self.pool.loads()
    }
}

/// Actors of one kind, one for each key; started by whoever needs one first. Clones share the actors.
pub(crate) struct Living<K, A: Restartable, P> {
    kind: &'static str,
    registry: Registry<K, A>,
    arbiters: Arbiters,
    parts: P,
    make: fn(K, P) -> A,
}

impl<K, A, P> Living<K, A, P>
where
    K: Copy + Eq + Hash + Display + Send + 'static,
    A: Restartable,
    P: Clone + Send + 'static,
{
    /// Returns no actors yet; each will be made by `make` of its key and `parts`.
    pub(crate) fn new(kind: &'static str, arbiters: Arbiters, parts: P, make: fn(K, P) -> A) -> Self {
        Self { kind, registry: Registry::new(), arbiters, parts, make }
    }

    /// Returns the address of an actor, which is started if it does not live.
    pub(crate) fn address(&self, key: K) -> Addr<A> {
        let start = || {
            let (parts, make) = (self.parts.clone(), self.make);
            self.arbiters.spawn(self.kind, key.to_string(), move |_| make(key, parts))
        };
        self.registry.get_or_spawn(key, start).addr()
    }

    /// Returns the address of an actor if it lives.
    pub(crate) fn living(&self, key: K) -> Option<Addr<A>> {
        self.registry.get(&key)
    }

    /// Returns how many live.
    pub(crate) fn len(&self) -> usize {
        self.registry.len()
    }

    /// Returns the handles of those that live, to end them.
    pub(crate) fn handles(&self) -> Vec<ChildHandle> {
        let live = self.registry.live();
        live.iter().filter_map(|(key, _)| Some(self.registry.child(key)?.handle())).collect()
    }
}

impl<K, A: Restartable, P: Clone> Clone for Living<K, A, P> {
    fn clone(&self) -> Self {
        Self {
            kind: self.kind,
            registry: self.registry.clone(),
            arbiters: self.arbiters.clone(),
            parts: self.parts.clone(),
            make: self.make,
        }
    }
}
