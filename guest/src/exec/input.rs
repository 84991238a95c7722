//! Carries bytes to a process's standard input, or types them into its terminal.
//!
//! The way in belongs to the process: whoever attaches next goes on where the last one left. What the process has not
//! read yet waits here, up to a limit; then whoever sends more waits. Signals do not pass through here, so they overtake
//! bytes, and a process that does not read can be stopped.

use std::{
    io,
    sync::{
        Arc,
        atomic::{AtomicBool, Ordering},
    },
};

use bytes::Bytes;
use tokio::{
    io::AsyncWriteExt as _,
    net::unix::pipe,
    sync::{OwnedSemaphorePermit, Semaphore, mpsc},
};

use super::terminal::Terminal;

/// Bytes of input that wait for the process; with more than that no further input is taken.
const PENDING_BYTES: u32 = 1024 * 1024;

/// The way into a process; clones share it.
#[derive(Debug, Clone)]
pub(super) struct Feed {
    room: Arc<Semaphore>,
    chunks: mpsc::UnboundedSender<Chunk>,
    is_closed: Arc<AtomicBool>,
}

#[derive(Debug)]
enum Chunk {
    Bytes {
        bytes: Bytes,
        /// Given back when the process has read them.
        _room: OwnedSemaphorePermit,
    },
    Close,
}

/// Where the bytes go.
#[derive(Debug)]
pub(super) enum Sink {
    Pipe(pipe::Sender),
    Terminal(Arc<Terminal>),
}

/// What waits to be written; see [`Pending::write`].
#[derive(Debug)]
pub(super) struct Pending(mpsc::UnboundedReceiver<Chunk>);

impl Feed {
    /// Makes a way in.
    pub(super) fn new() -> (Self, Pending) {
        let room = Arc::new(Semaphore::new(PENDING_BYTES as usize));
        // Bounded by the room.
        let (chunks, pending) = mpsc::unbounded_channel();
        (Self { room, chunks, is_closed: Arc::default() }, Pending(pending))
    }

    /// Sends bytes; waits while too many are not read yet. What is sent to a process that reads no more is dropped.
    pub(super) async fn send(&self, bytes: Bytes) {
        if bytes.is_empty() {
            return;
        }
        let size = u32::try_from(bytes.len()).unwrap_or(PENDING_BYTES).min(PENDING_BYTES);
        // Never closed; the permits of a reader that is gone come back when it goes.
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(size).await else { return };
        let _ = self.chunks.send(Chunk::Bytes { bytes, _room: room });
    }

    /// Closes the process's input behind what was sent. A terminal stays open, since it has no end.
    pub(super) fn close(&self) {
        if !self.is_closed.swap(true, Ordering::Relaxed) {
            let _ = self.chunks.send(Chunk::Close);
        }
    }
}

impl Pending {
    /// Writes until the input is closed, or the process takes no more.
    pub(super) async fn write(mut self, mut sink: Sink) {
        loop {
            match self.0.recv().await {
                Some(Chunk::Bytes { bytes, .. }) => {
                    if sink.write_all(&bytes).await.is_err() {
                        return;
                    }
                }
                Some(Chunk::Close) if matches!(sink, Sink::Terminal(_)) => {}
                Some(Chunk::Close) | None => return,
            }
        }
    }
}

impl Sink {
    async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Pipe(pipe) => pipe.write_all(bytes).await,
            Self::Terminal(terminal) => terminal.write_all(bytes).await,
        }
    }
}
