//! The stream of one attached agent, seen from both of its ends.

use std::fmt;

use actix::{Addr, Message};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wrenn_proto::{
    agent::{AgentFrame, AgentHello, ServerFrame, server_frame},
    ids::HostId,
};

use super::connection::HostConnection;
use crate::AttachError;

/// An agent dialled and said hello; frames for it go to `outgoing`.
#[derive(Debug, Message)]
#[rtype(result = "Result<AgentLink, AttachError>")]
pub(crate) struct Attach {
    pub(crate) hello: AgentHello,
    pub(crate) outgoing: mpsc::Sender<ServerFrame>,
}

/// A frame arrived.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct FromAgent {
    pub(crate) link: LinkNumber,
    pub(crate) frame: AgentFrame,
}

/// The stream ended.
#[derive(Debug, Message)]
#[rtype(result = "()")]
pub(crate) struct Detach {
    pub(crate) link: LinkNumber,
}

/// Tells the streams of one host apart; one that attached later has a larger number.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct LinkNumber(pub(crate) u64);

/// Why a frame did not leave.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum SendFailure {
    /// The agent does not read fast enough.
    Full,
    /// The stream has ended.
    Ended,
}

/// The control plane's end: where frames for the agent go.
#[derive(Debug)]
pub(crate) struct Link {
    pub(crate) number: LinkNumber,
    outgoing: mpsc::Sender<ServerFrame>,
    cut: CancellationToken,
}

impl Link {
    pub(crate) fn new(number: LinkNumber, outgoing: mpsc::Sender<ServerFrame>) -> Self {
        Self { number, outgoing, cut: CancellationToken::new() }
    }

    /// Hands a frame to the stream; never waits.
    pub(crate) fn send(&self, frame: server_frame::Frame) -> Result<(), SendFailure> {
        self.outgoing.try_send(ServerFrame { frame: Some(frame) }).map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => SendFailure::Full,
            mpsc::error::TrySendError::Closed(_) => SendFailure::Ended,
        })
    }

    /// Returns true as long as the agent may still read.
    pub(crate) fn is_open(&self) -> bool {
        !self.outgoing.is_closed() && !self.cut.is_cancelled()
    }

    pub(crate) fn cut_token(&self) -> CancellationToken {
        self.cut.clone()
    }
}

impl Drop for Link {
    fn drop(&mut self) {
        self.cut.cancel();
    }
}

/// The agent's end, for whoever carries the stream. Dropping it says that the stream has ended.
pub struct AgentLink {
    pub(super) host: HostId,
    pub(super) number: LinkNumber,
    pub(super) connection: Addr<HostConnection>,
    pub(super) cut: CancellationToken,
}

impl AgentLink {
    /// Returns the host whose agent this is.
    pub fn host(&self) -> HostId {
        self.host
    }

    /// Passes a frame on and waits until it was handled, so that a fast agent is slowed down.
    ///
    /// A frame that makes its handler panic costs only itself. Returns false when the link was cut.
    pub async fn receive(&self, frame: AgentFrame) -> bool {
        let message = FromAgent { link: self.number, frame };
        tokio::select! {
            handled = self.connection.send(message) => {
                if let Err(error) = handled {
                    tracing::warn!(host = %self.host, %error, "a frame was not handled");
                }
                !self.cut.is_cancelled() && self.connection.connected()
            }
            () = self.cut.cancelled() => false,
        }
    }

    /// Waits until the control plane cuts the link: the stream must be ended then.
    pub async fn cut(&self) {
        self.cut.cancelled().await;
    }
}

impl Drop for AgentLink {
    fn drop(&mut self) {
        self.connection.do_send(Detach { link: self.number });
    }
}

impl fmt::Debug for AgentLink {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AgentLink")
            .field("host", &self.host)
            .field("number", &self.number)
            .finish_non_exhaustive()
    }
}
