//! Sessions: what a client does inside a capsule, carried from the control plane through the agent to the guest.
//!
//! ```text
//!   control plane ─ TunnelDown{input} ─▶ agent ─ input ─▶ guest
//!                 ◀─ TunnelUp{event} ──        ◀─ event ─
//! ```
//!
//! There are three kinds, each with its own inputs and events: processes, files, connections. The first input, the
//! *opening*, says what the session is for; after the last event nothing follows. Those who only pass a session on
//! need to know no more than this.

use crate::{
    agent::{tunnel_down, tunnel_up},
    guest::{
        ConnectEvent, ConnectInput, ExecEvent, ExecInput, FileEvent, FileInput, connect_event, connect_input,
        exec_event, exec_input, file_event, file_input,
    },
};

/// What a session is told; its type says of which kind the session is.
pub trait Input: Sized + Send + 'static {
    /// What such a session tells.
    type Event: Event;

    /// Whether it says what the session is for, and so is the first one and no other.
    fn is_opening(&self) -> bool;

    /// Packs it for the way to the agent.
    fn into_frame(self) -> tunnel_down::Frame;

    /// Unpacks it; none if the frame is of another kind.
    fn from_frame(frame: tunnel_down::Frame) -> Option<Self>;
}

/// What a session tells.
pub trait Event: Sized + Send + 'static {
    /// Whether nothing follows it.
    fn is_last(&self) -> bool;

    /// Packs it for the way to the control plane.
    fn into_frame(self) -> tunnel_up::Frame;

    /// Unpacks it; none if the frame is of another kind.
    fn from_frame(frame: tunnel_up::Frame) -> Option<Self>;
}

/// Whether nothing follows a frame of a session of whatever kind.
pub fn is_last(frame: &tunnel_up::Frame) -> bool {
    match frame {
        tunnel_up::Frame::Ready(_) => false,
        tunnel_up::Frame::Exec(event) => event.is_last(),
        tunnel_up::Frame::File(event) => event.is_last(),
        tunnel_up::Frame::Connect(event) => event.is_last(),
        tunnel_up::Frame::Error(_) => true,
    }
}

macro_rules! session_kind {
    ($frame:ident, $input:ident, $event:ident, first: $first:pat, last: $last:pat $(,)?) => {
        impl Input for $input {
            type Event = $event;

            fn is_opening(&self) -> bool {
                matches!(self.input, Some($first))
            }

            fn into_frame(self) -> tunnel_down::Frame {
                tunnel_down::Frame::$frame(self)
            }

            fn from_frame(frame: tunnel_down::Frame) -> Option<Self> {
                if let tunnel_down::Frame::$frame(input) = frame { Some(input) } else { None }
            }
        }

        impl Event for $event {
            fn is_last(&self) -> bool {
                matches!(self.event, Some($last))
            }

            fn into_frame(self) -> tunnel_up::Frame {
                tunnel_up::Frame::$frame(self)
            }

            fn from_frame(frame: tunnel_up::Frame) -> Option<Self> {
                if let tunnel_up::Frame::$frame(event) = frame { Some(event) } else { None }
            }
        }
    };
}

session_kind! {
    Exec, ExecInput, ExecEvent,
    first: exec_input::Input::Start(_)
        | exec_input::Input::Attach(_)
        | exec_input::Input::List(_)
        | exec_input::Input::SignalProcess(_),
    last: exec_event::Event::Exited(_)
        | exec_event::Event::Failed(_)
        | exec_event::Event::Processes(_)
        | exec_event::Event::Signalled(_)
        | exec_event::Event::Detached(_),
}
session_kind! {
    File, FileInput, FileEvent,
    first: file_input::Input::Start(_),
    last: file_event::Event::Done(_) | file_event::Event::Failed(_),
}
session_kind! {
    Connect, ConnectInput, ConnectEvent,
    first: connect_input::Input::Open(_),
    last: connect_event::Event::End(_) | connect_event::Event::Failed(_),
}

macro_rules! from_parts {
    ($($message:ident { $field:ident: $part:path })*) => {$(
        impl From<$part> for $message {
            fn from(part: $part) -> Self {
                Self { $field: Some(part) }
            }
        }
    )*};
}
from_parts! {
    ExecInput { input: exec_input::Input }
    ExecEvent { event: exec_event::Event }
    FileInput { input: file_input::Input }
    FileEvent { event: file_event::Event }
    ConnectInput { input: connect_input::Input }
    ConnectEvent { event: connect_event::Event }
}
