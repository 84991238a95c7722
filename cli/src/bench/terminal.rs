//! How long a key takes to appear in a terminal: from its frame to the frame that brings it back, when nothing else goes
//! on, and beside a command in the same capsule that prints as fast as it can.

use std::time::{Duration, Instant};

use anyhow::{Context, bail};
use base64::{Engine as _, prelude::BASE64_STANDARD};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{net::TcpStream, task::JoinHandle, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use super::{
    Measurement, Unit,
    capsule::{Capsule, ms_since, with_capsule},
};
use crate::client::Client;

/// How long anything may take in a capsule that emulates and is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// Echoes of single keys, without and with a flood beside.
pub(super) async fn terminal(client: &Client, samples: u32) -> anyhow::Result<Vec<Measurement>> {
    with_capsule(client, &json!({ "template": "minimal" }), async |capsule| {
        // The terminal itself echoes what is typed; the program only waits.
        let mut terminal = Socket::open(client, capsule, "pty").await?;
        terminal.say(json!({ "type": "start", "cmd": "cat", "args": [] })).await?;
        terminal.until("started").await?;
        let alone = echoes(&mut terminal, samples).await?;
        let flood = flood(client, capsule).await?;
        let beside = echoes(&mut terminal, samples).await;
        flood.abort();
        Ok(vec![
            Measurement::new("key to echo in a terminal", Unit::Ms, &alone)?,
            Measurement::new("key to echo beside a flood", Unit::Ms, &beside?)?,
        ])
    })
    .await
}

async fn echoes(terminal: &mut Socket, samples: u32) -> anyhow::Result<Vec<f64>> {
    let mut values = Vec::new();
    // Keys that differ, so that no late echo is taken for the next one.
    for key in (b'a'..=b'z').cycle().take(samples as usize) {
        let begun = Instant::now();
        terminal.say(json!({ "type": "input", "data": BASE64_STANDARD.encode([key]) })).await?;
        loop {
            let frame = terminal.until("output").await?;
            let printed = BASE64_STANDARD.decode(frame["data"].as_str().unwrap_or_default())?;
            if printed.contains(&key) {
                break;
            }
        }
        values.push(ms_since(begun));
    }
    Ok(values)
}

/// A command that prints without end, and a reader that takes all of it.
async fn flood(client: &Client, capsule: &Capsule<'_>) -> anyhow::Result<JoinHandle<()>> {
    let mut socket = Socket::open(client, capsule, "exec/stream").await?;
    socket.say(json!({ "type": "start", "cmd": "exec yes flood" })).await?;
    socket.until("stdout").await?;
    Ok(tokio::spawn(async move { while let Some(Ok(_)) = socket.0.next().await {} }))
}

struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    async fn open(client: &Client, capsule: &Capsule<'_>, path: &str) -> anyhow::Result<Self> {
        let address = client.base_url().split_once("://").context("the server's address")?.1;
        let mut request = format!("ws://{address}{}/{path}", capsule.path()).into_client_request()?;
        let (name, value) = client.credentials().header().context("the benchmark has no credentials")?;
        request.headers_mut().insert(name, value.parse()?);
        let stream = TcpStream::connect(address).await.with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        Ok(Self(timeout(PATIENCE, client_async(request, stream)).await.context("handshake")??.0))
    }

    async fn say(&mut self, frame: Value) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    /// The next frame of a type.
    async fn until(&mut self, kind: &str) -> anyhow::Result<Value> {
        loop {
            let message =
                timeout(PATIENCE, self.0.next()).await.with_context(|| format!("no {kind} came"))?;
            let Message::Text(text) = message.context("the socket has ended")?? else { continue };
            let frame: Value = serde_json::from_str(&text)?;
            match frame["type"].as_str() {
                Some(found) if found == kind => return Ok(frame),
                Some("error" | "exit") => bail!("{frame}"),
                _ => {}
            }
        }
    }
}
