//! `GET /v1/capsules/{id}/exec/stream`: a command with output that is sent while it runs, and with input.
//!
//! The process outlives its socket: `GET …/processes/{selector}/stream` attaches to it again.

use std::convert::Infallible;

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use wrenn_domain::action::Action;
use wrenn_proto::guest::{CloseStdin, ExecStart, Lifetime, Signal, exec_event::Event, exec_input::Input};

use super::{
    command::Command,
    process_socket::{self, Decoded, FrameCodec, SessionOpener, out_of_order, relay},
    processes::SignalName,
    session,
    text::{PIECE_BYTES, Utf8Stream, pieces},
};
use crate::{
    error::{ClientError as _, ErrorBody},
    ws::{Ending, Incoming, Outgoing},
};

/// Bytes of a piece in base64: a multiple of 3, so that only the last piece has padding.
const BASE64_PIECE_BYTES: usize = PIECE_BYTES / 4 * 3;

/// Encoding of output.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Deserialize, Serialize)]
pub(super) enum Encoding {
    /// As text; invalid bytes become U+FFFD.
    #[default]
    #[serde(rename = "utf-8")]
    Utf8,
    /// All bytes, unchanged.
    #[serde(rename = "base64")]
    Base64,
}

/// Frame that a client sends.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
pub(super) enum ClientFrame {
    Start(StartFrame),
    Stdin {
        data: String,
    },
    CloseStdin,
    Signal {
        signal: SignalName,
    },
    #[serde(alias = "kill")]
    Stop,
}

#[derive(Deserialize)]
pub(super) struct StartFrame {
    #[serde(flatten)]
    command: Command,
    #[serde(default)]
    encoding: Encoding,
}

/// Frame that a client receives.
#[derive(Debug, PartialEq, Eq, Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
pub(super) enum ServerFrame {
    Start { pid: u32, tag: String },
    Stdout(Data),
    Stderr(Data),
    Dropped { bytes: u64 },
    Exit { exit_code: i32, timed_out: bool },
}

#[derive(Debug, PartialEq, Eq, Serialize)]
pub(super) struct Data {
    data: String,
    /// Absent for text.
    #[serde(skip_serializing_if = "Option::is_none")]
    encoding: Option<Encoding>,
}

/// Codec of a stream of output.
#[derive(Debug, Default)]
pub(super) struct OutputCodec {
    encoding: Encoding,
    stdout: Utf8Stream,
    stderr: Utf8Stream,
}

impl OutputCodec {
    pub(super) fn new(encoding: Encoding) -> Self {
        Self { encoding, ..Self::default() }
    }

    /// Returns frames for the incomplete characters at the end of the streams.
    fn finish(&mut self) -> Vec<ServerFrame> {
        let rest = [
            (self.stdout.finish(), ServerFrame::Stdout as fn(Data) -> _),
            (self.stderr.finish(), ServerFrame::Stderr as fn(Data) -> _),
        ];
        let rest = rest.into_iter().filter(|(text, _)| !text.is_empty());
        rest.map(|(data, frame)| frame(Data { data, encoding: None })).collect()
    }
}

/// Splits output into frames of a bounded size.
fn frames(
    encoding: Encoding,
    stream: &mut Utf8Stream,
    bytes: &Bytes,
    frame: fn(Data) -> ServerFrame,
) -> Vec<ServerFrame> {
    match encoding {
        Encoding::Utf8 => {
            let text = stream.push(bytes);
            pieces(&text).map(|piece| frame(Data { data: piece.to_owned(), encoding: None })).collect()
        }
        Encoding::Base64 => bytes
            .chunks(BASE64_PIECE_BYTES)
            .map(|piece| frame(Data { data: BASE64_STANDARD.encode(piece), encoding: Some(encoding) }))
            .collect(),
    }
}

/// Decodes base64 of a client.
///
/// # Errors
/// [`Ending::Garbled`] if the text is not base64.
pub(super) fn decode_base64(data: &str) -> Result<Bytes, Ending> {
    let decoded = BASE64_STANDARD.decode(data);
    decoded.map(Bytes::from).map_err(|error| Ending::Garbled(format!("data: is not base64: {error}")))
}

impl FrameCodec for OutputCodec {
    type ClientFrame = ClientFrame;
    type ServerFrame = ServerFrame;

    fn decode(frame: ClientFrame) -> Result<Decoded, Ending> {
        let input = match frame {
            ClientFrame::Start(_) => return Err(out_of_order("no second `start`")),
            ClientFrame::Stdin { data } => Input::Stdin(decode_base64(&data)?),
            ClientFrame::CloseStdin => Input::CloseStdin(CloseStdin {}),
            ClientFrame::Signal { signal } => Input::Signal(Signal { number: signal.number() }),
            ClientFrame::Stop => Input::Signal(Signal { number: SignalName::Kill.number() }),
        };
        Ok(Decoded::Input(input))
    }

    fn encode(&mut self, event: Event) -> Vec<ServerFrame> {
        match event {
            Event::Started(started) => vec![ServerFrame::Start { pid: started.pid, tag: started.tag }],
            Event::Stdout(bytes) => frames(self.encoding, &mut self.stdout, &bytes, ServerFrame::Stdout),
            Event::Stderr(bytes) => frames(self.encoding, &mut self.stderr, &bytes, ServerFrame::Stderr),
            Event::DroppedBytes(bytes) => {
                let mut frames = self.finish();
                frames.push(ServerFrame::Dropped { bytes });
                frames
            }
            Event::Exited(exited) => {
                let mut frames = self.finish();
                let (exit_code, timed_out) = (exited.exit_code, exited.timed_out);
                frames.push(ServerFrame::Exit { exit_code, timed_out });
                frames
            }
            Event::Failed(_) | Event::Processes(_) | Event::Signalled(_) | Event::Detached(_) => Vec::new(),
        }
    }
}

/// Run a command over a WebSocket
///
/// Frames are JSON texts. The client begins with `{"type":"start","cmd","args"?,"envs"?,"cwd"?,"user"?,
/// "timeout_sec"?,"tag"?,"encoding"?,"stdin"?}`, or, if it cannot send headers, with `{"type":"auth","token"}` or
/// `{"type":"auth","api_key"}` before that. Later it may send `stdin` (`data` in base64), `close_stdin`, `signal`
/// (`signal`: a name) and `stop`. With `"stdin": false` the command reads `/dev/null`. It is sent `start` (`pid`, `tag`),
/// `stdout` and `stderr` (`data`: text, or base64 with `encoding: "base64"` if `start` asked for that), `dropped` (`bytes` that were not kept), at the end `exit`
/// (`exit_code`) or `error` (`data`), and now and then `ping`. The process outlives the socket.
#[utoipa::path(
    get, path = Action::ExecStream.path(), tag = "processes",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "The request is not for a WebSocket", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 503, description = session::UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn exec_stream(request: HttpRequest, payload: Payload) -> actix_web::Result<HttpResponse> {
    process_socket::open(Action::ExecStream, &request, payload, run_command).await
}

async fn run_command(
    opener: SessionOpener,
    (): (),
    incoming: &mut Incoming,
    outgoing: &Outgoing,
) -> Result<Infallible, Ending> {
    let ClientFrame::Start(StartFrame { command, encoding }) = incoming.next().await? else {
        return Err(out_of_order("`start`"));
    };
    let start = command.into_start(0).map_err(|error| error.api_error())?;
    let start = ExecStart { lifetime: Lifetime::Kept.into(), ..start };
    let session = opener.open(Input::Start(start)).await?;
    relay(session, incoming, outgoing, OutputCodec::new(encoding)).await
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use wrenn_proto::guest::ExecExited;

    use super::*;

    fn encoded(codec: &mut OutputCodec, event: Event) -> Vec<serde_json::Value> {
        codec.encode(event).iter().map(|frame| serde_json::to_value(frame).unwrap()).collect()
    }

    #[test]
    fn characters_are_put_together_for_each_stream_by_itself() {
        let mut codec = OutputCodec::default();
        assert_eq!(
            encoded(&mut codec, Event::Stdout(Bytes::from_static(b"a\xc3"))),
            [json!({"type": "stdout", "data": "a"})]
        );
        assert_eq!(
            encoded(&mut codec, Event::Stderr(Bytes::from_static(b"b"))),
            [json!({"type": "stderr", "data": "b"})]
        );
        assert_eq!(
            encoded(&mut codec, Event::Stdout(Bytes::from_static(b"\xbc\xe2"))),
            [json!({"type": "stdout", "data": "ü"})]
        );
        let exited = ExecExited { exit_code: 3, ..ExecExited::default() };
        assert_eq!(
            encoded(&mut codec, Event::Exited(exited)),
            [
                json!({"type": "stdout", "data": "\u{fffd}"}),
                json!({"type": "exit", "exit_code": 3, "timed_out": false})
            ]
        );
    }

    #[test]
    fn base64_is_as_it_is_and_frames_have_a_bounded_size() {
        let mut codec = OutputCodec::new(Encoding::Base64);
        let bytes = Bytes::from(vec![0xff; 50_000]);
        let mut decoded = Vec::new();
        for frame in encoded(&mut codec, Event::Stdout(bytes.clone())) {
            assert_eq!(frame["encoding"], "base64");
            let data = frame["data"].as_str().unwrap();
            assert!(data.len() <= PIECE_BYTES);
            decoded.extend(BASE64_STANDARD.decode(data).unwrap());
        }
        assert_eq!(decoded, bytes);
    }
}
