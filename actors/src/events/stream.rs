//! The stream of one client: what it has received, and what comes next.
//!
//! ```text
//!   from now on ─────────────────────────────────────────┐
//!   behind a place ─▶ catching up ─▶ subscribed ─▶ live ◀┘ ── queue full ─▶ dropped
//!                       └─ events were removed ─▶ reset ─▶ live
//! ```

use std::{collections::VecDeque, sync::Arc};

use tokio_util::sync::CancellationToken;
use wrenn_store::{
    StoreError,
    outbox::{Continuity, OutboxCursor, OutboxFilter, Reach},
};

use super::{
    feed::{EventFeed, EventPortion, FollowedEvent, QUEUE, Subscription},
    places::Place,
};

/// Events that a client which subscribes may still have to take.
const FEW: usize = QUEUE / 4;

/// Next step of a stream.
#[derive(Debug, Clone, PartialEq)]
pub enum StreamItem {
    /// An event.
    Event(Arc<FollowedEvent>),
    /// Events from before this place may be missing; the stream goes on from there.
    Reset(OutboxCursor),
    /// Everything up to this place was said; the stream is live.
    Live(OutboxCursor),
    /// The client does not read. Nothing follows.
    Dropped,
}

/// Events for one client.
#[derive(Debug)]
pub struct EventStream {
    feed: EventFeed,
    filter: OutboxFilter,
    phase: Phase,
    /// Everything up to here was read, of which `pending` is not handed out yet.
    read: OutboxCursor,
    pending: VecDeque<Arc<FollowedEvent>>,
    _place: Place,
}

#[derive(Debug)]
enum Phase {
    /// Begins with the feed's position, and says so first if events may be missing.
    New(Continuity),
    /// Reads portions until the end.
    CatchingUp,
    /// Reads what lies before the subscription.
    Subscribed(Subscription),
    /// Takes events from the queue.
    Live(Subscription),
    Dropped,
}

impl EventStream {
    pub(super) fn new(
        feed: EventFeed,
        filter: OutboxFilter,
        after: Option<OutboxCursor>,
        place: Place,
    ) -> Self {
        let phase = if after.is_some() { Phase::CatchingUp } else { Phase::New(Continuity::Unbroken) };
        let read = after.unwrap_or_default();
        Self { feed, filter, phase, read, pending: VecDeque::new(), _place: place }
    }

    /// Waits for the next step. If the future is dropped, nothing is lost.
    ///
    /// # Errors
    /// If the database failed; the next call tries again.
    pub async fn next(&mut self) -> Result<StreamItem, StoreError> {
        loop {
            if let Some(event) = self.pending.pop_front() {
                return Ok(StreamItem::Event(event));
            }
            match &mut self.phase {
                Phase::New(continuity) => {
                    let continuity = *continuity;
                    let subscription = self.feed.subscribe(self.filter).await?;
                    self.read = subscription.since;
                    self.phase = Phase::Subscribed(subscription);
                    if continuity == Continuity::Broken {
                        return Ok(StreamItem::Reset(self.read));
                    }
                }
                Phase::CatchingUp => {
                    let portion = self.feed.read(self.read, None, self.filter).await?;
                    // A queue would fill up while the client takes many events.
                    if self.take(portion) == Some(Reach::End) && self.pending.len() <= FEW {
                        let subscription = self.feed.subscribe(self.filter).await?;
                        self.phase = Phase::Subscribed(subscription);
                    }
                }
                Phase::Subscribed(subscription) if self.read < subscription.since => {
                    let until = Some(subscription.since);
                    let portion = self.feed.read(self.read, until, self.filter).await?;
                    self.take(portion);
                }
                Phase::Subscribed(_) => {
                    if let Phase::Subscribed(subscription) =
                        std::mem::replace(&mut self.phase, Phase::Dropped)
                    {
                        self.phase = Phase::Live(subscription);
                    }
                    return Ok(StreamItem::Live(self.read));
                }
                Phase::Live(subscription) => match subscription.next().await {
                    // The queue began before the place up to which was read.
                    Some(event) if event.cursor <= self.read => {}
                    Some(event) => {
                        self.read = event.cursor;
                        return Ok(StreamItem::Event(event));
                    }
                    None => self.phase = Phase::Dropped,
                },
                Phase::Dropped => return Ok(StreamItem::Dropped),
            }
        }
    }

    /// Takes a portion in; returns `None` if events before it may have been removed, so that the stream begins anew.
    fn take(&mut self, portion: EventPortion) -> Option<Reach> {
        let EventPortion { events, end, reach, continuity } = portion;
        if continuity == Continuity::Broken {
            self.phase = Phase::New(Continuity::Broken);
            return None;
        }
        self.pending = events.into();
        self.read = end;
        Some(reach)
    }

    /// Returns the place from which the client can go on later, unless an event waits for it.
    pub fn idle_at(&self) -> Option<OutboxCursor> {
        if !self.pending.is_empty() {
            return None;
        }
        match &self.phase {
            Phase::CatchingUp | Phase::Subscribed(_) => Some(self.read),
            Phase::Live(subscription) => subscription.idle_at().map(|position| position.max(self.read)),
            Phase::New(_) | Phase::Dropped => None,
        }
    }

    /// Returns a token that is cancelled when so many events wait that the client is dropped.
    pub fn overflowed(&self) -> CancellationToken {
        match &self.phase {
            Phase::Subscribed(subscription) | Phase::Live(subscription) => subscription.overflowed(),
            Phase::New(_) | Phase::CatchingUp | Phase::Dropped => CancellationToken::new(),
        }
    }
}
