//! Looks for sandboxes that nobody uses.
//!
//! It takes no input, keeps nothing, and decides nothing: it asks the database which sandboxes were not used, as far as
//! is written, for as long as their timeout, and tells their actors, which know better. Whatever goes wrong, the next
//! look is a moment later.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};

use crate::{sandbox::PauseIfIdle, shared::Shared};

/// How long uses are remembered in memory: as long as the longest timeout. A row says when a session began, not when it
/// ended.
const REMEMBERED: Duration = Duration::from_secs(366 * 24 * 3600);

pub(crate) struct IdleWatch {
    shared: Arc<Shared>,
    is_looking: bool,
}

impl IdleWatch {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_looking: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        self.shared.activity.forget_older_than(REMEMBERED);
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let store = self.shared.store.clone();
        let look = async move { store.sandboxes_idle().await };
        ctx.spawn(look.into_actor(self).map(|idle, actor, _| {
            actor.is_looking = false;
            match idle {
                // One that has too much to do is told next time.
                Ok(idle) => {
                    idle.into_iter().for_each(|id| drop(actor.shared.sandbox(id).try_send(PauseIfIdle)))
                }
                Err(error) => tracing::warn!(%error, "cannot look for idle sandboxes"),
            }
        }));
    }
}

impl Actor for IdleWatch {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(self.shared.config.idle_interval, Self::look);
    }
}

impl Supervised for IdleWatch {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.is_looking = false;
    }
}
