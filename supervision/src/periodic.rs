//! An actor that does one thing again and again.
//!
//! ```text
//!   started ─▶ (wait) ─▶ look ─▶ wait a period ─▶ look ─▶ …
//! ```
//!
//! Looks do not overlap: the wait begins when a look has ended, however long that took. A look that fails is logged, and a
//! look that panics costs an incarnation; either way another one follows. So a look decides by what it finds, and keeps
//! nothing.

use std::{error::Error, fmt, future::Future, sync::Arc, time::Duration};

use actix::{Actor, AsyncContext, Context, Supervised, WrapFuture};
use futures_util::future::BoxFuture;
use wrenn_base::{Chain, Clock};

/// The time of the first look.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FirstLook {
    /// As soon as the actor lives.
    AtOnce,
    /// After one period.
    AfterPeriod,
}

type Look = dyn Fn() -> BoxFuture<'static, ()> + Send + Sync;

/// An actor without a mailbox of its own, which looks after something.
#[derive(Clone)]
pub struct Periodic {
    clock: Clock,
    first: FirstLook,
    period: Duration,
    look: Arc<Look>,
}

impl Periodic {
    /// Creates an actor that calls `look` every `period`. `what` names its work in the log if a look fails.
    pub fn new<F, E>(
        what: &'static str,
        clock: Clock,
        first: FirstLook,
        period: Duration,
        look: impl Fn() -> F + Send + Sync + 'static,
    ) -> Self
    where
        F: Future<Output = Result<(), E>> + Send + 'static,
        E: Error + 'static,
    {
        let look = move || -> BoxFuture<'static, ()> {
            let look = look();
            Box::pin(async move {
                if let Err(error) = look.await {
                    tracing::warn!(what, error = %Chain(&error), "a look failed; another one follows");
                }
            })
        };
        Self { clock, first, period, look: Arc::new(look) }
    }

    async fn run(self) {
        if self.first == FirstLook::AfterPeriod {
            self.clock.sleep(self.period).await;
        }
        loop {
            (self.look)().await;
            self.clock.sleep(self.period).await;
        }
    }
}

impl Actor for Periodic {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.spawn(self.clone().run().into_actor(self));
    }
}

/// The futures of an incarnation end with it, and the next one begins to look anew.
impl Supervised for Periodic {}

impl fmt::Debug for Periodic {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Periodic")
            .field("first", &self.first)
            .field("period", &self.period)
            .finish_non_exhaustive()
    }
}
