//! A WebSocket of a capsule: its frames are JSON texts.

use std::time::Duration;

use anyhow::{Context, bail};
use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::Value;
use tokio::{net::TcpStream, time::timeout};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Message, client::IntoClientRequest as _},
};

use crate::client::Client;

/// Time limit for anything in a capsule that emulates and is busy.
const PATIENCE: Duration = Duration::from_secs(60);

/// A socket of a capsule, as the owner of the client's credentials.
pub(super) struct Socket(WebSocketStream<TcpStream>);

impl Socket {
    /// Opens the socket at this path of the server.
    pub(super) async fn open(client: &Client, path: &str) -> anyhow::Result<Self> {
        let address = client.base_url().split_once("://").context("the server's address")?.1;
        let mut request = format!("ws://{address}{path}").into_client_request()?;
        let (name, value) = client.credentials().header().context("the benchmark has no credentials")?;
        request.headers_mut().insert(name, value.parse()?);
        let stream = TcpStream::connect(address).await.with_context(|| address.to_owned())?;
        stream.set_nodelay(true)?;
        Ok(Self(timeout(PATIENCE, client_async(request, stream)).await.context("handshake")??.0))
    }

    /// Sends a frame.
    pub(super) async fn say(&mut self, frame: Value) -> anyhow::Result<()> {
        Ok(self.0.send(Message::text(frame.to_string())).await?)
    }

    /// Returns the next frame of this type.
    pub(super) async fn until(&mut self, kind: &str) -> anyhow::Result<Value> {
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

    /// Reads until the socket ends.
    pub(super) async fn drain(&mut self) {
        while let Some(Ok(_)) = self.0.next().await {}
    }

    /// Closes the socket, and waits until the server has closed it too.
    pub(super) async fn close(mut self) -> anyhow::Result<()> {
        // The server may have been first.
        let _ = self.0.close(None).await;
        timeout(PATIENCE, self.drain()).await.context("the socket does not end")
    }
}
