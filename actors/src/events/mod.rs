//! Events on their way to clients that follow them.
//!
//! ```text
//!   outbox ── poll, one reader for each server ──▶ EventFeed ─┬─▶ queue ─▶ EventStream ─▶ client
//!     └────── portions, for a client that is behind ──────────┼──────────────▲
//!                                                             └─▶ queue ─▶ …
//! ```
//!
//! | part | what it owns |
//! |---|---|
//! | [`feed`] | the position of the reader, and the queues of the clients |
//! | [`stream`] | the position of one client: behind, or live |
//! | [`places`] | the number of streams, which is bounded |
//!
//! **No gap, no repetition.** All positions are places in the outbox, whose order never changes below a place that was read.
//! A stream that is behind reads portions from the database until it has reached the end. Then it subscribes, reads what lies
//! between its own position and that of the feed, and from there takes events from its queue, without those that it has read.
//!
//! **Failure.** A client whose queue is full is dropped, and is told so if it reads again soon; nothing waits for it. It comes
//! back with the id of the last event that it has received, to whichever server. While the database does not answer, streams
//! stay open and silent, and the reader goes on from its position afterwards. A server that ends closes all streams.

mod feed;
mod places;
mod stream;

pub(crate) use self::feed::EventFeed;
pub use self::{
    feed::FollowedEvent,
    stream::{EventStream, StreamItem},
};

use wrenn_domain::{
    event::{EventScope, EventTypes, TooManyStreams},
    principal::Principal,
};
use wrenn_store::outbox::{OutboxCursor, OutboxFilter};

use crate::ControlPlane;

impl ControlPlane {
    /// Begins to follow the events of a scope, behind a place or from now on. Nothing is read before
    /// [`EventStream::next`] is called.
    ///
    /// # Errors
    /// See [`TooManyStreams`].
    pub fn events_follow(
        &self,
        principal: &Principal,
        scope: EventScope,
        types: EventTypes,
        after: Option<OutboxCursor>,
    ) -> Result<EventStream, TooManyStreams> {
        let place = self.parts.events.places().take(principal, scope)?;
        Ok(EventStream::new(self.parts.events.clone(), OutboxFilter { types, scope }, after, place))
    }
}
