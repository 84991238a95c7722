//! The client's end of the WebSockets of a capsule.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    MaybeTlsStream, WebSocketStream, connect_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::installation::Capsule;

/// Time limit for anything in a capsule that emulates and is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A socket, and what was printed on it and not looked at yet.
pub(crate) struct Socket {
    stream: WebSocketStream<MaybeTlsStream<TcpStream>>,
    printed: Vec<u8>,
}

/// The last frames of a socket.
#[derive(Debug)]
pub(crate) struct Ended {
    pub(crate) exit_code: Option<i64>,
    pub(crate) error: Option<String>,
    /// What was printed until then.
    pub(crate) printed: Vec<u8>,
}

impl Socket {
    /// Opens one of a capsule's sockets, as its team.
    pub(crate) async fn open(capsule: &Capsule<'_>, path: &str) -> anyhow::Result<Self> {
        let env = capsule.installation.env()?;
        let url = format!("ws://127.0.0.1:{}{}/{path}", capsule.installation.port(), capsule.path());
        let mut request = url.as_str().into_client_request()?;
        request.headers_mut().insert("x-api-key", env.api_key.parse()?);
        let (stream, _) = timeout(PATIENCE, connect_async(request)).await.context("handshake")??;
        Ok(Self { stream, printed: Vec::new() })
    }

    /// A command in the shell, over a stream.
    pub(crate) async fn run(capsule: &Capsule<'_>, cmd: &str, tag: &str) -> anyhow::Result<Self> {
        let mut socket = Self::open(capsule, "exec/stream").await?;
        socket.send(json!({ "type": "start", "cmd": cmd, "tag": tag, "encoding": "base64" })).await?;
        Ok(socket)
    }

    /// A command in a terminal of 80 columns and 24 rows.
    pub(crate) async fn terminal(capsule: &Capsule<'_>, cmd: &str, tag: &str) -> anyhow::Result<Self> {
        let mut socket = Self::open(capsule, "pty").await?;
        socket.send(json!({ "type": "start", "cmd": cmd, "tag": tag })).await?;
        Ok(socket)
    }

    /// Takes a terminal up again.
    pub(crate) async fn connect(capsule: &Capsule<'_>, tag: &str) -> anyhow::Result<Self> {
        let mut socket = Self::open(capsule, "pty").await?;
        socket.send(json!({ "type": "connect", "tag": tag })).await?;
        Ok(socket)
    }

    pub(crate) async fn send(&mut self, frame: Value) -> anyhow::Result<()> {
        timeout(PATIENCE, self.stream.send(Message::text(frame.to_string()))).await.context("send")??;
        Ok(())
    }

    /// Types into a terminal.
    pub(crate) async fn type_in(&mut self, bytes: impl AsRef<[u8]>) -> anyhow::Result<()> {
        self.send(json!({ "type": "input", "data": BASE64_STANDARD.encode(bytes) })).await
    }

    /// The next frame, which is none if the socket has ended; output is collected.
    async fn frame(&mut self) -> anyhow::Result<Option<Value>> {
        loop {
            let Some(message) = timeout(PATIENCE, self.stream.next()).await.context("a frame")? else {
                return Ok(None);
            };
            let Ok(message) = message else { return Ok(None) };
            let Message::Text(text) = message else { continue };
            let frame: Value = serde_json::from_str(&text)?;
            if let ("output" | "stdout" | "stderr", Some(data)) =
                (frame["type"].as_str().unwrap_or_default(), frame["data"].as_str())
            {
                self.printed.extend(BASE64_STANDARD.decode(data)?);
            }
            return Ok(Some(frame));
        }
    }

    /// Reads until something is printed, and returns all up to its end.
    pub(crate) async fn until(&mut self, what: &str) -> anyhow::Result<String> {
        let began = Instant::now();
        loop {
            let found = self.printed.windows(what.len()).position(|window| window == what.as_bytes());
            if let Some(at) = found {
                let rest = self.printed.split_off(at + what.len());
                let text = std::mem::replace(&mut self.printed, rest);
                return Ok(String::from_utf8_lossy(&text).into_owned());
            }
            let seen = || format!("{what:?} after {:?}", String::from_utf8_lossy(&self.printed));
            ensure!(began.elapsed() < PATIENCE, "not in time: {}", seen());
            match self.frame().await.with_context(|| format!("waiting for {what:?}"))? {
                Some(frame) if frame["type"] == "exit" || frame["type"] == "error" => {
                    bail!("{frame} in place of {what:?} after {:?}", String::from_utf8_lossy(&self.printed))
                }
                Some(_) => {}
                None => bail!("the socket ended before {what:?}"),
            }
        }
    }

    /// Reads to the end.
    pub(crate) async fn ended(mut self) -> anyhow::Result<Ended> {
        let (mut exit_code, mut error) = (None, None);
        while let Some(frame) = self.frame().await? {
            match frame["type"].as_str().unwrap_or_default() {
                "exit" => exit_code = frame["exit_code"].as_i64(),
                "error" => error = frame["data"].as_str().map(str::to_owned),
                "dropped" => bail!("output was dropped: {frame}"),
                _ => {}
            }
        }
        Ok(Ended { exit_code, error, printed: self.printed })
    }
}
