//! What clients see of a capsule that goes while they are in it: each kind of stream ends, soon and with the reason.

use std::time::{Duration, Instant};

use anyhow::{Context, bail, ensure};
use futures_util::{SinkExt as _, StreamExt as _};
use nix::{
    sys::signal::{Signal, kill},
    unistd::Pid,
};
use reqwest::{Method, RequestBuilder};
use serde_json::{Value, json};
use tokio::{net::TcpStream, sync::mpsc, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::{
    installation::{Capsule, Installation},
    wait::until,
};

/// The longest that a stream may outlive its capsule.
const END: Duration = Duration::from_secs(5);
const PATIENCE: Duration = Duration::from_secs(60);

/// Why a capsule goes, and a word of what its clients are told.
#[derive(Debug, Clone, Copy)]
enum Cause {
    Killed,
    Paused,
    Destroyed,
    /// The agent is killed; the machine runs on, but nobody reaches it.
    AgentKilled,
    /// The agent says nothing any more, as if its host had lost its network.
    AgentStopped,
}

impl Cause {
    fn word(self) -> &'static str {
        match self {
            Self::Killed => "signal 9",
            Self::Paused => "paused",
            Self::Destroyed => "destroyed",
            Self::AgentKilled | Self::AgentStopped => "link to the host was lost",
        }
    }

    async fn happen(self, capsule: &Capsule<'_>) -> anyhow::Result<()> {
        match self {
            Self::Killed => Ok(kill(Pid::from_raw(capsule.machine()?), Signal::SIGKILL)?),
            Self::Paused => capsule.pause().await.map(drop),
            Self::Destroyed => capsule.delete().await,
            Self::AgentKilled => {
                Ok(kill(Pid::from_raw(capsule.installation.pid("agent")?), Signal::SIGKILL)?)
            }
            Self::AgentStopped => {
                Ok(kill(Pid::from_raw(capsule.installation.pid("agent")?), Signal::SIGSTOP)?)
            }
        }
    }
}

/// A stream that was begun; its task ends with it, and returns what was heard last.
struct Stream {
    what: &'static str,
    end: JoinHandle<anyhow::Result<String>>,
}

/// A client of one capsule.
struct User<'a> {
    capsule: &'a Capsule<'a>,
    base_url: String,
    key: String,
}

impl User<'_> {
    fn ask(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{}/{path}", self.base_url, self.capsule.path());
        reqwest::Client::new().request(method, url).header("x-api-key", &self.key).timeout(PATIENCE)
    }

    async fn socket(&self, path: &str) -> anyhow::Result<WebSocketStream<TcpStream>> {
        let address = self.base_url.trim_start_matches("http://");
        let mut request = format!("ws://{address}{}/{path}", self.capsule.path()).into_client_request()?;
        request.headers_mut().insert("x-api-key", self.key.parse()?);
        let stream = TcpStream::connect(address).await?;
        Ok(timeout(PATIENCE, client_async(request, stream)).await.context("handshake")??.0)
    }

    /// A socket on which `begin` was said and `begun` answered; it ends with an error frame and a close.
    async fn follow(
        &self,
        what: &'static str,
        path: &str,
        begin: Option<Value>,
        begun: &'static str,
    ) -> anyhow::Result<Stream> {
        let mut socket = self.socket(path).await?;
        if let Some(begin) = begin {
            socket.send(Message::text(begin.to_string())).await?;
        }
        loop {
            let frame = timeout(PATIENCE, socket.next()).await.with_context(|| format!("{what}: {begun}"))?;
            match frame.context("a frame")?? {
                Message::Text(text) if serde_json::from_str::<Value>(&text)?["type"] == begun => break,
                Message::Text(text) if text.contains("\"error\"") => bail!("{what}: {text}"),
                _ => {}
            }
        }
        let end = tokio::spawn(async move {
            let mut reason = String::new();
            while let Some(Ok(frame)) = socket.next().await {
                if let Message::Text(text) = frame {
                    let frame: Value = serde_json::from_str(&text)?;
                    if frame["type"] == "error" {
                        reason = frame["data"].as_str().unwrap_or_default().to_owned();
                    }
                }
            }
            Ok(reason)
        });
        Ok(Stream { what, end })
    }

    /// A body that is read until it breaks.
    async fn read(&self, what: &'static str, request: RequestBuilder) -> anyhow::Result<Stream> {
        let mut answer = request.send().await?;
        ensure!(answer.status().is_success(), "{what}: {}", answer.status());
        timeout(PATIENCE, answer.chunk()).await.with_context(|| format!("{what} begins"))??;
        let end = tokio::spawn(async move {
            let mut last = Vec::new();
            loop {
                match answer.chunk().await {
                    Ok(Some(chunk)) => last = chunk.to_vec(),
                    Ok(None) => return Ok(String::from_utf8_lossy(&last).into_owned()),
                    Err(_) => return Ok("broken".to_owned()),
                }
            }
        });
        Ok(Stream { what, end })
    }

    /// An upload of which a part has arrived, and the rest never comes.
    async fn upload(&self) -> anyhow::Result<Stream> {
        let (pieces, body) = mpsc::channel::<Result<Vec<u8>, std::io::Error>>(4);
        let head = "--b\r\ncontent-disposition: form-data; name=\"path\"\r\n\r\n/root/half\r\n\
                    --b\r\ncontent-disposition: form-data; name=\"file\"; filename=\"f\"\r\n\r\n";
        pieces.send(Ok(head.as_bytes().to_vec())).await?;
        let body =
            futures_util::stream::unfold(body, |mut body| async move { Some((body.recv().await?, body)) });
        let request = self
            .ask(Method::POST, "files/stream/write")
            .header("content-type", "multipart/form-data; boundary=b")
            .body(reqwest::Body::wrap_stream(body));
        let sent = tokio::spawn(request.send());
        for _ in 0..8 {
            pieces.send(Ok(vec![b'x'; 64 * 1024])).await?;
        }
        // It has no name yet, but the guest has it open.
        until("the upload has begun", PATIENCE, async || {
            let open = self.capsule.shell("ls -l /proc/1/fd | grep -c '/root/.*deleted' || true").await?;
            Ok((open.trim() == "1").then_some(()))
        })
        .await?;
        let end = tokio::spawn(async move {
            let answer = sent.await?;
            drop(pieces);
            match answer {
                Ok(answer) => Ok(answer.text().await?),
                Err(_) => Ok("broken".to_owned()),
            }
        });
        Ok(Stream { what: "upload", end })
    }

    /// One of each kind.
    async fn everything(&self) -> anyhow::Result<Vec<Stream>> {
        let body =
            json!({ "cmd": "while :; do echo tick; sleep 1; done", "background": true, "tag": "ticker" });
        self.capsule.exec(body).await?;
        self.capsule.shell("truncate -s 1G /root/large").await?;
        let start = json!({ "type": "start", "cmd": "sleep 600" });
        let mut large = self.ask(Method::POST, "files/stream/read").json(&json!({ "path": "/root/large" }));
        large = large.timeout(PATIENCE);
        let streams = vec![
            self.follow("exec stream", "exec/stream", Some(start), "start").await?,
            self.follow("terminal", "pty", Some(json!({ "type": "start" })), "output").await?,
            self.follow("process", "processes/ticker/stream", None, "stdout").await?,
            self.read("watch", self.ask(Method::GET, "files/watch?path=/root")).await?,
            self.read("download", large).await?,
            self.upload().await?,
        ];
        let waiting = self.ask(Method::POST, "exec").json(&json!({ "cmd": "sleep 601", "timeout_sec": 0 }));
        let end = tokio::spawn(async move { Ok(waiting.send().await?.text().await?) });
        until("the command runs", PATIENCE, async || {
            let list = self.ask(Method::GET, "processes").send().await?.text().await?;
            Ok(list.contains("sleep 601").then_some(()))
        })
        .await?;
        Ok([streams, vec![Stream { what: "exec", end }]].into_iter().flatten().collect())
    }
}

async fn all_streams_end(installation: &Installation, cause: Cause) -> anyhow::Result<()> {
    let capsule = installation.capsule_with(json!({ "disk_size_mb": 8192 })).await?;
    let env = installation.env()?;
    let user = User { capsule: &capsule, base_url: env.base_url.clone(), key: env.api_key.clone() };
    let streams = user.everything().await?;
    let agent = installation.pid("agent")?;
    let happened = Instant::now();
    let outcome = async {
        cause.happen(&capsule).await?;
        for Stream { what, end } in streams {
            let rest = END.saturating_sub(happened.elapsed()).max(Duration::from_millis(1));
            let ended = timeout(rest, end).await;
            let said =
                ended.with_context(|| format!("{cause:?}: {what} has not ended after {END:?}"))???;
            // A body that was begun can only break off.
            let is_told =
                said == "broken" && matches!(what, "download" | "upload") || said.contains(cause.word());
            ensure!(is_told, "{cause:?}: {what} ended with {said:?}");
        }
        anyhow::Ok(())
    }
    .await;
    if matches!(cause, Cause::AgentStopped) {
        kill(Pid::from_raw(agent), Signal::SIGCONT)?;
    }
    outcome?;
    installation.healthy().await?;
    match cause {
        Cause::Destroyed => {}
        Cause::Killed | Cause::Paused => {
            if matches!(cause, Cause::Killed) {
                capsule.wait_for("stopped", PATIENCE).await?;
            }
            capsule.resume().await?;
            if matches!(cause, Cause::Paused) {
                // What ran goes on, and can be taken up again.
                user.follow("process", "processes/ticker/stream", None, "stdout").await?.end.abort();
            }
            // The half that had arrived is not there.
            ensure!(
                capsule.shell("ls -a /root | grep -c half || true").await? == "0\n",
                "{cause:?}: half an upload"
            );
            capsule.delete().await?;
        }
        Cause::AgentKilled | Cause::AgentStopped => {
            capsule.wait_for("running", PATIENCE).await?;
            // What is kept goes on, and is found again.
            user.follow("process", "processes/ticker/stream", None, "stdout").await?.end.abort();
            ensure!(
                capsule.shell("ls -a /root | grep -c half || true").await? == "0\n",
                "{cause:?}: half an upload"
            );
            capsule.delete().await?;
        }
    }
    Ok(())
}

pub(crate) async fn killed(installation: &Installation) -> anyhow::Result<()> {
    all_streams_end(installation, Cause::Killed).await
}

pub(crate) async fn paused(installation: &Installation) -> anyhow::Result<()> {
    all_streams_end(installation, Cause::Paused).await
}

pub(crate) async fn destroyed(installation: &Installation) -> anyhow::Result<()> {
    all_streams_end(installation, Cause::Destroyed).await
}

pub(crate) async fn host_lost(installation: &Installation) -> anyhow::Result<()> {
    all_streams_end(installation, Cause::AgentKilled).await?;
    all_streams_end(installation, Cause::AgentStopped).await
}
