//! The feed: what this server has read of the outbox, and the queues of the clients that are live.
//!
//! The reader polls while somebody subscribes, and stops otherwise. Its position and the queues are behind one lock: whoever
//! subscribes learns the position from which on the queue misses nothing.

use std::{collections::HashMap, fmt, sync::Arc, time::Duration};

use parking_lot::Mutex;
use tokio::sync::{Notify, Semaphore, mpsc, mpsc::error::TrySendError};
use tokio_util::sync::CancellationToken;
use wrenn_base::Clock;
use wrenn_domain::event::{Event, EventScope, EventTypes};
use wrenn_store::{
    Store, StoreError,
    outbox::{Continuity, OutboxCursor, OutboxFilter, OutboxPortion, Reach},
};

use super::places::Places;

/// Interval of polling the outbox.
const POLL_EVERY: Duration = Duration::from_millis(200);
/// Rows that one poll looks at.
const ROWS_OF_POLL: u32 = 1_000;
/// Rows that one read of a client that is behind looks at.
const ROWS_OF_CATCH_UP: u32 = 5_000;
/// Reads of clients that are behind, at once.
const CATCH_UPS: usize = 4;
/// Events that wait for one client. One that lets more wait is dropped.
pub(super) const QUEUE: usize = 256;

/// Event with its place in the outbox.
#[derive(Debug, Clone, PartialEq)]
pub struct FollowedEvent {
    /// The place behind it.
    pub cursor: OutboxCursor,
    /// The event.
    pub event: Event,
}

/// All clients of this server that follow events; clones share it.
#[derive(Clone)]
pub(crate) struct EventFeed {
    shared: Arc<Shared>,
}

struct Shared {
    store: Store,
    clock: Clock,
    state: Mutex<State>,
    subscribed: Notify,
    catch_ups: Semaphore,
    places: Places,
}

#[derive(Default)]
struct State {
    /// Everything up to here was put into the queues; `None` while nobody subscribes.
    position: Option<OutboxCursor>,
    next: u64,
    subscribers: HashMap<u64, Subscriber>,
}

struct Subscriber {
    filter: OutboxFilter,
    queue: mpsc::Sender<Arc<FollowedEvent>>,
    overflowed: CancellationToken,
}

/// Queue of one client, which ends with this.
pub(super) struct Subscription {
    /// Everything behind this place is in the queue.
    pub(super) since: OutboxCursor,
    queue: mpsc::Receiver<Arc<FollowedEvent>>,
    overflowed: CancellationToken,
    number: u64,
    feed: EventFeed,
}

/// Events of a portion that a client sees, and the place behind them.
pub(super) struct EventPortion {
    pub(super) events: Vec<Arc<FollowedEvent>>,
    pub(super) end: OutboxCursor,
    pub(super) reach: Reach,
    pub(super) continuity: Continuity,
}

impl EventFeed {
    pub(crate) fn new(store: Store, clock: Clock) -> Self {
        Self {
            shared: Arc::new(Shared {
                store,
                clock,
                state: Mutex::default(),
                subscribed: Notify::new(),
                catch_ups: Semaphore::new(CATCH_UPS),
                places: Places::default(),
            }),
        }
    }

    pub(super) fn places(&self) -> &Places {
        &self.shared.places
    }

    /// Reads the outbox and fills the queues, until the database fails.
    ///
    /// # Errors
    /// If the database failed; the position stays.
    pub(crate) async fn follow(&self) -> Result<(), StoreError> {
        let filter = OutboxFilter { types: EventTypes::all(), scope: EventScope::Platform };
        loop {
            let Some(position) = self.position_of_reader() else {
                self.shared.subscribed.notified().await;
                continue;
            };
            let read = self.shared.store.outbox_portion(position, None, filter, ROWS_OF_POLL).await?;
            let reach = read.reach;
            self.deliver(position, EventPortion::of(read, filter.scope));
            if reach == Reach::End {
                self.shared.clock.sleep(POLL_EVERY).await;
            }
        }
    }

    /// Returns the place from which to read on, if anybody subscribes.
    fn position_of_reader(&self) -> Option<OutboxCursor> {
        let mut state = self.shared.state.lock();
        if state.subscribers.is_empty() {
            state.position = None;
        }
        state.position
    }

    /// Puts what was read behind `from` into the queues.
    fn deliver(&self, from: OutboxCursor, portion: EventPortion) {
        let mut state = self.shared.state.lock();
        if state.position != Some(from) {
            // All subscribers have left meanwhile, and the others begin elsewhere.
            return;
        }
        for event in portion.events {
            state.subscribers.retain(|_, subscriber| subscriber.offer(&event));
        }
        state.position = Some(portion.end);
    }

    /// Subscribes to what comes behind the feed's position.
    ///
    /// # Errors
    /// If the database failed.
    pub(super) async fn subscribe(&self, filter: OutboxFilter) -> Result<Subscription, StoreError> {
        let position = self.shared.state.lock().position;
        let otherwise = match position {
            Some(position) => position,
            None => self.shared.store.outbox_end().await?,
        };
        Ok(self.join(filter, otherwise))
    }

    /// Adds a subscriber at the feed's position, which is `otherwise` if there is none.
    fn join(&self, filter: OutboxFilter, otherwise: OutboxCursor) -> Subscription {
        let (queue, received) = mpsc::channel(QUEUE);
        let overflowed = CancellationToken::new();
        let mut state = self.shared.state.lock();
        let since = *state.position.get_or_insert(otherwise);
        let number = state.next;
        state.next += 1;
        state.subscribers.insert(number, Subscriber { filter, queue, overflowed: overflowed.clone() });
        drop(state);
        self.shared.subscribed.notify_one();
        Subscription { since, queue: received, overflowed, number, feed: self.clone() }
    }

    /// Reads the next events behind `after`, up to `until`, for a client that is behind.
    ///
    /// # Errors
    /// If the database failed.
    pub(super) async fn read(
        &self,
        after: OutboxCursor,
        until: Option<OutboxCursor>,
        filter: OutboxFilter,
    ) -> Result<EventPortion, StoreError> {
        // The semaphore is never closed.
        let _place = self.shared.catch_ups.acquire().await;
        let read = self.shared.store.outbox_portion(after, until, filter, ROWS_OF_CATCH_UP).await?;
        Ok(EventPortion::of(read, filter.scope))
    }
}

impl EventPortion {
    fn of(portion: OutboxPortion, scope: EventScope) -> Self {
        let events = portion.rows.into_iter().filter_map(|(cursor, row)| {
            let event = Event::of_row(row).filter(|event| event.is_for(scope))?;
            Some(Arc::new(FollowedEvent { cursor, event }))
        });
        let OutboxPortion { end, reach, continuity, .. } = portion;
        Self { events: events.collect(), end, reach, continuity }
    }
}

impl Subscriber {
    /// Puts an event into the queue, if the client sees it; returns false if the client is to be dropped.
    fn offer(&self, event: &Arc<FollowedEvent>) -> bool {
        let OutboxFilter { types, scope } = self.filter;
        if !types.contains(event.event.kind) || !event.event.is_for(scope) {
            return true;
        }
        match self.queue.try_send(event.clone()) {
            Ok(()) => true,
            Err(TrySendError::Full(_)) => {
                self.overflowed.cancel();
                false
            }
            Err(TrySendError::Closed(_)) => false,
        }
    }
}

impl Subscription {
    /// Waits for the next event; `None` if the client was dropped, with whatever was in the queue.
    pub(super) async fn next(&mut self) -> Option<Arc<FollowedEvent>> {
        tokio::select! {
            biased;
            () = self.overflowed.cancelled() => None,
            event = self.queue.recv() => event,
        }
    }

    /// Returns the place up to which the client has taken everything, unless events wait.
    pub(super) fn idle_at(&self) -> Option<OutboxCursor> {
        // The position first: all up to it is in the queue, or was taken out of it.
        let position = self.feed.shared.state.lock().position;
        position.filter(|_| self.queue.is_empty() && !self.overflowed.is_cancelled())
    }

    pub(super) fn overflowed(&self) -> CancellationToken {
        self.overflowed.clone()
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.feed.shared.state.lock().subscribers.remove(&self.number);
    }
}

impl fmt::Debug for EventFeed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let subscribers = self.shared.state.lock().subscribers.len();
        f.debug_struct("EventFeed").field("subscribers", &subscribers).finish_non_exhaustive()
    }
}

impl fmt::Debug for Subscription {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Subscription").field("since", &self.since).finish_non_exhaustive()
    }
}
