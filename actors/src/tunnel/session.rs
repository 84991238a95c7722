//! The control plane's end of a session.

use std::{fmt, marker::PhantomData};

use tokio::sync::mpsc;
use wrenn_proto::{
    agent::{TunnelErrorKind, tunnel_down, tunnel_up},
    guest::{ConnectInput, ExecInput, FileInput},
    session::{Event as _, Input},
};

use crate::{SessionError, activity::ActivityGuard, grants::Grant};

/// A session about processes.
pub type ExecSession = Session<ExecInput>;
/// A session about files.
pub type FileSession = Session<FileInput>;
/// A connection to a port.
pub type ConnectSession = Session<ConnectInput>;

/// A session of whatever kind.
#[derive(Debug)]
pub(crate) struct RawSession {
    pub(crate) input: mpsc::Sender<tunnel_down::Frame>,
    pub(crate) events: mpsc::Receiver<Result<tunnel_up::Frame, SessionError>>,
}

/// Something that a client does inside a sandbox.
///
/// Dropping `events` closes the session: what was begun in the machine ends, unless it is meant to outlive it.
#[derive(Debug)]
pub struct Session<I: Input> {
    /// What it is told.
    pub input: SessionInput<I>,
    /// What it tells.
    pub events: SessionEvents<I>,
}

/// The way into a session; clones share it.
pub struct SessionInput<I> {
    frames: mpsc::Sender<tunnel_down::Frame>,
    grant: Grant,
    kind: PhantomData<fn(I)>,
}

/// The way out of a session.
pub struct SessionEvents<I> {
    frames: mpsc::Receiver<Result<tunnel_up::Frame, SessionError>>,
    /// Permission to use the session.
    grant: Grant,
    /// Counts as use of the sandbox.
    in_use: Option<ActivityGuard>,
    is_over: bool,
    kind: PhantomData<fn() -> I>,
}

impl<I: Input> Session<I> {
    pub(crate) fn new(raw: RawSession, grant: Grant, in_use: ActivityGuard) -> Self {
        let RawSession { input, events } = raw;
        let in_use = Some(in_use);
        Self {
            input: SessionInput { frames: input, grant: grant.clone(), kind: PhantomData },
            events: SessionEvents { frames: events, grant, in_use, is_over: false, kind: PhantomData },
        }
    }
}

impl<I: Input> SessionInput<I> {
    /// Tells the session something; waits while it does not listen. Returns false if it has ended, which its events
    /// tell more of.
    pub async fn send(&self, input: impl Into<I>) -> bool {
        tokio::select! {
            biased;
            () = self.grant.revoked() => false,
            sent = self.frames.send(input.into().into_frame()) => sent.is_ok(),
        }
    }

    /// Waits until the session listens to nobody any more.
    pub async fn closed(&self) {
        tokio::select! {
            () = self.grant.revoked() => {}
            () = self.frames.closed() => {}
        }
    }
}

impl<I> Clone for SessionInput<I> {
    fn clone(&self) -> Self {
        Self { frames: self.frames.clone(), grant: self.grant.clone(), kind: PhantomData }
    }
}

impl<I> fmt::Debug for SessionInput<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionInput").field("closed", &self.frames.is_closed()).finish()
    }
}

impl<I: Input> SessionEvents<I> {
    /// Waits for the next event; none after the last one, or after an error. May be cancelled.
    ///
    /// # Errors
    /// See [`SessionError`].
    pub async fn recv(&mut self) -> Option<Result<I::Event, SessionError>> {
        if self.is_over {
            return None;
        }
        let frame = tokio::select! {
            biased;
            () = self.grant.revoked() => Some(Err(SessionError::Revoked)),
            frame = self.frames.recv() => frame,
        };
        let event = frame.unwrap_or(Err(SessionError::LinkLost)).and_then(|frame| {
            I::Event::from_frame(frame).ok_or_else(|| SessionError::Machine {
                kind: TunnelErrorKind::GuestProtocol,
                message: "a frame of another kind".to_owned(),
            })
        });
        self.is_over = event.as_ref().map_or(true, wrenn_proto::session::Event::is_last);
        Some(event)
    }

    /// From now on the session does not count as use of the sandbox any more: it is kept open only in case.
    pub fn stop_counting(&mut self) {
        self.in_use = None;
    }
}

impl<I> fmt::Debug for SessionEvents<I> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SessionEvents").field("over", &self.is_over).finish_non_exhaustive()
    }
}
