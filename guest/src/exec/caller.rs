//! The conversation of one caller with one process.

use std::sync::Arc;

use tokio::sync::mpsc;
use tokio_stream::{Stream, StreamExt as _};
use wrenn_proto::guest::{ExecEvent, ExecInput, ExecStarted, exec_event::Event, exec_input::Input};

use super::{
    log::{OutputStream, Piece},
    output::{OutputReader, Read},
    plan::window_size,
    process::Process,
};

/// Events that wait for a slow reader; together with the size of a chunk this bounds the memory.
const EVENT_QUEUE: usize = 4;

/// What becomes of a process whose caller goes away.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Parting {
    /// It is killed. A caller that only says nothing more closes its input.
    Kill,
    /// It goes on, and its input stays open.
    GoOn,
}

/// How the reading ended.
enum Ended {
    Complete,
    CallerGone,
}

/// Says that a process has started.
pub(super) fn started(process: &Process) -> ExecEvent {
    let pid = process.pid().as_raw().cast_unsigned();
    Event::Started(ExecStarted { pid, tag: process.description.tag.clone() }).into()
}

/// Lets a caller talk to a process: `started`, the output that is kept, then what follows, until it has ended. Needs
/// the context of a runtime.
pub(super) fn converse(
    process: Arc<Process>,
    mut reader: OutputReader,
    inputs: impl Stream<Item = ExecInput> + Send + Unpin + 'static,
    parting: Parting,
) -> mpsc::Receiver<ExecEvent> {
    let (events, receiver) = mpsc::channel(EVENT_QUEUE);
    // The queue is empty, so there is room.
    let _ = events.try_send(started(&process));
    tokio::spawn(async move {
        let listen = async {
            obey(&process, inputs, parting).await;
            std::future::pending().await
        };
        let ended = tokio::select! {
            ended = tell(&mut reader, &events) => ended,
            ended = listen => ended,
        };
        if matches!((ended, parting), (Ended::CallerGone, Parting::Kill)) {
            process.kill();
        }
    });
    receiver
}

/// Tells the caller everything until the end.
async fn tell(reader: &mut OutputReader, events: &mpsc::Sender<ExecEvent>) -> Ended {
    loop {
        let read = tokio::select! {
            read = reader.next() => read,
            () = events.closed() => return Ended::CallerGone,
        };
        let (event, is_last) = match read {
            Read::Piece(Piece::Output(OutputStream::Stdout, bytes)) => (Event::Stdout(bytes), false),
            Read::Piece(Piece::Output(OutputStream::Stderr, bytes)) => (Event::Stderr(bytes), false),
            Read::Piece(Piece::Dropped(bytes)) => (Event::DroppedBytes(bytes), false),
            Read::End(exited) => (Event::Exited(exited), true),
        };
        if events.send(event.into()).await.is_err() {
            return Ended::CallerGone;
        }
        if is_last {
            return Ended::Complete;
        }
    }
}

/// Does what the caller says until it says no more.
async fn obey(process: &Process, mut inputs: impl Stream<Item = ExecInput> + Unpin, parting: Parting) {
    while let Some(input) = inputs.next().await {
        match input.input {
            Some(Input::Stdin(bytes)) => process.type_in(bytes).await,
            Some(Input::CloseStdin(_)) => process.close_input(),
            Some(Input::Signal(signal)) => {
                process.signal(signal.number);
            }
            Some(Input::Resize(size)) => {
                // A size that no window can have means nothing.
                if let Ok(size) = window_size(size) {
                    process.resize(size);
                }
            }
            // A second opening and inputs of a newer protocol mean nothing here.
            Some(Input::Start(_) | Input::Attach(_) | Input::List(_) | Input::SignalProcess(_)) | None => {}
        }
    }
    if parting == Parting::Kill {
        process.close_input();
    }
}
