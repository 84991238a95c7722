//! Events, as server-sent events.
//!
//! ```text
//!   id: …   event: ready             data: {}              everything up to now was sent; more follows as it happens
//!   id: …   event: capsule.changed   data: an event        or another type
//!   id: …   event: reset             data: a reason        first, if events may be missing: read the lists anew
//!   : alive, with an id              every 15 s without anything else
//!           event: dropped           data: a reason        the client does not read; nothing follows
//!           event: error             data: a code          the permission was revoked; nothing follows
//! ```
//!
//! An id is a place in the outbox, so a client that sends the last one goes on behind it, at whichever server, and misses and
//! repeats nothing.

mod cursor;
pub(crate) mod follow;

pub(crate) use self::follow::{EventNotice, EventQuery, respond};
