//! The desk between those who work on builds and those who ask for them.

use std::{collections::HashMap, sync::Arc, time::Duration};

use actix::{Message, Recipient};
use parking_lot::Mutex;
use tokio::{sync::Notify, time::timeout};
use wrenn_domain::build::Claim;

use super::{news::BuildNews, queue::BuildQueue};

/// Longest wait until an actor lets its build go.
const ABANDONED_WITHIN: Duration = Duration::from_secs(5);

/// Order to let a build go that somebody else has settled. Answered when nothing is done for it any more.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Abandon;

/// Builds of this server: news of them, the attempts that run here, and the way to wake a worker; clones share it.
#[derive(Debug, Clone, Default)]
pub(crate) struct BuildDesk {
    pub(crate) news: BuildNews,
    /// Wakes a worker that waits for a build.
    pub(crate) wake: Arc<Notify>,
    pub(crate) queue: Option<BuildQueue>,
    running: Arc<Mutex<HashMap<Claim, Recipient<Abandon>>>>,
}

/// Place of a running attempt, which is free again when it is dropped.
#[derive(Debug)]
pub(super) struct RunningAttempt {
    desk: BuildDesk,
    claim: Claim,
}

impl BuildDesk {
    pub(crate) fn new(queue: Option<BuildQueue>) -> Self {
        Self { queue, ..Self::default() }
    }

    /// Notes that an attempt runs here, so that it can be abandoned.
    pub(super) fn run(&self, claim: Claim, actor: Recipient<Abandon>) -> RunningAttempt {
        self.running.lock().insert(claim, actor);
        RunningAttempt { desk: self.clone(), claim }
    }

    /// Has an attempt that runs here let its build go, and waits a moment for that.
    pub(super) async fn abandon(&self, claim: Claim) {
        let actor = self.running.lock().get(&claim).cloned();
        if let Some(actor) = actor {
            // An attempt that has failed, or is on another server, learns it when it renews its lease.
            let _ = timeout(ABANDONED_WITHIN, actor.send(Abandon)).await;
        }
    }
}

impl Drop for RunningAttempt {
    fn drop(&mut self) {
        self.desk.running.lock().remove(&self.claim);
    }
}
