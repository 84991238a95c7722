//! A receiver of notifications on loopback, which answers as a test wants.

use std::{collections::BTreeMap, net::SocketAddr, sync::Arc};

use parking_lot::Mutex;
use serde_json::Value;
use tokio::{
    io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader},
    net::{TcpListener, TcpStream},
};
use wrenn_testkit::wait::eventually;

/// The address of receivers that the setting allows; all others of loopback are refused.
pub(crate) const ALLOWED: &str = "127.0.0.2";

/// A request as a receiver got it.
#[derive(Debug, Clone)]
pub(crate) struct Received {
    pub(crate) line: String,
    pub(crate) headers: BTreeMap<String, String>,
    pub(crate) text: String,
    pub(crate) body: Value,
}

impl Received {
    pub(crate) fn event(&self) -> &str {
        self.body["type"].as_str().expect("an event has a type")
    }

    pub(crate) fn capsule(&self) -> Option<&str> {
        self.body["data"]["capsule_id"].as_str()
    }
}

/// A receiver's reply to a request.
#[derive(Debug, Clone)]
pub(crate) enum Reply {
    Status(u16),
    Redirect(u16, String),
    Hang,
    /// A body without an end.
    Flood,
}

pub(crate) type Decide = dyn Fn(usize, &Received) -> Reply + Send + Sync;

/// A receiver on an address of its own, which ends with the test.
pub(crate) struct Receiver {
    pub(crate) addr: SocketAddr,
    pub(crate) received: Arc<Mutex<Vec<Received>>>,
}

impl Receiver {
    /// Starts a receiver whose reply depends on the number of the request, from 0, and the request.
    pub(crate) async fn start(
        ip: &str,
        decide: impl Fn(usize, &Received) -> Reply + Send + Sync + 'static,
    ) -> Self {
        let listener = TcpListener::bind((ip, 0)).await.unwrap();
        let addr = listener.local_addr().unwrap();
        let received = Arc::new(Mutex::new(Vec::new()));
        let (kept, decide) = (received.clone(), Arc::new(decide));
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                tokio::spawn(answer(stream, kept.clone(), decide.clone()));
            }
        });
        Self { addr, received }
    }

    pub(crate) async fn ok() -> Self {
        Self::start(ALLOWED, |_, _| Reply::Status(204)).await
    }

    pub(crate) fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.addr)
    }

    pub(crate) fn all(&self) -> Vec<Received> {
        self.received.lock().clone()
    }

    /// The events of a capsule in the order of arrival.
    pub(crate) fn events_of(&self, capsule: &str) -> Vec<String> {
        let all = self.all();
        all.iter().filter(|of| of.capsule() == Some(capsule)).map(|of| of.event().to_owned()).collect()
    }

    /// Waits until the capsule's events are these.
    pub(crate) async fn has(&self, capsule: &str, events: &[&str]) {
        eventually(&format!("{events:?} of {capsule}"), async || self.events_of(capsule) == events).await;
    }
}

pub(crate) async fn answer(
    stream: TcpStream,
    kept: Arc<Mutex<Vec<Received>>>,
    decide: Arc<Decide>,
) -> Option<()> {
    let (read, mut write) = stream.into_split();
    let mut read = BufReader::new(read);
    let mut line = String::new();
    read.read_line(&mut line).await.ok()?;
    let mut headers = BTreeMap::new();
    loop {
        let mut header = String::new();
        read.read_line(&mut header).await.ok()?;
        let Some((name, value)) = header.trim_end().split_once(": ") else { break };
        headers.insert(name.to_lowercase(), value.to_owned());
    }
    let mut body = vec![0; headers.get("content-length")?.parse().ok()?];
    read.read_exact(&mut body).await.ok()?;
    let text = String::from_utf8(body).ok()?;
    let body = serde_json::from_str(&text).ok()?;
    let received = Received { line: line.trim_end().to_owned(), headers, text, body };
    let number = {
        let mut kept = kept.lock();
        kept.push(received.clone());
        kept.len() - 1
    };
    let head = match decide(number, &received) {
        Reply::Status(status) => format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\n\r\n"),
        Reply::Redirect(status, to) => {
            format!("HTTP/1.1 {status} X\r\nlocation: {to}\r\ncontent-length: 0\r\n\r\n")
        }
        Reply::Flood => {
            write.write_all(b"HTTP/1.1 200 OK\r\n\r\n").await.ok()?;
            while write.write_all(&[b'x'; 65_536]).await.is_ok() {}
            return None;
        }
        Reply::Hang => {
            // Until the server closes the connection.
            let _ = read.read(&mut [0]).await;
            return None;
        }
    };
    write.write_all(head.as_bytes()).await.ok()
}
