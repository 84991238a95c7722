//! An open WebSocket: both directions, and the detection of clients that have disconnected.

use std::{
    cell::Cell,
    io,
    rc::Rc,
    time::{Duration, Instant},
};

use actix_web::error::PayloadError;
use actix_ws::{AggregatedMessage, AggregatedMessageStream, MessageStream, ProtocolError, Session};
use futures_util::FutureExt as _;
use serde::{Serialize, de::DeserializeOwned};
use serde_json::error::Category;
use tokio::time::timeout;
use wrenn_base::Clock;
use wrenn_domain::error_code::ErrorCode;

use super::Ending;

/// Longest frame that is accepted, in bytes, also in pieces.
const FRAME_MAX_BYTES: usize = 1024 * 1024;
/// Interval of pings: a frame for the client's program, and one that its WebSocket answers by itself.
const PING_EVERY: Duration = Duration::from_secs(20);
/// Time after which a silent client counts as disconnected.
const SILENCE: Duration = Duration::from_secs(60);
/// Time limit for the client to read the last frames.
const CLOSE_WITHIN: Duration = Duration::from_secs(5);

/// An open WebSocket.
pub(crate) struct Socket {
    incoming: Incoming,
    outgoing: Outgoing,
    pulse: Rc<Pulse>,
}

/// Receiving half of a socket.
pub(crate) struct Incoming {
    frames: AggregatedMessageStream,
    outgoing: Outgoing,
    clock: Clock,
    pulse: Rc<Pulse>,
}

/// Sending half of a socket; clones share the socket.
#[derive(Clone)]
pub(crate) struct Outgoing {
    session: Session,
}

/// Time since which a read waits for the client; `None` while no read is pending, when the client cannot be blamed for
/// silence.
struct Pulse(Cell<Option<Instant>>);

/// Frames that all sockets send.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum CommonFrame<'a> {
    Ping,
    Error { data: &'a str, code: &'a str, fatal: bool },
}

impl Socket {
    pub(super) fn new(session: Session, frames: MessageStream, clock: Clock) -> Self {
        let frames = frames
            .max_frame_size(FRAME_MAX_BYTES)
            .aggregate_continuations()
            .max_continuation_size(FRAME_MAX_BYTES);
        let outgoing = Outgoing { session };
        let pulse = Rc::new(Pulse(Cell::new(None)));
        let incoming = Incoming { frames, outgoing: outgoing.clone(), clock, pulse: pulse.clone() };
        Self { incoming, outgoing, pulse }
    }

    /// Runs a conversation to its end, or until the client is gone.
    pub(super) async fn run(
        mut self,
        conversation: impl AsyncFnOnce(&mut Incoming, &Outgoing) -> Ending,
        server_stops: impl Future<Output = ()>,
    ) {
        let clock = self.incoming.clock.clone();
        let ending = tokio::select! {
            ending = conversation(&mut self.incoming, &self.outgoing) => ending,
            () = keep_alive(self.outgoing.clone(), clock, &self.pulse) => Ending::ClientGone,
            () = server_stops => Ending::ServerStops,
        };
        tracing::debug!(?ending, "socket ends");
        // A client that does not read for that long gets no close frame.
        let _ = timeout(CLOSE_WITHIN, self.outgoing.end(&ending)).await;
    }
}

impl Incoming {
    /// Waits for the next frame of the client.
    ///
    /// # Errors
    /// The [`Ending`], if the frame is invalid or the client has disconnected.
    pub(crate) async fn next<T: DeserializeOwned>(&mut self) -> Result<T, Ending> {
        parse(&self.text().await?)
    }

    async fn text(&mut self) -> Result<impl AsRef<str> + use<>, Ending> {
        loop {
            self.pulse.0.set(Some(self.clock.now()));
            let frame = self.frames.recv().await;
            self.pulse.0.set(None);
            match frame {
                Some(Ok(AggregatedMessage::Text(text))) => return Ok(text),
                Some(Ok(AggregatedMessage::Binary(_))) => return Err(Ending::Binary),
                Some(Ok(AggregatedMessage::Ping(payload))) => {
                    // A pong that cannot be sent at once is dropped: the client does not read.
                    let _ = self.outgoing.session.pong(&payload).now_or_never();
                }
                Some(Ok(AggregatedMessage::Pong(_))) => {}
                Some(Ok(AggregatedMessage::Close(_))) | None => return Err(Ending::ClientGone),
                Some(Err(error)) => return Err(ending_of(error)),
            }
        }
    }
}

/// Parses a frame.
fn parse<T: DeserializeOwned>(text: &impl AsRef<str>) -> Result<T, Ending> {
    serde_json::from_str(text.as_ref()).map_err(|error| match error.classify() {
        Category::Data => Ending::Refused(format!("the frame is not known here: {error}")),
        Category::Syntax | Category::Eof | Category::Io => {
            Ending::Garbled(format!("the frame is not JSON: {error}"))
        }
    })
}

/// Converts an error of the stream of frames.
fn ending_of(error: ProtocolError) -> Ending {
    match error {
        ProtocolError::Overflow => Ending::TooLarge,
        ProtocolError::Io(error) if error.kind() == io::ErrorKind::InvalidData => {
            Ending::Garbled("the frame is not UTF-8".to_owned())
        }
        ProtocolError::Io(error) if error.get_ref().is_some_and(|source| source.is::<PayloadError>()) => {
            Ending::ClientGone
        }
        // The pieces of a frame exceed the limit together.
        ProtocolError::Io(_) => Ending::TooLarge,
        error => Ending::Protocol(error.to_string()),
    }
}

impl Outgoing {
    /// Sends a frame; waits while the client does not read.
    ///
    /// # Errors
    /// [`Ending::ClientGone`].
    pub(crate) async fn send(&self, frame: &impl Serialize) -> Result<(), Ending> {
        // Frames are strings and numbers, which always serialise; the fallback only avoids a panic.
        let text = serde_json::to_string(frame).unwrap_or_default();
        // Each clone has a place of its own in the queue.
        self.session.clone().text(text).await.map_err(|_| Ending::ClientGone)
    }

    /// Sends an error frame that does not end the conversation.
    ///
    /// # Errors
    /// [`Ending::ClientGone`].
    pub(crate) async fn warn(&self, message: &str) -> Result<(), Ending> {
        let code = ErrorCode::InvalidRequest.as_str();
        self.send(&CommonFrame::Error { data: message, code, fatal: false }).await
    }

    async fn end(self, ending: &Ending) {
        if let Some(message) = ending.message() {
            let frame = CommonFrame::Error { data: message, code: ending.code().as_str(), fatal: true };
            // A failure to send shows again in `close`.
            let _ = self.send(&frame).await;
        }
        if let Some(reason) = ending.close_reason() {
            let _ = self.session.close(Some(reason)).await;
        }
    }
}

/// Pings the client; returns when it has disconnected, or has been silent for too long.
async fn keep_alive(outgoing: Outgoing, clock: Clock, pulse: &Pulse) {
    loop {
        clock.sleep(PING_EVERY).await;
        if pulse.0.get().is_some_and(|heard| clock.since(heard) >= SILENCE) {
            return;
        }
        // A client that does not read has other frames in its queue. One that has disconnected is detected here even if
        // no read is pending and no other frame is sent.
        let sent = outgoing.send(&CommonFrame::Ping).now_or_never();
        let pinged = outgoing.session.clone().ping(b"").now_or_never();
        if matches!(sent, Some(Err(_))) || matches!(pinged, Some(Err(_))) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use serde::Deserialize;

    use super::*;

    #[derive(Debug, PartialEq, Deserialize)]
    #[serde(tag = "type", rename_all = "lowercase")]
    enum Frame {
        Resize { cols: u16 },
    }

    #[test]
    fn what_is_no_json_is_told_from_what_is_not_known() {
        assert_eq!(parse(&r#"{"type":"resize","cols":3}"#), Ok(Frame::Resize { cols: 3 }));
        for broken in ["", "{", "nonsense", r#"{"type":"resize""#] {
            assert!(matches!(parse::<Frame>(&broken), Err(Ending::Garbled(_))), "{broken}");
        }
        for unknown in ["[]", "7", "null", "{}", r#"{"type":"x"}"#, r#"{"type":"resize","cols":-1}"#] {
            assert!(matches!(parse::<Frame>(&unknown), Err(Ending::Refused(_))), "{unknown}");
        }
    }

    #[test]
    fn frames_that_cannot_be_read_say_why() {
        let other = io::Error::other("Exceeded maximum continuation size");
        assert_eq!(ending_of(ProtocolError::Io(other)), Ending::TooLarge);
        let cut = io::Error::other(PayloadError::Incomplete(None));
        assert_eq!(ending_of(ProtocolError::Io(cut)), Ending::ClientGone);
        assert!(matches!(ending_of(ProtocolError::UnmaskedFrame), Ending::Protocol(_)));
    }
}
