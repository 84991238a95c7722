//! Removes what is older than it is kept: events and audit entries.
//!
//! The actor takes no input and keeps nothing. Each look removes rows in small portions, so that no statement holds others
//! up; a look that fails is followed by the next.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};
use wrenn_store::{Store, StoreError};

use crate::shared::Shared;

const LOOK_EVERY: Duration = Duration::from_secs(60);
const DAY: Duration = Duration::from_secs(86_400);
/// Age at which an event is removed: readers that were away for longer begin anew.
const EVENTS_KEPT: Duration = Duration::from_secs(7 * DAY.as_secs());
/// Age at which an audit entry is removed.
const ENTRIES_KEPT: Duration = Duration::from_secs(400 * DAY.as_secs());
/// Rows that one statement removes at most: readers of events wait for its end.
const PORTION: u32 = 5_000;
/// Statements of one look for each kind of rows; together four times what a busy server writes in that time.
const PORTIONS: u32 = 20;

pub(crate) struct Retention {
    shared: Arc<Shared>,
    is_looking: bool,
}

impl Retention {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_looking: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let store = self.shared.store.clone();
        let look = async move { look(&store).await };
        ctx.spawn(look.into_actor(self).map(|looked, actor, _| {
            actor.is_looking = false;
            if let Err(error) = looked {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "retention failed, will retry");
            }
        }));
    }
}

async fn look(store: &Store) -> Result<(), StoreError> {
    let (mut events, mut entries) = (0, 0);
    for _ in 0..PORTIONS {
        let removed = store.outbox_retire(EVENTS_KEPT, PORTION).await?;
        events += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    for _ in 0..PORTIONS {
        let removed = store.audit_retire(ENTRIES_KEPT, PORTION).await?;
        entries += removed;
        if removed < PORTION.into() {
            break;
        }
    }
    if events + entries > 0 {
        tracing::info!(events, entries, "old rows removed");
    }
    Ok(())
}

impl Actor for Retention {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK_EVERY, Self::look);
    }
}

impl Supervised for Retention {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.is_looking = false;
    }
}
