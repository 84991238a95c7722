//! WebSockets: text frames of JSON, one object each, in both directions.
//!
//! ```text
//!   upgrade ─▶ auth frame, if there were no credentials ─▶ the route's own frames ─▶ error frame, close with a reason
//!                                                             │
//!                     ping every 20 s; a client that is silent for 60 s has left
//! ```
//!
//! A route's handler does what can be done before the upgrade, so that those faults are plain answers, and then hands
//! its conversation to [`Upgrade::serve`]. Whatever ends it is one [`Ending`], which says what the client is told.
//!
//! Both directions are bounded. A client that does not read stops whoever sends to it: [`Outgoing::send`] waits while 32
//! frames are under way, as many again may be in the connection's buffer. What is not asked for with [`Incoming::next`]
//! stays in the connection.

mod ending;
mod socket;
mod upgrade;

use self::socket::Socket;
pub(crate) use self::{
    ending::Ending,
    socket::{Incoming, Outgoing},
    upgrade::Upgrade,
};
