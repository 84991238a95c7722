//! Moves a process's output from its pipe to whoever wants it.
//!
//! Back-pressure is the pipe's own: while the reader of the events does not read, nothing is taken out
//! of the pipe, and the process blocks in its `write`.

use std::{sync::Arc, time::Duration};

use bytes::Bytes;
use tokio::{
    io::AsyncReadExt,
    net::unix::pipe,
    sync::{mpsc, watch},
    time::{Instant, sleep_until},
};
use wrenn_proto::guest::{ExecEvent, exec_event::Event};

use super::Ring;
use crate::lock::Lock;

/// Largest piece of output in one event, in bytes.
const CHUNK_BYTES: usize = 32 * 1024;
/// How long output of descendants is waited for when the process itself has exited.
const DRAIN_GRACE: Duration = Duration::from_millis(100);
/// Most that is read after the grace: what a pipe can hold when the process exits.
const DRAIN_BYTES: usize = 1024 * 1024;

/// Where output goes.
#[derive(Debug)]
pub(super) enum Sink {
    /// To the caller's stream, as this kind of event.
    Caller { events: mpsc::Sender<ExecEvent>, kind: fn(Bytes) -> Event },
    /// Into memory, for a later reader.
    Kept(Arc<Lock<Ring>>),
}

impl Sink {
    /// Delivers a chunk, waiting for a slow reader; false if nobody reads any more.
    async fn deliver(&self, chunk: &[u8]) -> bool {
        match self {
            Self::Caller { events, kind } => {
                events.send(ExecEvent { event: Some(kind(Bytes::copy_from_slice(chunk))) }).await.is_ok()
            }
            Self::Kept(ring) => {
                ring.lock().push(chunk);
                true
            }
        }
    }
}

/// Tells the pumps of one process that it has exited.
#[derive(Debug, Clone)]
pub(super) struct ExitNotice(watch::Receiver<Option<Instant>>);

/// The sending half of an [`ExitNotice`].
#[derive(Debug)]
pub(super) struct ExitBell(watch::Sender<Option<Instant>>);

impl ExitBell {
    /// Makes a pair.
    pub(super) fn new() -> (Self, ExitNotice) {
        let (sender, receiver) = watch::channel(None);
        (Self(sender), ExitNotice(receiver))
    }

    /// Says that the process has exited now.
    pub(super) fn ring(&self) {
        self.0.send_replace(Some(Instant::now()));
    }
}

impl ExitNotice {
    /// Resolves when the process has exited and the grace for its descendants is over.
    async fn grace_over(mut self) {
        // An error means that nobody watches the process any more: then there is nothing to wait for.
        let exited_at = self.0.wait_for(Option::is_some).await.ok().and_then(|exited_at| *exited_at);
        if let Some(exited_at) = exited_at {
            sleep_until(exited_at + DRAIN_GRACE).await;
        }
    }

    fn grace_is_over(&self) -> bool {
        self.0.borrow().is_some_and(|exited_at| exited_at + DRAIN_GRACE <= Instant::now())
    }
}

/// Delivers output until the pipe ends, or until the process has exited and its own output is delivered.
///
/// A descendant may hold the pipe open for ever. It may go on writing: the rest is read and dropped, so
/// that it neither blocks nor dies of a broken pipe.
pub(super) async fn pump(mut pipe: pipe::Receiver, sink: Sink, exit: ExitNotice) {
    let mut buffer = vec![0; CHUNK_BYTES];
    let mut late_bytes = 0;
    let grace_over = exit.clone().grace_over();
    tokio::pin!(grace_over);
    loop {
        tokio::select! {
            // What can be read comes first: it was written before the process exited.
            biased;
            read = pipe.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { return };
                if exit.grace_is_over() {
                    late_bytes += length;
                }
                if late_bytes > DRAIN_BYTES || !sink.deliver(&buffer[..length]).await {
                    break;
                }
            }
            () = &mut grace_over => break,
        }
    }
    tokio::spawn(discard(pipe));
}

async fn discard(mut pipe: pipe::Receiver) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = pipe.read(&mut buffer).await {}
}
