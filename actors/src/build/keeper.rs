//! Looks after what builds leave: capsules and untested templates of attempts that are over, archives of builds that
//! have ended, disks of steps that are too many, builds that no news told of.
//!
//! It takes no input and keeps nothing: each look asks the database what is there and should not be. So nothing is left
//! whatever ends when, and whatever goes wrong, the next look is a moment later.

use std::{sync::Arc, time::Duration};

use actix::{Actor, ActorFutureExt, AsyncContext, Context, Supervised, WrapFuture};
use futures_util::future::join_all;
use wrenn_domain::{action::Action, audit::AuditIntent, ids::TeamId, principal::SystemReason};
use wrenn_proto::ids::BuildId;
use wrenn_store::StoreError;

use crate::{
    ControlPlane,
    operations::delete_template,
    retry::until_answered,
    sandbox::{Operate, OperationRequest, UnlessBegun},
    shared::Shared,
};

const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How long the capsules of an attempt may take to go before the keeper goes on with it.
const GONE_WITHIN: Duration = Duration::from_secs(30);

pub(crate) struct BuildKeeper {
    shared: Arc<Shared>,
    is_looking: bool,
}

impl BuildKeeper {
    pub(super) fn new(shared: Arc<Shared>) -> Self {
        Self { shared, is_looking: false }
    }

    fn look(&mut self, ctx: &mut Context<Self>) {
        if std::mem::replace(&mut self.is_looking, true) {
            return;
        }
        let shared = self.shared.clone();
        let look = async move { look(&shared).await };
        ctx.spawn(look.into_actor(self).map(|looked, actor, _| {
            actor.is_looking = false;
            if let Err(error) = looked {
                let error = &error as &dyn std::error::Error;
                tracing::warn!(error, "cannot look after what builds leave");
            }
        }));
    }
}

impl Actor for BuildKeeper {
    type Context = Context<Self>;

    fn started(&mut self, ctx: &mut Context<Self>) {
        ctx.run_interval(LOOK_EVERY, Self::look);
    }
}

impl Supervised for BuildKeeper {
    fn restarting(&mut self, _: &mut Context<Self>) {
        self.is_looking = false;
    }
}

/// Begins the audit entry of a removal.
fn clean_up_intent(action: Action) -> AuditIntent {
    AuditIntent::system(SystemReason::BuildCleanUp, action).in_team(TeamId::PLATFORM)
}

async fn look(shared: &Arc<Shared>) -> Result<(), StoreError> {
    let store = &shared.store;
    if store.build_is_claimable().await? {
        shared.build_wake.notify_one();
    }
    for sandbox in store.build_sandboxes_left().await? {
        tracing::info!(%sandbox, "the build of this capsule is over");
        // One that has too much to do is told next time.
        let intent = clean_up_intent(Action::SandboxDestroy).of(sandbox);
        drop(shared.sandbox(sandbox).try_send(Operate {
            wanted: OperationRequest::Destroy,
            intent,
            unless_begun: UnlessBegun::Skip,
        }));
    }
    for template in store.templates_untested_left().await? {
        tracing::info!(%template, "the build of this template is over");
        delete_template(shared.clone(), template, clean_up_intent(Action::TemplateDelete).of(template))
            .await?;
    }
    for template in store.build_cache_excess(shared.config.builds.cache_bytes).await? {
        tracing::debug!(%template, "this step is not kept any longer");
        let intent =
            AuditIntent::system(SystemReason::Retention, Action::TemplateDelete).in_team(TeamId::PLATFORM);
        delete_template(shared.clone(), template, intent.of(template)).await?;
    }
    for (build, archive) in store.build_archives_left().await? {
        match shared.objects.delete(&archive).await {
            Ok(()) => store.build_archive_forget(build).await?,
            Err(error) => {
                tracing::warn!(%build, error = &error as &dyn std::error::Error, "an archive stays for now");
            }
        }
    }
    Ok(())
}

/// Removes the capsules of a build that nobody works on any more, and what it has left untested.
pub(super) async fn clean_up(plane: &ControlPlane, build: BuildId) {
    let store = &plane.shared.store;
    let sandboxes = until_answered("build_sandboxes", || store.build_sandboxes(build)).await;
    let gone = sandboxes.into_iter().map(|sandbox| async move {
        let intent = clean_up_intent(Action::SandboxDestroy).of(sandbox).with("build", build);
        if let Err(error) = plane.sandbox_destroy(sandbox, intent, GONE_WITHIN).await {
            tracing::warn!(%sandbox, error = &error as &dyn std::error::Error, "a build's capsule stays for now");
        }
    });
    join_all(gone).await;
    if let Err(error) = look(&plane.shared).await {
        tracing::warn!(error = &error as &dyn std::error::Error, "what a build has left stays for now");
    }
}
