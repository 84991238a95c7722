//! The part of a child that every handle shares with its runner: identity, state, counters, the way out.
//!
//! The runner alone drives the state; handles read it and leave requests (kill, a declared failure) that the
//! runner finds when it is woken. Nothing here goes through the mailbox.

use std::{
    collections::HashMap,
    hash::{DefaultHasher, Hash, Hasher},
    panic::{AssertUnwindSafe, catch_unwind},
    sync::{
        Arc, LazyLock,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use actix::{Actor, Addr};
use futures_util::task::AtomicWaker;
use parking_lot::{Mutex, RwLock};
use tokio::sync::{Semaphore, watch};
use tokio_util::sync::CancellationToken;
use wrenn_base::Clock;

use crate::{
    counters::KindCounters,
    exit::{ChildExited, ExitReason, Failure, panic_message},
    spec::ChildSpec,
};

static NEXT_ID: AtomicU64 = AtomicU64::new(1);

/// Every child that has not ended, by its [`address_key`].
static ALIVE: LazyLock<RwLock<HashMap<u64, Arc<ChildCore>>>> = LazyLock::new(RwLock::default);

type ExitHook = Box<dyn FnOnce(&ChildExited) + Send>;

/// Where a child is in its life.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ChildState {
    /// Its factory has not run yet.
    Starting,
    /// An incarnation of it is alive.
    Running,
    /// It failed and rests before its restart; messages queue up.
    BackingOff,
    /// It ended.
    Exited(ExitReason),
}

/// A child at one moment, for operators and tests.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ChildSnapshot {
    /// The kind, as in its spec.
    pub kind: &'static str,
    /// The name, as in its spec.
    pub name: String,
    /// Where it is in its life.
    pub state: ChildState,
    /// The number of its current (or last) incarnation, counted from 1; 0 before its factory ran.
    pub incarnation: u64,
    /// Restarts that were begun.
    pub restarts: u64,
    /// Panics caught.
    pub panics: u64,
    /// Failures it declared itself.
    pub declared_failures: u64,
    /// Hangs that a watchdog reported.
    pub hangs: u64,
    /// Calls accepted and not answered yet.
    pub calls_in_flight: usize,
    /// Its latest failure.
    pub last_failure: Option<Failure>,
}

pub(crate) struct ChildCore {
    pub(crate) id: u64,
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) hang_after: Duration,
    pub(crate) clock: Clock,
    counters: Arc<KindCounters>,
    /// Wakes the runner, wherever it is waiting.
    pub(crate) waker: AtomicWaker,
    /// One permit per unanswered call.
    pub(crate) calls: Arc<Semaphore>,
    capacity: usize,
    address_key: u64,
    kill_requested: AtomicBool,
    inner: Mutex<Inner>,
    exit: watch::Sender<Option<ExitReason>>,
}

struct Inner {
    state: ChildState,
    incarnation: u64,
    /// Cancelled when the incarnation ends.
    token: CancellationToken,
    /// A failure that the current incarnation declared and the runner has not seen yet.
    declared: Option<String>,
    exit_hooks: Vec<ExitHook>,
    restarts: u64,
    panics: u64,
    declared_failures: u64,
    hangs: u64,
    last_failure: Option<Failure>,
}

impl ChildCore {
    /// Registers a new child whose mailbox is `addr`.
    pub(crate) fn register<A: Actor>(spec: &ChildSpec, addr: &Addr<A>) -> Arc<Self> {
        let core = Arc::new(Self {
            id: NEXT_ID.fetch_add(1, Ordering::Relaxed),
            kind: spec.kind,
            name: spec.name.clone(),
            hang_after: spec.hang_after,
            clock: spec.clock.clone(),
            counters: KindCounters::of(spec.kind),
            waker: AtomicWaker::new(),
            calls: Arc::new(Semaphore::new(spec.capacity)),
            capacity: spec.capacity,
            address_key: address_key(addr),
            kill_requested: AtomicBool::new(false),
            inner: Mutex::new(Inner {
                state: ChildState::Starting,
                incarnation: 0,
                token: CancellationToken::new(),
                declared: None,
                exit_hooks: Vec::new(),
                restarts: 0,
                panics: 0,
                declared_failures: 0,
                hangs: 0,
                last_failure: None,
            }),
            exit: watch::Sender::new(None),
        });
        for callback in &spec.on_exit {
            let callback = callback.clone();
            core.add_exit_hook(Box::new(move |exited| callback(exited)));
        }
        core.counters.alive.fetch_add(1, Ordering::Relaxed);
        ALIVE.write().insert(core.address_key, core.clone());
        core
    }

    /// Finds the living child behind an address; none for actors that are not supervised.
    pub(crate) fn of_address<A: Actor>(addr: &Addr<A>) -> Option<Arc<Self>> {
        ALIVE.read().get(&address_key(addr)).cloned()
    }

    pub(crate) fn all_alive() -> Vec<Arc<Self>> {
        ALIVE.read().values().cloned().collect()
    }

    pub(crate) fn request_kill(&self) {
        self.kill_requested.store(true, Ordering::Release);
        self.waker.wake();
    }

    pub(crate) fn kill_requested(&self) -> bool {
        self.kill_requested.load(Ordering::Acquire)
    }

    /// Notes that `incarnation` cannot go on; ignored if it is not the current one. The first reason wins.
    pub(crate) fn declare_failure(&self, incarnation: u64, reason: String) {
        let mut inner = self.inner.lock();
        if inner.incarnation == incarnation && inner.state == ChildState::Running && inner.declared.is_none()
        {
            inner.declared = Some(reason);
            drop(inner);
            self.waker.wake();
        }
    }

    /// Returns true if the runner has to act before the actor goes on: a kill or a declared failure waits.
    pub(crate) fn is_interrupted(&self) -> bool {
        self.kill_requested() || self.inner.lock().declared.is_some()
    }

    pub(crate) fn take_declared_failure(&self) -> Option<Failure> {
        self.inner.lock().declared.take().map(Failure::Declared)
    }

    /// Begins the next incarnation; its number and token are in force before any of its code runs.
    pub(crate) fn begin_incarnation(&self) {
        let mut inner = self.inner.lock();
        inner.incarnation += 1;
        inner.token = CancellationToken::new();
        inner.declared = None;
        inner.state = ChildState::Running;
        if inner.incarnation > 1 {
            inner.restarts += 1;
            self.counters.restarts.fetch_add(1, Ordering::Relaxed);
        }
    }

    /// Ends the current incarnation because it failed.
    pub(crate) fn end_incarnation(&self, failure: &Failure) {
        let mut inner = self.inner.lock();
        inner.state = ChildState::BackingOff;
        inner.declared = None;
        Self::note_failure(&mut inner, &self.counters, failure);
        let token = inner.token.clone();
        drop(inner);
        token.cancel();
    }

    /// Counts a failure that ends no incarnation, such as a panic on drop.
    pub(crate) fn count_failure(&self, failure: &Failure) {
        Self::note_failure(&mut self.inner.lock(), &self.counters, failure);
    }

    fn note_failure(inner: &mut Inner, counters: &KindCounters, failure: &Failure) {
        match failure {
            Failure::Panic(_) => {
                inner.panics += 1;
                counters.panics.fetch_add(1, Ordering::Relaxed);
            }
            Failure::Declared(_) => {
                inner.declared_failures += 1;
                counters.declared_failures.fetch_add(1, Ordering::Relaxed);
            }
        }
        inner.last_failure = Some(failure.clone());
    }

    pub(crate) fn count_start(&self) {
        self.counters.starts.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn count_hang(&self) {
        self.inner.lock().hangs += 1;
        self.counters.hangs.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn incarnation(&self) -> (u64, CancellationToken) {
        let inner = self.inner.lock();
        (inner.incarnation, inner.token.clone())
    }

    /// Runs `hook` when the child has ended; at once if it already has.
    pub(crate) fn add_exit_hook(&self, hook: ExitHook) {
        let mut inner = self.inner.lock();
        if let ChildState::Exited(reason) = &inner.state {
            let exited = self.exited(reason.clone());
            drop(inner);
            self.run_exit_hook(hook, &exited);
        } else {
            inner.exit_hooks.push(hook);
        }
    }

    /// Publishes the end: state, token and counters first, then the hooks, then those who wait for it.
    ///
    /// The actor must have been dropped by now. Only the first call has an effect.
    pub(crate) fn finish(&self, reason: ExitReason) {
        let mut inner = self.inner.lock();
        if matches!(inner.state, ChildState::Exited(_)) {
            return;
        }
        inner.state = ChildState::Exited(reason.clone());
        inner.declared = None;
        let hooks = std::mem::take(&mut inner.exit_hooks);
        let token = inner.token.clone();
        drop(inner);
        token.cancel();
        ALIVE.write().remove(&self.address_key);
        self.count_exit(&reason);
        let exited = self.exited(reason.clone());
        for hook in hooks {
            self.run_exit_hook(hook, &exited);
        }
        self.exit.send_replace(Some(reason));
    }

    fn count_exit(&self, reason: &ExitReason) {
        self.counters.alive.fetch_sub(1, Ordering::Relaxed);
        let counter = match reason {
            ExitReason::Stopped => &self.counters.stops,
            ExitReason::Killed => &self.counters.kills,
            ExitReason::RestartLimitExceeded { .. } | ExitReason::StartFailed(_) => {
                &self.counters.escalations
            }
            ExitReason::Aborted => &self.counters.aborts,
        };
        counter.fetch_add(1, Ordering::Relaxed);
        if reason.is_escalation() {
            tracing::error!(kind = self.kind, actor = %self.name, reason = %reason, "actor failed for good");
        } else {
            tracing::debug!(kind = self.kind, actor = %self.name, reason = %reason, "actor ended");
        }
    }

    fn run_exit_hook(&self, hook: ExitHook, exited: &ChildExited) {
        if let Err(payload) = catch_unwind(AssertUnwindSafe(|| hook(exited))) {
            let message = panic_message(payload);
            tracing::error!(kind = self.kind, actor = %self.name, message, "exit callback panicked");
        }
    }

    fn exited(&self, reason: ExitReason) -> ChildExited {
        ChildExited { kind: self.kind, name: self.name.clone(), reason }
    }

    pub(crate) async fn wait_exit(&self) -> ExitReason {
        let mut exit = self.exit.subscribe();
        let reason = exit.wait_for(Option::is_some).await.ok().and_then(|reason| reason.clone());
        // The sender lives in `self`, so waiting cannot fail before there is a reason.
        reason.unwrap_or(ExitReason::Aborted)
    }

    /// Returns the number of calls that were accepted and not answered yet.
    pub(crate) fn calls_in_flight(&self) -> usize {
        self.capacity - self.calls.available_permits()
    }

    pub(crate) fn snapshot(&self) -> ChildSnapshot {
        let inner = self.inner.lock();
        ChildSnapshot {
            kind: self.kind,
            name: self.name.clone(),
            state: inner.state.clone(),
            incarnation: inner.incarnation,
            restarts: inner.restarts,
            panics: inner.panics,
            declared_failures: inner.declared_failures,
            hangs: inner.hangs,
            calls_in_flight: self.calls_in_flight(),
            last_failure: inner.last_failure.clone(),
        }
    }
}

/// Identifies a mailbox among the living ones: actix compares and hashes addresses by the mailbox behind them.
fn address_key<A: Actor>(addr: &Addr<A>) -> u64 {
    let mut hasher = DefaultHasher::new();
    addr.hash(&mut hasher);
    hasher.finish()
}
