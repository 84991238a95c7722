//! `GET /v1/capsules/{id}/pty`: a terminal.
//!
//! A session is a process in a terminal, and outlives its socket; `connect` attaches to it again, with the output that
//! was kept.

use std::{collections::BTreeMap, convert::Infallible};

use actix_web::{HttpRequest, HttpResponse, web::Payload};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use serde::{Deserialize, Serialize};
use wrenn_domain::action::Action;
use wrenn_proto::guest::{
    ExecStart, Lifetime, ProcessAttach, Signal, TerminalSize, exec_event::Event, exec_input::Input,
};

use super::{
    command::Command,
    exec_stream::decode_base64,
    process_socket::{self, Decoded, FrameCodec, SessionOpener, out_of_order, relay},
    processes::{Selector, SignalName},
    session,
    text::PIECE_BYTES,
};
use crate::{
    error::{ClientError as _, ErrorBody},
    ws::{Ending, Incoming, Outgoing},
};

/// Program of a terminal whose `start` names none.
const DEFAULT_SHELL: &str = "/bin/bash";
const DEFAULT_COLS: u32 = 80;
const DEFAULT_ROWS: u32 = 24;
/// Most columns or rows.
const MAX_LENGTH: u32 = 65_535;

/// Frame that a client sends.
#[derive(Deserialize)]
#[serde(tag = "type", rename_all = "snake_case")]
enum ClientFrame {
    Start(StartFrame),
    Connect {
        tag: String,
    },
    Input {
        data: String,
    },
    Resize {
        cols: u32,
        rows: u32,
    },
    Signal {
        signal: SignalName,
    },
    #[serde(alias = "stop")]
    Kill,
}

#[derive(Deserialize)]
struct StartFrame {
    cmd: Option<String>,
    args: Option<Vec<String>>,
    cols: Option<u32>,
    rows: Option<u32>,
    envs: Option<BTreeMap<String, String>>,
    cwd: Option<String>,
    user: Option<String>,
    tag: Option<String>,
}

/// Frame that a client receives.
#[derive(Serialize)]
#[serde(tag = "type", rename_all = "lowercase")]
enum ServerFrame {
    Started { tag: String, pid: u32 },
    Output { data: String },
    Dropped { bytes: u64 },
    Exit { exit_code: i32 },
}

/// Codec of a terminal.
struct TerminalCodec;

/// Checks the size of a window.
fn size(cols: u32, rows: u32) -> Result<TerminalSize, String> {
    let is_length = |length| (1..=MAX_LENGTH).contains(&length);
    if is_length(cols) && is_length(rows) {
        Ok(TerminalSize { cols, rows })
    } else {
        Err(format!("cols, rows: must be from 1 to {MAX_LENGTH} each, not {cols} and {rows}"))
    }
}

impl FrameCodec for TerminalCodec {
    type ClientFrame = ClientFrame;
    type ServerFrame = ServerFrame;

    fn decode(frame: ClientFrame) -> Result<Decoded, Ending> {
        let input = match frame {
            ClientFrame::Start(_) | ClientFrame::Connect { .. } => {
                return Err(out_of_order("no second `start` or `connect`"));
            }
            ClientFrame::Input { data } => Input::Stdin(decode_base64(&data)?),
            ClientFrame::Resize { cols, rows } => match size(cols, rows) {
                Ok(size) => Input::Resize(size),
                // A window may be that small for a moment.
                Err(message) => return Ok(Decoded::Rejected(message)),
            },
            ClientFrame::Signal { signal } => Input::Signal(Signal { number: signal.number() }),
            ClientFrame::Kill => Input::Signal(Signal { number: SignalName::Kill.number() }),
        };
        Ok(Decoded::Input(input))
    }

    fn encode(&mut self, event: Event) -> Vec<ServerFrame> {
        match event {
            Event::Started(started) => vec![ServerFrame::Started { tag: started.tag, pid: started.pid }],
            Event::Stdout(bytes) | Event::Stderr(bytes) => bytes
                .chunks(PIECE_BYTES)
                .map(|piece| ServerFrame::Output { data: BASE64_STANDARD.encode(piece) })
                .collect(),
            Event::DroppedBytes(bytes) => vec![ServerFrame::Dropped { bytes }],
            Event::Exited(exited) => vec![ServerFrame::Exit { exit_code: exited.exit_code }],
            Event::Failed(_) | Event::Processes(_) | Event::Signalled(_) | Event::Detached(_) => Vec::new(),
        }
    }
}

impl StartFrame {
    fn into_start(self) -> Result<ExecStart, Ending> {
        let (cols, rows) = (self.cols.unwrap_or(DEFAULT_COLS), self.rows.unwrap_or(DEFAULT_ROWS));
        let terminal = size(cols, rows).map_err(Ending::refused)?;
        let (cmd, args) = match (self.cmd, self.args) {
            (Some(cmd), args) => (cmd, args),
            // A shell is a program, not a script for another one.
            (None, args) => (DEFAULT_SHELL.to_owned(), Some(args.unwrap_or_default())),
        };
        let (envs, cwd, user, tag) = (self.envs, self.cwd, self.user, self.tag);
        let command = Command { cmd, args, timeout_sec: None, tag, envs, cwd, user, stdin: None };
        let start = command.into_start(0).map_err(|error| error.api_error())?;
        Ok(ExecStart { terminal: Some(terminal), lifetime: Lifetime::Kept.into(), ..start })
    }
}

/// Open a terminal over a WebSocket
///
/// Frames are JSON texts. The client begins with `{"type":"start","cmd"?,"args"?,"cols"?,"rows"?,"envs"?,"cwd"?,
/// "user"?,"tag"?}` (by default `/bin/bash`, 80×24) or `{"type":"connect","tag"}`, or, if it cannot send headers, with
/// `{"type":"auth","token"}` or `{"type":"auth","api_key"}` before that. Later it may send `input` (`data` in base64),
/// `resize` (`cols`, `rows`), `signal` (`signal`: a name) and `kill`. It is sent `started` (`tag`, `pid`), `output`
/// (`data` in base64), `dropped` (`bytes` that were not kept), at the end `exit` (`exit_code`), `error` (`data`,
/// `fatal`: true if the socket closes), and now and then `ping`. The session outlives the socket.
#[utoipa::path(
    get, path = Action::Terminal.path(), tag = "processes",
    params(("id" = String, Path, description = "The capsule")),
    responses(
        (status = 101, description = "The socket is open"),
        (status = 400, description = "The request is not for a WebSocket", body = ErrorBody),
        (status = 404, description = "The team has no such capsule", body = ErrorBody),
        (status = 409, description = "The capsule is not running (`invalid_state`)", body = ErrorBody),
        (status = 503, description = session::UNAVAILABLE, body = ErrorBody),
    ),
)]
pub(crate) async fn pty(request: HttpRequest, payload: Payload) -> actix_web::Result<HttpResponse> {
    process_socket::open(Action::Terminal, &request, payload, run_terminal).await
}

async fn run_terminal(
    opener: SessionOpener,
    (): (),
    incoming: &mut Incoming,
    outgoing: &Outgoing,
) -> Result<Infallible, Ending> {
    let opening = match incoming.next().await? {
        ClientFrame::Start(start) => Input::Start(start.into_start()?),
        ClientFrame::Connect { tag } => {
            let selector: Selector = tag.parse().map_err(|error| Ending::refused(format!("tag: {error}")))?;
            Input::Attach(ProcessAttach { process: Some(selector.into()), terminal: true })
        }
        _ => return Err(out_of_order("`start` or `connect`")),
    };
    let session = opener.open(opening).await?;
    relay(session, incoming, outgoing, TerminalCodec).await
}

#[cfg(test)]
mod tests {
    use super::*;

    fn start(json: &str) -> Result<ExecStart, Ending> {
        match serde_json::from_str(json).unwrap() {
            ClientFrame::Start(start) => start.into_start(),
            _ => panic!("no start"),
        }
    }

    #[test]
    fn by_default_it_is_a_shell_of_the_usual_size() {
        let shell = start(r#"{"type": "start"}"#).unwrap();
        assert_eq!((shell.cmd.as_str(), shell.has_args, shell.args.len()), (DEFAULT_SHELL, true, 0));
        assert_eq!(shell.terminal, Some(TerminalSize { cols: 80, rows: 24 }));
        let script = start(r#"{"type": "start", "cmd": "top -d 1", "cols": 3}"#).unwrap();
        assert!(!script.has_args && script.terminal == Some(TerminalSize { cols: 3, rows: 24 }));
    }

    #[test]
    fn sizes_that_no_window_has_are_refused() {
        for bad in [r#"{"type": "start", "cols": 0}"#, r#"{"type": "start", "rows": 65536}"#] {
            assert!(matches!(start(bad), Err(Ending::Refused(_))), "{bad}");
        }
        let resize = ClientFrame::Resize { cols: 0, rows: 5 };
        assert!(matches!(TerminalCodec::decode(resize), Ok(Decoded::Rejected(_))));
    }
}
