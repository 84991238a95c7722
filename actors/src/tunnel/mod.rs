//! Tunnels: one stream per session between a client and a machine, opened by the host's agent on request.
//!
//! ```text
//!  session_open ─▶ desk.expect(host) ─▶ OpenTunnel frame ─▶ agent
//!      ▲                                                      │ opens Tunnel with the id
//!      └──── Session ◀── desk.accept(host, id) ◀──────────────┘ then `ready`, or `error`
//! ```
//!
//! An id works once, and only for the host that it was made for. Both directions are bounded, so a reader
//! that is slow slows the writer at the other end. The pump lives where the stream lives; it ends when the
//! session is dropped, when the stream ends, or when the agent says that the machine is gone.

mod desk;
mod session;

pub use self::{
    desk::TunnelAcceptor,
    session::{ConnectSession, ExecSession, FileSession, Session, SessionEvents, SessionInput},
};
pub(crate) use self::{
    desk::{Opened, TunnelDesk},
    session::RawSession,
};

/// Frames in each direction that wait for a slow reader.
const QUEUE: usize = 16;
