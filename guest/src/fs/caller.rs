//! Both ends of a conversation with the caller of a request, for the thread that carries it out.

use std::{io, pin::pin};

use tokio::{sync::mpsc, task::spawn_blocking};
use tokio_stream::{Stream, StreamExt as _};
use wrenn_proto::guest::{FileEvent, FileInput, file_event::Event, file_input::Input};

use super::error::FsError;

/// Events that wait for a slow reader.
const EVENT_QUEUE: usize = 4;
/// Inputs that wait for a slow disk.
const INPUT_QUEUE: usize = 4;

/// Caller of a request, as its work sees it.
#[derive(Debug, Clone)]
pub(super) struct Caller {
    events: mpsc::Sender<FileEvent>,
}

impl Caller {
    /// Makes a caller, and the end at which its events come out.
    pub(super) fn new() -> (Self, mpsc::Receiver<FileEvent>) {
        let (events, receiver) = mpsc::channel(EVENT_QUEUE);
        (Self { events }, receiver)
    }

    /// Sends an event, and waits while the caller does not listen; for tasks of the runtime.
    pub(super) async fn send(&self, event: Event) -> Result<(), FsError> {
        self.events.send(event.into()).await.map_err(|_| FsError::CallerGone)
    }

    /// Waits until the caller is gone.
    pub(super) async fn gone(&self) {
        self.events.closed().await;
    }

    /// Tells something, and waits while the caller does not listen. Not for threads of the runtime.
    pub(super) fn tell(&self, event: Event) -> Result<(), FsError> {
        self.events.blocking_send(event.into()).map_err(|_| FsError::CallerGone)
    }

    pub(super) fn is_gone(&self) -> bool {
        self.events.is_closed()
    }
}

/// Inputs of the caller.
pub(super) struct Inputs {
    queue: mpsc::Receiver<FileInput>,
}

impl Inputs {
    pub(super) fn new(inputs: impl Stream<Item = FileInput> + Send + 'static) -> Self {
        Self { queue: queue(inputs) }
    }

    /// Waits for the first input; `None` if the caller says nothing.
    pub(super) async fn first(&mut self) -> Option<Input> {
        self.queue.recv().await.and_then(|input| input.input)
    }

    /// Waits for the next input; none if the caller says nothing more. Not for threads of the runtime.
    pub(super) fn next(&mut self) -> Option<Input> {
        self.queue.blocking_recv().and_then(|input| input.input)
    }
}

/// Puts whole inputs into a queue until nobody takes them any more. They come in parts, and a thread that waited for
/// them itself would be woken for each.
fn queue(inputs: impl Stream<Item = FileInput> + Send + 'static) -> mpsc::Receiver<FileInput> {
    let (waiting, queue) = mpsc::channel(INPUT_QUEUE);
    tokio::spawn(async move {
        let mut inputs = pin!(inputs);
        loop {
            let input = tokio::select! {
                input = inputs.next() => input,
                () = waiting.closed() => return,
            };
            let Some(input) = input else { return };
            if waiting.send(input).await.is_err() {
                return;
            }
        }
    });
    queue
}

/// Works on a thread that may wait.
pub(super) async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, FsError> + Send + 'static,
) -> Result<T, FsError> {
    spawn_blocking(work).await.unwrap_or_else(|panic| Err(FsError::Lost(io::Error::other(panic))))
}
