//! Moves a process's output from its pipes, or its terminal, to whoever reads it.
//!
//! ```text
//!   pipe, terminal ── pump ──▶ Output (log) ──▶ OutputReader, any number
//! ```
//!
//! Back-pressure is the pipe's own: while a reader does not read, there is no room in the log, nothing is taken out of
//! the pipe, and the process blocks in its `write`.

use std::{
    io,
    pin::pin,
    sync::Arc,
    time::{Duration, Instant},
};

use bytes::{Bytes, BytesMut};
use tokio::{
    io::AsyncReadExt as _,
    net::unix::pipe,
    sync::{Notify, watch},
};
use wrenn_base::Clock;
use wrenn_proto::guest::ExecExited;

use super::{
    log::{KEPT_BYTES, OutputLog, OutputStream, Piece, ReaderId},
    terminal::Terminal,
};
use crate::lock::Lock;

/// Largest piece of output in one event, in bytes: what a pipe holds.
const CHUNK_BYTES: usize = 64 * 1024;
/// With less than this left of a buffer the next one is begun.
const BUFFER_LOW_BYTES: usize = 8 * 1024;
/// How long output of descendants is waited for when the process itself has exited.
const DRAIN_GRACE: Duration = Duration::from_millis(100);
/// Most that is read after the grace: what a pipe can hold when the process exits.
const DRAIN_BYTES: usize = 1024 * 1024;

/// The output of one process, and how it ended.
#[derive(Debug)]
pub(super) struct Output {
    state: Lock<State>,
    /// There is more to read, or the end.
    grown: Notify,
    /// Somebody has read, or reads no more.
    drained: Notify,
}

#[derive(Debug)]
struct State {
    log: OutputLog,
    end: Option<ExecExited>,
}

/// What a reader reads.
#[derive(Debug)]
pub(super) enum Read {
    Piece(Piece),
    /// Nothing follows.
    End(ExecExited),
}

impl Output {
    /// Makes one of a process that has not printed anything.
    pub(super) fn new() -> Arc<Self> {
        let state = State { log: OutputLog::new(KEPT_BYTES), end: None };
        Arc::new(Self { state: Lock::new(state), grown: Notify::new(), drained: Notify::new() })
    }

    /// Appends a chunk; waits for those who read.
    async fn push(&self, stream: OutputStream, chunk: Bytes) {
        loop {
            let mut drained = pin!(self.drained.notified());
            // From now on a notification counts, so none is missed between the look and the wait.
            drained.as_mut().enable();
            {
                let log = &mut self.state.lock().log;
                if log.has_room(chunk.len()) {
                    log.push(stream, chunk);
                    break;
                }
            }
            drained.await;
        }
        self.grown.notify_waiters();
    }

    /// Says how the process ended; its output is complete.
    pub(super) fn end(&self, exited: ExecExited) {
        self.state.lock().end = Some(exited);
        self.grown.notify_waiters();
    }

    /// Begins to read, with the oldest that is kept.
    pub(super) fn reader(self: &Arc<Self>) -> OutputReader {
        let id = self.state.lock().log.add_reader();
        OutputReader { output: Arc::clone(self), id }
    }
}

/// Reads the output of a process. Until it is dropped the process waits for it.
#[derive(Debug)]
pub(super) struct OutputReader {
    output: Arc<Output>,
    id: ReaderId,
}

impl OutputReader {
    /// Waits for what comes next.
    pub(super) async fn next(&mut self) -> Read {
        loop {
            let mut grown = pin!(self.output.grown.notified());
            grown.as_mut().enable();
            {
                let state = &mut *self.output.state.lock();
                if let Some(piece) = state.log.read(self.id) {
                    self.output.drained.notify_waiters();
                    return Read::Piece(piece);
                }
                if let Some(exited) = state.end {
                    return Read::End(exited);
                }
            }
            grown.await;
        }
    }
}

impl Drop for OutputReader {
    fn drop(&mut self) {
        self.output.state.lock().log.remove_reader(self.id);
        self.output.drained.notify_waiters();
    }
}

/// Where output comes from.
#[derive(Debug)]
pub(super) enum Source {
    Pipe(pipe::Receiver),
    Terminal(Arc<Terminal>),
}

impl Source {
    /// Appends what there is to the buffer; nothing at the end.
    async fn read(&mut self, buffer: &mut BytesMut) -> io::Result<usize> {
        match self {
            Self::Pipe(pipe) => pipe.read_buf(buffer).await,
            Self::Terminal(terminal) => terminal.read(buffer).await,
        }
    }
}

/// Tells the pumps of one process that it has exited.
#[derive(Debug, Clone)]
pub(super) struct ExitNotice {
    exited_at: watch::Receiver<Option<Instant>>,
    clock: Clock,
}

/// The sending half of an [`ExitNotice`].
#[derive(Debug)]
pub(super) struct ExitBell {
    exited_at: watch::Sender<Option<Instant>>,
    clock: Clock,
}

impl ExitBell {
    /// Makes a pair.
    pub(super) fn new(clock: Clock) -> (Self, ExitNotice) {
        let (sender, receiver) = watch::channel(None);
        (Self { exited_at: sender, clock: clock.clone() }, ExitNotice { exited_at: receiver, clock })
    }

    /// Says that the process has exited now.
    pub(super) fn ring(&self) {
        self.exited_at.send_replace(Some(self.clock.now()));
    }
}

impl ExitNotice {
    /// Resolves when the process has exited and the grace for its descendants is over.
    async fn grace_over(mut self) {
        // An error means that nobody watches the process any more: then there is nothing to wait for.
        let exited_at = self.exited_at.wait_for(Option::is_some).await.ok().and_then(|exited_at| *exited_at);
        if let Some(exited_at) = exited_at {
            self.clock.sleep_until(exited_at + DRAIN_GRACE).await;
        }
    }

    fn grace_is_over(&self) -> bool {
        self.exited_at.borrow().is_some_and(|exited_at| exited_at + DRAIN_GRACE <= self.clock.now())
    }
}

/// Delivers output until the source ends, or until the process has exited and its own output is delivered.
///
/// A descendant may hold the source open for ever. It may go on writing: what else comes out of a pipe is read and
/// dropped, so that the descendant neither blocks nor dies of a broken pipe. A terminal is gone with its process.
pub(super) async fn pump(mut source: Source, stream: OutputStream, output: Arc<Output>, exit: ExitNotice) {
    let mut buffer = BytesMut::new();
    let mut late_bytes = 0;
    let mut grace_over = pin!(exit.clone().grace_over());
    loop {
        if buffer.capacity() < BUFFER_LOW_BYTES {
            buffer.reserve(CHUNK_BYTES);
        }
        tokio::select! {
            // What can be read comes first: it was written before the process exited.
            biased;
            read = source.read(&mut buffer) => {
                let Ok(length @ 1..) = read else { return };
                if exit.grace_is_over() {
                    late_bytes += length;
                }
                if late_bytes > DRAIN_BYTES {
                    break;
                }
                output.push(stream, buffer.split().freeze()).await;
            }
            () = &mut grace_over => break,
        }
    }
    if let Source::Pipe(pipe) = source {
        tokio::spawn(discard(pipe));
    }
}

async fn discard(mut pipe: pipe::Receiver) {
    let mut buffer = [0; 4096];
    while let Ok(1..) = pipe.read(&mut buffer).await {}
}
