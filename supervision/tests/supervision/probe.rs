//! An actor that notes everything that happens to it and does what a test tells it, and ways to run it.

use std::{future::Future, sync::Arc, time::Duration};

use actix::prelude::*;
use parking_lot::Mutex;
use tokio::sync::oneshot;
use wrenn_base::{Clock, Rng};
use wrenn_supervision::{Backoff, ChildSpec, SupervisedContext};

/// Nothing in these tests takes this long unless it hangs.
const PATIENCE: Duration = Duration::from_secs(30);

/// Runs a test in an actix system of its own.
pub(crate) fn run<F: Future>(test: F) -> F::Output {
    System::new().block_on(async { tokio::time::timeout(PATIENCE, test).await.expect("the test hangs") })
}

/// Runs a test whose clock stands still while there is work to do, and jumps to the next timer otherwise.
pub(crate) fn run_paused<F: Future>(test: F) -> F::Output {
    let runtime = || {
        tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .expect("a runtime")
    };
    System::with_tokio_rt(runtime).block_on(test)
}

/// Lets virtual time pass, in a test of [`run_paused`]: nothing waits for it.
pub(crate) async fn passes(duration: Duration) {
    tokio::time::sleep(duration).await;
}

/// A spec that restarts at once, nearly without limit.
pub(crate) fn quick(kind: &'static str) -> ChildSpec {
    ChildSpec::new(kind, kind, Clock::process(), Rng::seeded(1))
        .backoff(Backoff::fixed(Duration::from_millis(1)))
        .limit(wrenn_supervision::RestartLimit::new(100, Duration::from_secs(3600)))
}

/// What happened, in order; shared by all incarnations.
#[derive(Clone, Default)]
pub(crate) struct Journal(Arc<Mutex<Vec<String>>>);

impl Journal {
    pub(crate) fn note(&self, entry: impl Into<String>) {
        self.0.lock().push(entry.into());
    }

    pub(crate) fn entries(&self) -> Vec<String> {
        self.0.lock().clone()
    }

    pub(crate) fn count(&self, entry: &str) -> usize {
        self.0.lock().iter().filter(|noted| *noted == entry).count()
    }
}

type Hook = Arc<dyn Fn(&mut Context<Probe>) + Send + Sync>;

/// What a probe does besides taking notes.
#[derive(Clone, Default)]
pub(crate) struct Hooks {
    pub(crate) started: Option<Hook>,
    pub(crate) restarting: Option<Hook>,
    pub(crate) stopping: Option<Hook>,
    pub(crate) stopped: Option<Hook>,
    pub(crate) dropped: Option<Arc<dyn Fn() + Send + Sync>>,
}

pub(crate) fn hook(f: impl Fn(&mut Context<Probe>) + Send + Sync + 'static) -> Option<Hook> {
    Some(Arc::new(f))
}

/// A hook that panics the first `times` times.
pub(crate) fn panicking_hook(times: usize) -> Option<Hook> {
    let left = std::sync::atomic::AtomicUsize::new(times);
    hook(move |_| {
        let sub = |left: usize| left.checked_sub(1);
        if left
            .fetch_update(std::sync::atomic::Ordering::SeqCst, std::sync::atomic::Ordering::SeqCst, sub)
            .is_ok()
        {
            panic!("hook");
        }
    })
}

#[derive(Clone, Default)]
pub(crate) struct Probe {
    pub(crate) journal: Journal,
    pub(crate) hooks: Hooks,
}

impl Probe {
    pub(crate) fn new(journal: &Journal) -> Self {
        Self { journal: journal.clone(), hooks: Hooks::default() }
    }

    pub(crate) fn with_hooks(journal: &Journal, hooks: Hooks) -> Self {
        Self { journal: journal.clone(), hooks }
    }

    fn happened(&self, what: &str, hook: &Option<Hook>, ctx: &mut Context<Self>) {
        self.journal.note(format!("{what} {}", ctx.incarnation()));
        if let Some(hook) = hook {
            hook(ctx);
        }
    }
}

impl Actor for Probe {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.happened("started", &self.hooks.started.clone(), ctx);
    }

    fn stopping(&mut self, ctx: &mut Context<Self>) -> Running {
        self.happened("stopping", &self.hooks.stopping.clone(), ctx);
        Running::Stop
    }

    fn stopped(&mut self, ctx: &mut Context<Self>) {
        self.happened("stopped", &self.hooks.stopped.clone(), ctx);
    }
}

impl Supervised for Probe {
    fn restarting(&mut self, ctx: &mut Context<Self>) {
        self.happened("restarting", &self.hooks.restarting.clone(), ctx);
    }
}

impl Drop for Probe {
    fn drop(&mut self) {
        self.journal.note("dropped");
        if let Some(dropped) = &self.hooks.dropped {
            dropped();
        }
    }
}

/// Is noted and answered with the same number.
#[derive(Message)]
#[rtype(u32)]
pub(crate) struct Say(pub(crate) u32);

impl Handler<Say> for Probe {
    type Result = u32;

    fn handle(&mut self, Say(number): Say, _: &mut Context<Self>) -> u32 {
        self.journal.note(format!("say {number}"));
        number
    }
}

type Deed = Box<dyn FnOnce(&mut Probe, &mut Context<Probe>) + Send>;

/// Makes the probe run some code in its handler.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct Do(Deed);

impl Do {
    pub(crate) fn new(deed: impl FnOnce(&mut Probe, &mut Context<Probe>) + Send + 'static) -> Self {
        Self(Box::new(deed))
    }

    pub(crate) fn panic() -> Self {
        Self::new(|_, _| panic!("boom"))
    }

    /// Holds further messages back until something is sent or the sender is dropped.
    pub(crate) fn wait_for(released: oneshot::Receiver<()>) -> Self {
        Self::new(|_, ctx| {
            ctx.wait(actix::fut::wrap_future(async { drop(released.await) }));
        })
    }

    /// Holds the thread until something is sent or the sender is dropped.
    pub(crate) fn block_until(released: std::sync::mpsc::Receiver<()>) -> Self {
        Self::new(move |probe, _| {
            probe.journal.note("blocking");
            let _ = released.recv();
        })
    }
}

impl Handler<Do> for Probe {
    type Result = ();

    fn handle(&mut self, Do(deed): Do, ctx: &mut Context<Self>) {
        deed(self, ctx);
    }
}

/// Panics after a while in a future that was to give the answer.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PanicInActFuture;

impl Handler<PanicInActFuture> for Probe {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, _: PanicInActFuture, _: &mut Context<Self>) -> Self::Result {
        Box::pin(tokio::task::yield_now().into_actor(self).map(|(), _, _| panic!("in ResponseActFuture")))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PanicInAtomic;

impl Handler<PanicInAtomic> for Probe {
    type Result = AtomicResponse<Self, ()>;

    fn handle(&mut self, _: PanicInAtomic, _: &mut Context<Self>) -> Self::Result {
        let later = tokio::task::yield_now().into_actor(self).map(|(), _, _| panic!("in AtomicResponse"));
        AtomicResponse::new(Box::pin(later))
    }
}

#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct PanicInFuture;

impl Handler<PanicInFuture> for Probe {
    type Result = ResponseFuture<()>;

    fn handle(&mut self, _: PanicInFuture, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async {
            tokio::task::yield_now().await;
            panic!("in ResponseFuture")
        })
    }
}

/// Answers when it is told to; messages are handled meanwhile.
#[derive(Message)]
#[rtype(result = "()")]
pub(crate) struct AnswerAfter(pub(crate) oneshot::Receiver<()>);

impl Handler<AnswerAfter> for Probe {
    type Result = ResponseActFuture<Self, ()>;

    fn handle(&mut self, AnswerAfter(released): AnswerAfter, _: &mut Context<Self>) -> Self::Result {
        Box::pin(async { drop(released.await) }.into_actor(self))
    }
}
