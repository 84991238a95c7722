//! Where requests for tunnels wait for the streams of the agents.

use std::{collections::HashMap, sync::Arc};

use futures_util::{Stream, StreamExt};
use parking_lot::Mutex;
use tokio::sync::{mpsc, oneshot};
use wrenn_proto::{
    agent::{TunnelDown, TunnelError, TunnelErrorKind, TunnelUp, tunnel_down, tunnel_up},
    ids::{HostId, TunnelId},
    session::is_last,
};

use super::{QUEUE, RawSession};
use crate::{SessionError, host::text::harmless};

/// What became of a request for a tunnel.
#[derive(Debug)]
pub(crate) enum Opened {
    /// The agent is connected to the machine.
    Session(RawSession),
    /// The agent could not connect.
    Refused(TunnelError),
}

impl Opened {
    fn refused(error: TunnelError) -> Self {
        Self::Refused(TunnelError { message: harmless(&error.message), ..error })
    }
}

/// Where requests for tunnels wait for the agents' streams. Clones share one desk.
#[derive(Debug, Clone, Default)]
pub(crate) struct TunnelDesk {
    waiting: Arc<Mutex<HashMap<TunnelId, Waiting>>>,
}

#[derive(Debug)]
struct Waiting {
    host: HostId,
    reply: oneshot::Sender<Opened>,
}

/// A place at the desk; leaves it when dropped.
#[derive(Debug)]
pub(crate) struct TunnelTicket {
    pub(crate) id: TunnelId,
    desk: TunnelDesk,
    opened: oneshot::Receiver<Opened>,
}

impl TunnelTicket {
    /// Waits for the agent; none if the host's link ended.
    pub(crate) async fn opened(&mut self) -> Option<Opened> {
        (&mut self.opened).await.ok()
    }
}

impl Drop for TunnelTicket {
    fn drop(&mut self) {
        self.desk.waiting.lock().remove(&self.id);
    }
}

impl TunnelDesk {
    /// Takes a place for a stream that `host` shall open.
    pub(crate) fn expect(&self, host: HostId) -> TunnelTicket {
        let (reply, opened) = oneshot::channel();
        let id = TunnelId::new();
        self.waiting.lock().insert(id, Waiting { host, reply });
        TunnelTicket { id, desk: self.clone(), opened }
    }

    /// Gives the place to the stream that `host` opened; none if it has no such place.
    pub(crate) fn accept(&self, host: HostId, id: TunnelId) -> Option<TunnelAcceptor> {
        self.take(host, id).map(|reply| TunnelAcceptor { reply })
    }

    /// Tells the one who waits that the agent will not open the stream.
    pub(crate) fn refuse(&self, host: HostId, id: TunnelId, error: TunnelError) {
        if let Some(reply) = self.take(host, id) {
            // Whoever asked may have left.
            let _ = reply.send(Opened::refused(error));
        }
    }

    /// Tells all who wait for this host that its link ended.
    pub(crate) fn link_ended(&self, host: HostId) {
        self.waiting.lock().retain(|_, waiting| waiting.host != host);
    }

    /// Returns how many wait.
    pub(crate) fn len(&self) -> usize {
        self.waiting.lock().len()
    }

    fn take(&self, host: HostId, id: TunnelId) -> Option<oneshot::Sender<Opened>> {
        let mut waiting = self.waiting.lock();
        if waiting.get(&id)?.host != host {
            return None;
        }
        waiting.remove(&id).map(|waiting| waiting.reply)
    }
}

/// A stream that was expected.
#[derive(Debug)]
pub struct TunnelAcceptor {
    reply: oneshot::Sender<Opened>,
}

impl TunnelAcceptor {
    /// Carries the session until either end closes it.
    ///
    /// `up` is what the agent sends; an error in it counts as the end of the link. `down` is what the agent
    /// gets; it is closed when this returns.
    pub async fn run<E>(
        self,
        mut up: impl Stream<Item = Result<TunnelUp, E>> + Unpin + Send,
        down: mpsc::Sender<TunnelDown>,
    ) {
        let Self { mut reply } = self;
        let first = tokio::select! {
            frame = up.next() => frame,
            () = reply.closed() => return,
        };
        match first {
            Some(Ok(TunnelUp { frame: Some(tunnel_up::Frame::Ready(_)) })) => {}
            Some(Ok(TunnelUp { frame: Some(tunnel_up::Frame::Error(error)) })) => {
                let _ = reply.send(Opened::refused(error));
                return;
            }
            Some(Ok(_)) => {
                let _ = reply.send(Opened::Refused(protocol_error("the first frame must be `ready`")));
                return;
            }
            // Dropping the reply says that the link ended.
            Some(Err(_)) | None => return,
        }
        let (input, inputs) = mpsc::channel(QUEUE);
        let (event, events) = mpsc::channel(QUEUE);
        if reply.send(Opened::Session(RawSession { input, events })).is_err() {
            return;
        }
        tokio::select! {
            () = pump_up(up, event) => {}
            () = pump_down(inputs, &down) => {}
        }
    }
}

fn protocol_error(message: &str) -> TunnelError {
    TunnelError { kind: TunnelErrorKind::GuestProtocol.into(), message: message.to_owned() }
}

/// Ends when the stream ends, with the last event, with an error, or when nobody listens any more.
async fn pump_up<E>(
    mut up: impl Stream<Item = Result<TunnelUp, E>> + Unpin,
    events: mpsc::Sender<Result<tunnel_up::Frame, SessionError>>,
) {
    loop {
        let frame = tokio::select! {
            frame = up.next() => frame,
            () = events.closed() => return,
        };
        let event = match frame {
            Some(Ok(TunnelUp { frame: Some(tunnel_up::Frame::Error(error)) })) => {
                Err(SessionError::Machine { kind: error.kind(), message: harmless(&error.message) })
            }
            Some(Ok(TunnelUp { frame: Some(tunnel_up::Frame::Ready(_)) | None })) => {
                let TunnelError { message, .. } = protocol_error("a frame out of order");
                Err(SessionError::Machine { kind: TunnelErrorKind::GuestProtocol, message })
            }
            Some(Ok(TunnelUp { frame: Some(frame) })) => Ok(frame),
            Some(Err(_)) | None => Err(SessionError::LinkLost),
        };
        let is_last = event.as_ref().map_or(true, is_last);
        if events.send(event).await.is_err() || is_last {
            return;
        }
    }
}

/// Ends when the agent takes nothing any more. A session whose `input` was dropped goes on.
async fn pump_down(mut inputs: mpsc::Receiver<tunnel_down::Frame>, down: &mpsc::Sender<TunnelDown>) {
    while let Some(frame) = inputs.recv().await {
        if down.send(TunnelDown { frame: Some(frame) }).await.is_err() {
            break;
        }
    }
    // The other direction says what happened.
    std::future::pending().await
}

#[cfg(test)]
mod tests {
    use std::convert::Infallible;

    use tokio_stream::wrappers::ReceiverStream;
    use wrenn_proto::{
        agent::TunnelReady,
        guest::{ExecInput, exec_event},
    };

    use super::*;

    type Up = mpsc::Sender<Result<TunnelUp, Infallible>>;

    fn connect(desk: &TunnelDesk, host: HostId, id: TunnelId) -> Option<(Up, mpsc::Receiver<TunnelDown>)> {
        let acceptor = desk.accept(host, id)?;
        let (up, up_frames) = mpsc::channel(4);
        let (down, down_frames) = mpsc::channel(4);
        tokio::spawn(acceptor.run(ReceiverStream::new(up_frames), down));
        Some((up, down_frames))
    }

    fn up(frame: tunnel_up::Frame) -> Result<TunnelUp, Infallible> {
        Ok(TunnelUp { frame: Some(frame) })
    }

    async fn session(desk: &TunnelDesk) -> (RawSession, Up, mpsc::Receiver<TunnelDown>) {
        let host = HostId::new();
        let mut ticket = desk.expect(host);
        let (sender, down) = connect(desk, host, ticket.id).unwrap();
        sender.send(up(tunnel_up::Frame::Ready(TunnelReady {}))).await.unwrap();
        let Some(Opened::Session(session)) = ticket.opened().await else { panic!("must open") };
        (session, sender, down)
    }

    #[tokio::test]
    async fn an_id_works_once_and_only_for_its_host() {
        let desk = TunnelDesk::default();
        let host = HostId::new();
        let ticket = desk.expect(host);
        assert!(desk.accept(HostId::new(), ticket.id).is_none());
        assert!(desk.accept(host, ticket.id).is_some());
        assert!(desk.accept(host, ticket.id).is_none());
        drop(ticket);
        assert_eq!(desk.len(), 0);
    }

    fn stdout() -> tunnel_up::Frame {
        tunnel_up::Frame::Exec(exec_event::Event::Stdout(vec![1].into()).into())
    }

    #[tokio::test]
    async fn frames_pass_in_both_directions() {
        let desk = TunnelDesk::default();
        let (mut session, sender, mut down) = session(&desk).await;
        session.input.send(tunnel_down::Frame::Exec(ExecInput::default())).await.unwrap();
        assert!(down.recv().await.is_some());
        sender.send(up(stdout())).await.unwrap();
        assert_eq!(session.events.recv().await, Some(Ok(stdout())));
    }

    #[tokio::test]
    async fn a_stream_that_ends_early_is_a_lost_link() {
        let desk = TunnelDesk::default();
        let (mut session, sender, mut down) = session(&desk).await;
        drop(sender);
        assert_eq!(session.events.recv().await, Some(Err(SessionError::LinkLost)));
        assert_eq!(session.events.recv().await, None);
        assert!(down.recv().await.is_none());
    }

    #[tokio::test]
    async fn dropping_the_session_closes_the_stream_and_dropping_only_its_input_does_not() {
        let desk = TunnelDesk::default();
        let (session, sender, mut down) = session(&desk).await;
        let RawSession { input, mut events } = session;
        drop(input);
        sender.send(up(stdout())).await.unwrap();
        assert_eq!(events.recv().await, Some(Ok(stdout())));
        drop(events);
        assert!(down.recv().await.is_none());
    }

    #[tokio::test]
    async fn a_host_whose_link_ends_fails_only_those_who_wait_for_it() {
        let desk = TunnelDesk::default();
        let (lost, other) = (HostId::new(), HostId::new());
        let mut lost_ticket = desk.expect(lost);
        let other_ticket = desk.expect(other);
        desk.link_ended(lost);
        assert!(lost_ticket.opened().await.is_none());
        assert!(desk.accept(other, other_ticket.id).is_some());
    }
}
