//! What a parent decides about a child before it is started.

use std::{fmt, sync::Arc, time::Duration};

use actix::{Actor, Context, Recipient, Supervised};
use wrenn_base::{Backoff, Clock, Rng};

use crate::{exit::ChildExited, limit::RestartLimit};

/// A callback for the end of a child; runs on the child's arbiter and must not block.
pub(crate) type ExitCallback = Arc<dyn Fn(&ChildExited) + Send + Sync>;

/// Any actor that can be supervised; implemented for all that meet the bounds.
///
/// After a failure the same value is kept: [`Supervised::restarting`] has to throw away what may be half changed and
/// load the state again, then [`Actor::started`] runs as at first. An asynchronous reload belongs into
/// `ctx.wait(..)` there: messages stay queued until it is done.
pub trait Restartable: Actor<Context = Context<Self>> + Supervised {}

impl<A> Restartable for A where A: Actor<Context = Context<A>> + Supervised {}

/// The name of a child and the rules by which it is supervised.
///
/// ```
/// use std::time::Duration;
/// use wrenn_supervision::{Backoff, ChildSpec, RestartLimit};
///
/// # fn spec(clock: wrenn_base::Clock, rng: wrenn_base::Rng) -> ChildSpec {
/// ChildSpec::new("session", "session 42", clock, rng)
///     .backoff(Backoff::new(Duration::from_millis(50), Duration::from_secs(5)))
///     .limit(RestartLimit::new(5, Duration::from_secs(60)))
///     .on_exit(|exited| eprintln!("{} {}", exited.name, exited.reason))
/// # }
/// ```
#[derive(Clone)]
pub struct ChildSpec {
    pub(crate) kind: &'static str,
    pub(crate) name: String,
    pub(crate) backoff: Backoff,
    pub(crate) limit: RestartLimit,
    pub(crate) hang_after: Duration,
    pub(crate) capacity: usize,
    pub(crate) clock: Clock,
    pub(crate) rng: Rng,
    pub(crate) on_exit: Vec<ExitCallback>,
}

impl ChildSpec {
    /// Creates a spec with default rules: [`Backoff::default`], [`RestartLimit::default`], a hang after 10 s, and a
    /// capacity of 256.
    ///
    /// `kind` groups children in the counters (there should be few kinds); `name` is for people and logs. Restarts and
    /// hangs are told by `clock`, and `rng` spreads restarts.
    pub fn new(kind: &'static str, name: impl Into<String>, clock: Clock, rng: Rng) -> Self {
        Self {
            kind,
            name: name.into(),
            backoff: Backoff::default(),
            limit: RestartLimit::default(),
            hang_after: Duration::from_secs(10),
            capacity: 256,
            clock,
            rng,
            on_exit: Vec::new(),
        }
    }

    /// Sets how long to rest before each restart.
    pub fn backoff(mut self, backoff: Backoff) -> Self {
        self.backoff = backoff;
        self
    }

    /// Sets how many restarts are allowed before a failure escalates.
    pub fn limit(mut self, limit: RestartLimit) -> Self {
        self.limit = limit;
        self
    }

    /// Sets how long the actor may hold its thread in one go before a [`Watchdog`](crate::Watchdog) calls it a hang.
    pub fn hang_after(mut self, hang_after: Duration) -> Self {
        self.hang_after = hang_after;
        self
    }

    /// Sets how many unanswered [`call`](crate::call)s the actor accepts, at least 1; it is also actix's own mailbox
    /// capacity for other senders.
    pub fn capacity(mut self, capacity: usize) -> Self {
        self.capacity = capacity.clamp(1, tokio::sync::Semaphore::MAX_PERMITS);
        self
    }

    /// Adds a callback for the end of the child, whatever the reason.
    ///
    /// It runs once, on the child's arbiter, after the actor was dropped; it must not block. If the child could not
    /// reach its arbiter at all it runs on the spawning thread.
    pub fn on_exit(mut self, callback: impl Fn(&ChildExited) + Send + Sync + 'static) -> Self {
        self.on_exit.push(Arc::new(callback));
        self
    }

    /// Sends the end of the child to its parent, past the parent's mailbox capacity.
    ///
    /// The parent is held weakly, so parent and child do not keep each other alive. A parent that passes the failure
    /// on calls [`fail`](crate::SupervisedContext::fail) when [`ExitReason::is_escalation`] says so.
    ///
    /// [`ExitReason::is_escalation`]: crate::ExitReason::is_escalation
    pub fn notify(self, parent: Recipient<ChildExited>) -> Self {
        let parent = parent.downgrade();
        self.on_exit(move |exited| match parent.upgrade() {
            Some(parent) => parent.do_send(exited.clone()),
            None => tracing::warn!(
                kind = exited.kind,
                actor = %exited.name,
                reason = %exited.reason,
                "actor ended after its parent"
            ),
        })
    }
}

impl fmt::Debug for ChildSpec {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ChildSpec")
            .field("kind", &self.kind)
            .field("name", &self.name)
            .field("backoff", &self.backoff)
            .field("limit", &self.limit)
            .field("hang_after", &self.hang_after)
            .field("capacity", &self.capacity)
            .finish_non_exhaustive()
    }
}
