//! WebSockets: text frames of JSON, one object each, in both directions.
//!
//! ```text
//!   upgrade ─▶ auth frame, if there were no credentials ─▶ the route's own frames ─▶ error frame, close with a reason
//!                                                             │
//!                     ping every 20 s; a client that is silent for 60 s has left
//! ```
//!
//! A route's handler checks everything it can before the upgrade, so that these errors are plain answers, and then passes
//! its conversation to [`Upgrade::serve`]. Every conversation ends with an [`Ending`], which determines the error frame
//! and the close code.
//!
//! Both directions are bounded. A client that does not read stops its senders: [`Outgoing::send`] waits while 32 frames
//! are in flight; as many again may be in the connection's buffer. Frames stay in the connection until
//! [`Incoming::next`] polls for them.

mod ending;
mod socket;
mod upgrade;

use self::socket::Socket;
pub(crate) use self::{
    ending::Ending,
    socket::{Incoming, Outgoing},
    upgrade::Upgrade,
};
