//! Removes the objects of templates that are gone.
//!
//! A template goes in many ways: deleted, replaced by another one, with its build. Whoever lets it go need not think of
//! its object: each look lists the objects, and asks the database which of their templates are gone. Whatever goes wrong,
//! the next look is a while later.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};
use wrenn_proto::ids::TemplateId;

use super::{OBJECTS, object_name};
use crate::{objects::ObjectError, retry::until_answered, shared::Shared};

/// How often is looked, beside once at the start.
const LOOK_EVERY: Duration = Duration::from_secs(60);

pub(crate) struct ObjectSweep {
    shared: Arc<Shared>,
    is_looking: bool,
}

impl ObjectSweep {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_looking: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let shared = self.shared.clone();
        let look = async move { sweep(&shared).await };
        ctx.spawn(look.into_actor(self).map(|swept, actor, _| {
            actor.is_looking = false;
            if let Err(error) = swept {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "objects of templates that are gone stay for now");
            }
        }));
    }
}

impl Actor for ObjectSweep {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        self.look(ctx);
        ctx.run_interval(LOOK_EVERY, Self::look);
    }
}

impl Supervised for ObjectSweep {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.is_looking = false;
    }
}

/// What appears after the list was made is left alone: its template was there when it was made.
async fn sweep(shared: &Shared) -> Result<(), ObjectError> {
    let names = shared.objects.list(OBJECTS).await?;
    let ids: Vec<TemplateId> = names.iter().filter_map(|name| name.parse().ok()).collect();
    if ids.is_empty() {
        return Ok(());
    }
    for template in until_answered("templates_gone", || shared.store.templates_gone(&ids)).await {
        tracing::info!(%template, "removing the object of a template that is gone");
        shared.objects.delete(&object_name(template)).await?;
    }
    Ok(())
}
