//! How an actor knows which incarnation of itself it is, and how it gives up on itself.

use std::{fmt, future::Future, sync::Arc};

use actix::{Actor, ActorContext, AsyncContext, Context, fut::wrap_future};
use tokio_util::sync::{CancellationToken, WaitForCancellationFuture};

use crate::{core::ChildCore, polling::current_child};

/// One incarnation of a supervised actor; cheap to clone, can be sent anywhere, does not keep the actor alive.
///
/// Futures of the actor's context end with their incarnation by themselves. Anything else that the actor starts (a
/// `ResponseFuture`, a task, a thread) outlives a restart: give it a lifeline, and let it ask
/// [`is_current`](Self::is_current) before it acts, or run it under [`guard`](Self::guard).
#[derive(Clone)]
pub struct Lifeline {
    /// None for an actor that is not supervised.
    core: Option<Arc<ChildCore>>,
    incarnation: u64,
    token: CancellationToken,
}

impl Lifeline {
    /// Returns the lifeline of the supervised actor whose code is running on this thread.
    ///
    /// None outside of an actor's factory, hooks, handlers and context futures.
    pub fn current() -> Option<Self> {
        let core = current_child()?;
        let (incarnation, token) = core.incarnation();
        Some(Self { core: Some(core), incarnation, token })
    }

    fn unsupervised() -> Self {
        Self { core: None, incarnation: 0, token: CancellationToken::new() }
    }

    /// Returns the number of the incarnation, counted from 1; 0 for an actor that is not supervised.
    pub fn incarnation(&self) -> u64 {
        self.incarnation
    }

    /// Returns true as long as this incarnation lives.
    pub fn is_current(&self) -> bool {
        !self.token.is_cancelled()
    }

    /// Returns the token that is cancelled when this incarnation ends, for APIs that take one.
    pub fn token(&self) -> &CancellationToken {
        &self.token
    }

    /// Waits until this incarnation has ended, by failure or for good.
    pub fn cancelled(&self) -> WaitForCancellationFuture<'_> {
        self.token.cancelled()
    }

    /// Runs `future` only as long as this incarnation lives; returns none if the incarnation ended first.
    pub async fn guard<F: Future>(&self, future: F) -> Option<F::Output> {
        self.token.run_until_cancelled(future).await
    }

    /// Declares from anywhere that this incarnation cannot go on; ignored if it has ended already.
    ///
    /// The actor is restarted as after a panic; it handles no further message before that, and its futures may be
    /// polled once more. In the actor itself prefer [`SupervisedContext::fail`].
    pub fn fail(&self, reason: impl Into<String>) {
        if let Some(core) = &self.core {
            core.declare_failure(self.incarnation, reason.into());
        }
    }
}

impl fmt::Debug for Lifeline {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Lifeline")
            .field("actor", &self.core.as_ref().map(|core| core.name.as_str()))
            .field("incarnation", &self.incarnation)
            .field("is_current", &self.is_current())
            .finish()
    }
}

/// What supervision adds to an actor's context. Call it only from the actor's own code, where the context is.
pub trait SupervisedContext {
    /// Returns the lifeline of the current incarnation.
    ///
    /// For an actor that was started without supervision it is incarnation 0, and never ends.
    fn lifeline(&self) -> Lifeline;

    /// Returns the number of the current incarnation, counted from 1; 0 for an actor that is not supervised.
    fn incarnation(&self) -> u64 {
        self.lifeline().incarnation()
    }

    /// Declares that this incarnation cannot go on: the actor is restarted, as after a panic, when the running
    /// handler or hook returns. The handler still answers its caller.
    ///
    /// No further message is handled before the restart. A stop in the same handler wins over it. An actor that is not
    /// supervised stops instead.
    fn fail(&mut self, reason: impl Into<String>);
}

impl<A: Actor<Context = Context<A>>> SupervisedContext for Context<A> {
    fn lifeline(&self) -> Lifeline {
        Lifeline::current().unwrap_or_else(Lifeline::unsupervised)
    }

    fn fail(&mut self, reason: impl Into<String>) {
        let lifeline = self.lifeline();
        if lifeline.core.is_some() {
            lifeline.fail(reason);
            // actix handles no message while it waits; the restart throws the waiting away.
            self.wait(wrap_future(std::future::pending::<()>()));
        } else {
            tracing::error!(reason = reason.into(), "unsupervised actor failed");
            self.stop();
        }
    }
}
