//! Carries the caller's inputs to the process: bytes for its standard input, signals for its group.

use std::collections::VecDeque;

use tokio::{io::AsyncWriteExt, net::unix::pipe};
use tokio_stream::{Stream, StreamExt};
use wrenn_proto::guest::{ExecInput, exec_input::Input};

use super::engine::ProcessGroup;

/// Bytes of input that wait for the process; with more than that no further input is taken.
const PENDING_BYTES: usize = 1024 * 1024;

/// Feeds the process until its input is closed and no more signals can come.
///
/// Signals overtake bytes that the process has not read yet, so one that does not read can be stopped.
pub(super) async fn feed(
    mut inputs: impl Stream<Item = ExecInput> + Unpin,
    stdin: pipe::Sender,
    group: std::sync::Arc<ProcessGroup>,
) {
    let mut stdin = Some(stdin);
    let mut pending = VecDeque::new();
    // Closing is an input like any other: it takes effect behind the bytes before it.
    let mut closing = false;
    let mut inputs_open = true;
    loop {
        if closing && pending.is_empty() {
            stdin = None;
        }
        if stdin.is_none() {
            pending.clear();
        }
        tokio::select! {
            input = inputs.next(), if inputs_open && pending.len() < PENDING_BYTES => {
                match input.map(|input| input.input) {
                    Some(Some(Input::Stdin(bytes))) if !closing => pending.extend(bytes),
                    Some(Some(Input::CloseStdin(_))) => closing = true,
                    Some(Some(Input::Signal(signal))) => group.signal(signal.number),
                    // A second start, late bytes and inputs of a newer protocol mean nothing here.
                    Some(_) => {}
                    None => {
                        inputs_open = false;
                        closing = true;
                    }
                }
            }
            written = write_some(&mut stdin, pending.as_slices().0), if stdin.is_some() && !pending.is_empty() => {
                match written {
                    Ok(length) => drop(pending.drain(..length)),
                    // The process has closed its end.
                    Err(_) => stdin = None,
                }
            }
            else => return,
        }
    }
}

async fn write_some(stdin: &mut Option<pipe::Sender>, bytes: &[u8]) -> std::io::Result<usize> {
    match stdin {
        Some(stdin) => stdin.write(bytes).await,
        None => Ok(0),
    }
}
