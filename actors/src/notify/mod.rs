//! Sends events to notification channels.
//!
//! ```text
//!   look: outbox ─▶ deliveries (one server at a time) ─▶ claims ─▶ a task each: request ─▶ outcome ─┐
//!    ▲ every half second, and when a task has ended ──────────────────────────────────────────────┘
//! ```
//!
//! At least once, and in order for each channel and resource: a delivery is due when the one before it arrived or was given
//! up. A server has a bounded number of tasks, of which a channel and a team can have a few, so receivers that hang delay
//! nobody else.
//!
//! **Failure.** A server that ends in the middle leaves leases, which end by themselves: the delivery is repeated, maybe by
//! another server. An outcome that cannot be written is one that did not happen.

mod client;

use std::{sync::Arc, time::Duration};

use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wrenn_base::{Backoff, Chain, Clock, Rng};
use wrenn_domain::{
    channel::{
        Target,
        message::{self, Notification},
    },
    ids::{DeliveryId, ServerId},
};
use wrenn_store::{
    Store, StoreError,
    channel_deliveries::{AfterFailure, ClaimLimits, ClaimedDelivery, Receiver},
};

pub use self::client::SendError;
use self::client::{Client, WITHIN};
use crate::config::NotifyConfig;

/// Period of the looks at the outbox.
const LOOK_EVERY: Duration = Duration::from_millis(500);
/// Events that one transaction turns into deliveries.
const EVENTS_AT_ONCE: u32 = 500;
/// Deliveries that a server makes at once.
const AT_ONCE: usize = 128;
/// Deliveries to one channel at once, by all servers.
const PER_CHANNEL: u32 = 4;
/// Deliveries to the channels of one team at once, by all servers.
const PER_TEAM: u32 = 16;
/// Time after which a delivery whose server has gone is due again; longer than an attempt takes.
const LEASE: Duration = Duration::from_secs(30);
/// Longest pause between two attempts, also if the receiver asks for a longer one.
const LONGEST_PAUSE: Duration = Duration::from_secs(3600);

/// Sends notifications; clones share it.
#[derive(Clone)]
pub(crate) struct Notifier {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    server: ServerId,
    clock: Clock,
    rng: Rng,
    client: Client,
    backoff: Backoff,
    places: Arc<Semaphore>,
    /// A task has ended.
    progress: Notify,
    tasks: TaskTracker,
    ending: CancellationToken,
}

impl Notifier {
    pub(crate) fn new(store: Store, server: ServerId, clock: Clock, rng: Rng, config: &NotifyConfig) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                server,
                client: Client::new(config.receivers.clone(), clock.clone()),
                clock,
                rng,
                backoff: Backoff::new(config.first_pause, LONGEST_PAUSE),
                places: Arc::new(Semaphore::new(AT_ONCE)),
                progress: Notify::new(),
                tasks: TaskTracker::new(),
                ending: CancellationToken::new(),
            }),
        }
    }

    /// Looks again and again, until a look fails.
    ///
    /// # Errors
    /// If the database failed.
    pub(crate) async fn follow(&self) -> Result<(), StoreError> {
        loop {
            self.look().await?;
            tokio::select! {
                () = self.shared.progress.notified() => {}
                () = self.shared.clock.sleep(LOOK_EVERY) => {}
            }
        }
    }

    /// Turns events into deliveries, and begins as many as there are places for.
    async fn look(&self) -> Result<(), StoreError> {
        let Shared { store, server, places, tasks, .. } = &*self.shared;
        while store.deliveries_fan_out(EVENTS_AT_ONCE).await? == u64::from(EVENTS_AT_ONCE) {}
        loop {
            let free = u32::try_from(places.available_permits()).unwrap_or(u32::MAX);
            if free == 0 {
                return Ok(());
            }
            let limits =
                ClaimLimits { count: free, per_channel: PER_CHANNEL, per_team: PER_TEAM, lease: LEASE };
            let claimed = store.deliveries_claim(*server, limits).await?;
            if claimed.is_empty() {
                return Ok(());
            }
            for delivery in claimed {
                // Places are taken here alone, so there is one; a claim without a task is due again after its lease.
                let Ok(place) = places.clone().try_acquire_owned() else { return Ok(()) };
                tasks.spawn(self.clone().deliver(delivery, place));
            }
        }
    }

    async fn deliver(self, delivery: ClaimedDelivery, place: OwnedSemaphorePermit) {
        let Shared { ending, progress, .. } = &*self.shared;
        let attempt = tokio::select! {
            () = ending.cancelled() => return,
            attempt = self.attempt(&delivery) => attempt,
        };
        if let Err(error) = self.settle(&delivery, attempt).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(delivery = %delivery.id, error = %Chain(error), "outcome of a delivery was not written");
        }
        drop(place);
        progress.notify_one();
    }

    async fn attempt(&self, delivery: &ClaimedDelivery) -> Result<(), SendError> {
        let target = delivery.target.as_ref().ok_or(SendError::Config)?;
        self.send(target, &delivery.notification, delivery.id).await
    }

    /// Writes the outcome of an attempt.
    async fn settle(
        &self,
        delivery: &ClaimedDelivery,
        attempt: Result<(), SendError>,
    ) -> Result<(), StoreError> {
        let Shared { store, backoff, rng, .. } = &*self.shared;
        let (id, channel, number) = (delivery.id, delivery.channel, delivery.attempt);
        let error = match attempt {
            Ok(()) => {
                store.delivery_succeeded(delivery).await?;
                tracing::debug!(delivery = %id, %channel, attempt = number, "notification delivered");
                return Ok(());
            }
            Err(error) => error,
        };
        let pause = backoff.delay(number, &mut rng.clone());
        let pause = error.retry_after().map_or(pause, |asked| pause.max(asked.min(LONGEST_PAUSE)));
        let receiver = if error.is_gone() { Receiver::Gone } else { Receiver::Fails };
        match store.delivery_failed(delivery, receiver, &error.to_string(), pause).await? {
            AfterFailure::Retry => {
                tracing::debug!(delivery = %id, %channel, attempt = number, %error, "notification failed, will retry");
            }
            AfterFailure::GivenUp => {
                tracing::info!(delivery = %id, %channel, attempt = number, %error, "notification given up");
            }
            AfterFailure::Disabled => {
                tracing::warn!(delivery = %id, %channel, %error, "notification channel switched off");
            }
            AfterFailure::Stale => {
                tracing::debug!(delivery = %id, %channel, "delivery belongs to another claim");
            }
        }
        Ok(())
    }

    /// Sends a notification once.
    pub(crate) async fn send(
        &self,
        target: &Target,
        notification: &Notification,
        delivery: DeliveryId,
    ) -> Result<(), SendError> {
        let request = message::request(target, notification, delivery, self.shared.clock.utc());
        self.shared.client.send(request).await
    }

    /// Ends the tasks, and lets other servers take what they had begun.
    pub(crate) async fn end(&self) {
        let Shared { store, server, tasks, ending, .. } = &*self.shared;
        ending.cancel();
        tasks.close();
        tasks.wait().await;
        if let Err(error) = store.deliveries_release(*server).await {
            let error: &dyn std::error::Error = &error;
            tracing::warn!(error = %Chain(error), "deliveries were not released; their leases end by themselves");
        }
    }
}

impl std::fmt::Debug for Notifier {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Notifier").field("tasks", &self.shared.tasks.len()).finish_non_exhaustive()
    }
}

// `WITHIN` bounds the whole attempt, redirects included.
const _: () = assert!(LEASE.as_secs() > 2 * WITHIN.as_secs());
