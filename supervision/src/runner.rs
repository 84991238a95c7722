//! The task that runs one supervised actor: it polls actix's own context future, and survives it.
//!
//! ```text
//!            factory                 panic / declared failure
//!  New ───────────────► Running ───────────────────────────────► BackingOff
//!   │ panic                │ ▲                                      │   │
//!   │                      │ └─── restarting(), started() ──────────┘   │
//!   │                      │      (a panic there is the next failure)   │
//!   ▼                      ▼                                            ▼
//!  StartFailed     Stopped / Killed / Aborted / RestartLimitExceeded   Killed / Aborted
//! ```
//!
//! The runner keeps the [`Inbox`], so the address stays valid and messages stay queued. A panic unwinds out of the
//! `poll` of actix's `ContextFut` and is caught there; `ContextFut::restart` then drops the futures of the old
//! incarnation and calls `restarting()`. All user code runs under [`Runner::guarded`], also what runs on drop.

use std::{
    future::Future,
    panic::{AssertUnwindSafe, catch_unwind},
    pin::Pin,
    sync::Arc,
    task::{Context as TaskContext, Poll, ready},
    time::Duration,
};

use actix::{
    Actor, ActorContext, ActorState, Context,
    dev::{
        AsyncContextParts, ContextFut,
        channel::{AddressReceiver, AddressSender, channel},
    },
};
use futures_util::future::BoxFuture;
use wrenn_base::{Backoff, Clock, Rng};

use crate::{
    core::ChildCore,
    exit::{ExitReason, Failure},
    inbox::Inbox,
    limit::{FailureWindow, Verdict},
    polling::PollScope,
    spec::{ChildSpec, Restartable},
};

/// Reports the child as aborted when it is dropped and nothing else was reported before.
struct ExitGuard(Arc<ChildCore>);

impl Drop for ExitGuard {
    fn drop(&mut self) {
        self.0.finish(ExitReason::Aborted);
    }
}

/// A runner on its way to its arbiter.
pub(crate) struct Seed<A: Actor, F> {
    spec: ChildSpec,
    receiver: AddressReceiver<A>,
    factory: F,
    // Last, so that the mailbox is closed before the end is reported.
    guard: ExitGuard,
}

impl<A, F> Seed<A, F>
where
    A: Restartable,
{
    pub(crate) fn new(
        core: Arc<ChildCore>,
        spec: ChildSpec,
        receiver: AddressReceiver<A>,
        factory: F,
    ) -> Self {
        Self { spec, receiver, factory, guard: ExitGuard(core) }
    }

    pub(crate) fn into_runner(self) -> Runner<A>
    where
        F: FnOnce(&mut Context<A>) -> A + 'static,
    {
        let Self { spec, receiver, factory, guard } = self;
        Runner {
            phase: Phase::New { receiver, factory: Box::new(factory) },
            backoff: spec.backoff,
            failures: FailureWindow::new(spec.limit),
            rng: spec.rng,
            guard,
        }
    }
}

type Factory<A> = Box<dyn FnOnce(&mut Context<A>) -> A>;

/// The living part of an actor; boxed, since it moves between phases.
struct Body<A: Restartable> {
    /// The actor with its context. Its mailbox is idle, see [`Inbox`].
    fut: ContextFut<A, Context<A>>,
    // After the context: the messages left over are dropped last.
    inbox: Inbox<A>,
    /// `ContextFut::restart` refuses if nobody could send to its mailbox.
    _idle_sender: AddressSender<A>,
}

enum Phase<A: Restartable> {
    New { receiver: AddressReceiver<A>, factory: Factory<A> },
    Running(Box<Body<A>>),
    BackingOff { body: Box<Body<A>>, until: BoxFuture<'static, ()> },
    Ended,
}

pub(crate) struct Runner<A: Restartable> {
    phase: Phase<A>,
    backoff: Backoff,
    failures: FailureWindow,
    rng: Rng,
    guard: ExitGuard,
}

/// Waits before a restart.
fn rest(clock: Clock, delay: Duration) -> BoxFuture<'static, ()> {
    Box::pin(async move { clock.sleep(delay).await })
}

impl<A: Restartable> Future for Runner<A> {
    type Output = ();

    fn poll(self: Pin<&mut Self>, cx: &mut TaskContext<'_>) -> Poll<()> {
        let this = self.get_mut();
        this.core().waker.register(cx.waker());
        loop {
            if let Some(reason) = ready!(this.step(cx)) {
                this.end(reason);
                return Poll::Ready(());
            }
        }
    }
}

impl<A: Restartable> Runner<A> {
    /// Goes on as far as the phase allows: ready with a reason to end, or with none if the phase changed.
    fn step(&mut self, cx: &mut TaskContext<'_>) -> Poll<Option<ExitReason>> {
        if self.core().kill_requested() {
            return Poll::Ready(Some(ExitReason::Killed));
        }
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::New { receiver, factory } => Poll::Ready(self.build(receiver, factory)),
            Phase::Running(body) => self.poll_running(body, cx),
            Phase::BackingOff { body, mut until } => {
                if until.as_mut().poll(cx).is_pending() {
                    self.phase = Phase::BackingOff { body, until };
                    return Poll::Pending;
                }
                Poll::Ready(self.restart(body))
            }
            // Never polled again after its end; should it be, the end stays what it was.
            Phase::Ended => Poll::Ready(Some(ExitReason::Stopped)),
        }
    }

    fn core(&self) -> &Arc<ChildCore> {
        &self.guard.0
    }

    /// Runs code of the actor: its panics become failures, and the thread is marked as running it.
    fn guarded<T>(core: &Arc<ChildCore>, code: impl FnOnce() -> T) -> Result<T, Failure> {
        let _scope = PollScope::enter(core);
        catch_unwind(AssertUnwindSafe(code)).map_err(|payload| {
            let failure = Failure::from_panic(payload);
            tracing::error!(kind = core.kind, actor = %core.name, failure = %failure, "actor panicked");
            failure
        })
    }

    fn build(&mut self, receiver: AddressReceiver<A>, factory: Factory<A>) -> Option<ExitReason> {
        let core = self.core().clone();
        core.begin_incarnation();
        let inbox = Inbox::new(receiver, core.clone());
        let (idle_sender, idle_receiver) = channel(1);
        let mut ctx = Context::with_receiver(idle_receiver);
        *ctx.parts() = inbox.context_parts();
        let built = Self::guarded(&core, || {
            let actor = factory(&mut ctx);
            inbox.attach(&mut ctx);
            ctx.into_future(actor)
        });
        match built {
            Ok(fut) => {
                core.count_start();
                self.phase = Phase::Running(Box::new(Body { fut, inbox, _idle_sender: idle_sender }));
                None
            }
            Err(failure) => {
                core.count_failure(&failure);
                self.drop_guarded(inbox);
                Some(ExitReason::StartFailed(failure))
            }
        }
    }

    /// Polls the actor once; as [`step`](Self::step).
    fn poll_running(&mut self, mut body: Box<Body<A>>, cx: &mut TaskContext<'_>) -> Poll<Option<ExitReason>> {
        let core = self.core().clone();
        if let Some(failure) = core.take_declared_failure() {
            return Poll::Ready(self.fail(body, failure));
        }
        body.inbox.refill();
        let polled = Self::guarded(&core, || Pin::new(&mut body.fut).poll(cx));
        match polled {
            Ok(Poll::Ready(())) => {
                self.dispose(body);
                Poll::Ready(Some(ExitReason::Stopped))
            }
            Ok(Poll::Pending) => {
                let has_more_to_do = body.inbox.attach(body.fut.ctx()) || core.is_interrupted();
                self.phase = Phase::Running(body);
                if has_more_to_do { Poll::Ready(None) } else { Poll::Pending }
            }
            Err(failure) => match body.fut.ctx().state() {
                // It had decided to stop; that decision stands.
                ActorState::Stopping | ActorState::Stopped => {
                    core.count_failure(&failure);
                    self.dispose(body);
                    Poll::Ready(Some(ExitReason::Stopped))
                }
                ActorState::Started | ActorState::Running => Poll::Ready(self.fail(body, failure)),
            },
        }
    }

    /// Takes note of a failure and rests, or returns the reason to end if the limit is spent.
    fn fail(&mut self, body: Box<Body<A>>, failure: Failure) -> Option<ExitReason> {
        let core = self.core().clone();
        core.end_incarnation(&failure);
        match self.failures.record(core.clock.now(), failure.clone()) {
            Verdict::Restart { failures_in_window } => {
                let delay = self.backoff.delay(failures_in_window, &mut self.rng);
                let delay_ms = u64::try_from(delay.as_millis()).unwrap_or(u64::MAX);
                tracing::warn!(
                    kind = core.kind, actor = %core.name, failure = %failure, failures_in_window, delay_ms,
                    "actor failed and will be restarted"
                );
                self.phase = Phase::BackingOff { body, until: rest(core.clock.clone(), delay) };
                None
            }
            Verdict::Escalate { failures, within } => {
                self.dispose(body);
                Some(ExitReason::RestartLimitExceeded { failures, within })
            }
        }
    }

    /// Begins the next incarnation; returns the reason to end if even that failed once too often.
    fn restart(&mut self, mut body: Box<Body<A>>) -> Option<ExitReason> {
        let core = self.core().clone();
        core.begin_incarnation();
        tracing::info!(kind = core.kind, actor = %core.name, "restarting actor");
        let restarted = Self::guarded(&core, || {
            // Fresh parts: actix would carry cancellations of old futures over to new ones.
            *body.fut.ctx().parts() = body.inbox.context_parts();
            body.fut.restart();
            body.inbox.attach(body.fut.ctx());
        });
        match restarted {
            Ok(_) => {
                self.phase = Phase::Running(body);
                None
            }
            Err(failure) => self.fail(body, failure),
        }
    }

    /// Drops the actor without `stopping()` and `stopped()`.
    fn dispose(&self, mut body: Box<Body<A>>) {
        // A context that is not alive is dropped by actix without polling it once more.
        body.fut.ctx().terminate();
        self.drop_guarded(body);
    }

    /// Drops something that is or holds user code, and survives a panic of that.
    fn drop_guarded(&self, doomed: impl Sized) {
        let core = self.core();
        if let Err(failure) = Self::guarded(core, move || drop(doomed)) {
            core.count_failure(&failure);
        }
    }

    fn end(&mut self, reason: ExitReason) {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Running(body) | Phase::BackingOff { body, .. } => self.dispose(body),
            Phase::New { receiver, factory } => {
                self.drop_guarded(receiver);
                self.drop_guarded(factory);
            }
            Phase::Ended => {}
        }
        self.core().finish(reason);
    }
}

impl<A: Restartable> Drop for Runner<A> {
    fn drop(&mut self) {
        // Without effect after an ordinary end.
        self.end(ExitReason::Aborted);
    }
}
