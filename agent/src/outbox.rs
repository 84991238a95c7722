//! The way of results and events to the control plane: a bounded queue that exists only while the link does.
//!
//! Nothing is kept for later. What is published without a link is dropped, because the hello of the next one carries
//! the inventory, which settles the same questions with newer knowledge. For the same reason a queue that is full ends
//! the session instead of dropping one frame of it.

use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use wrenn_proto::agent::{AgentFrame, agent_frame::Frame};

/// Where machines put what the control plane should hear; clones share the queue.
#[derive(Debug, Clone, Default)]
pub struct Outbox {
    session: Arc<Mutex<Option<Session>>>,
}

#[derive(Debug, Clone)]
struct Session {
    frames: mpsc::Sender<AgentFrame>,
    overflow: CancellationToken,
}

/// The receiving end of one session's queue. While it lives, what is published arrives here.
#[derive(Debug)]
pub struct SessionQueue {
    /// The frames, in the order in which they were published.
    pub frames: mpsc::Receiver<AgentFrame>,
    /// Cancelled when a frame did not fit; the session is to be ended then.
    pub overflow: CancellationToken,
}

impl Outbox {
    /// Begins a session, in place of the one before; its queue holds `capacity` frames.
    pub fn open_session(&self, capacity: usize) -> SessionQueue {
        let (sender, frames) = mpsc::channel(capacity);
        let overflow = CancellationToken::new();
        *self.session.lock() = Some(Session { frames: sender, overflow: overflow.clone() });
        SessionQueue { frames, overflow }
    }

    /// Ends the session: what is published from now on is dropped.
    pub fn close_session(&self) {
        *self.session.lock() = None;
    }

    /// Returns true while there is a session.
    pub fn is_open(&self) -> bool {
        self.session.lock().is_some()
    }

    /// Puts a frame into the queue of the session; never waits.
    pub fn publish(&self, frame: Frame) {
        let mut session = self.session.lock();
        let Some(open) = session.as_ref() else { return };
        match open.frames.try_send(AgentFrame { frame: Some(frame) }) {
            Ok(()) => {}
            Err(mpsc::error::TrySendError::Full(_)) => {
                tracing::warn!("the control plane does not read, ending the session");
                open.overflow.cancel();
                *session = None;
            }
            Err(mpsc::error::TrySendError::Closed(_)) => *session = None,
        }
    }
}

#[cfg(test)]
mod tests {
    use wrenn_proto::agent::Heartbeat;

    use super::*;

    fn frame(machines: u32) -> Frame {
        Frame::Heartbeat(Heartbeat { machines, ..Heartbeat::default() })
    }

    #[test]
    fn frames_without_a_session_are_dropped_and_later_ones_arrive() {
        let outbox = Outbox::default();
        outbox.publish(frame(1));
        let mut queue = outbox.open_session(4);
        outbox.publish(frame(2));
        assert_eq!(queue.frames.try_recv().unwrap().frame, Some(frame(2)));
        assert!(queue.frames.try_recv().is_err());
    }

    #[test]
    fn a_full_queue_ends_the_session() {
        let outbox = Outbox::default();
        let queue = outbox.open_session(2);
        (0..3).for_each(|n| outbox.publish(frame(n)));
        assert!(queue.overflow.is_cancelled());
        let fresh = outbox.open_session(2);
        outbox.publish(frame(7));
        assert_eq!(fresh.frames.len(), 1);
        assert!(!fresh.overflow.is_cancelled());
    }
}
