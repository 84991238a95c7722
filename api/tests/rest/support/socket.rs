//! The client's end of a WebSocket.

use futures_util::{SinkExt as _, StreamExt as _};
use serde_json::{Value, json};
use tokio::{
    io::{AsyncRead, AsyncWrite},
    net::TcpStream,
    time::timeout,
};
use tokio_tungstenite::{
    WebSocketStream, client_async,
    tungstenite::{Error, Message, client::IntoClientRequest as _, protocol::frame::coding::CloseCode},
};
use wrenn_testkit::wait::PATIENCE;

use super::{As, TestServer};

/// An open WebSocket.
pub(crate) struct Socket {
    stream: WebSocketStream<Box<dyn Stream>>,
}

trait Stream: AsyncRead + AsyncWrite + Unpin + Send {}

impl<S: AsyncRead + AsyncWrite + Unpin + Send> Stream for S {}

/// How a socket ended.
#[derive(Debug)]
pub(crate) struct Ended {
    /// The last error frame, if there was one.
    pub(crate) error: Option<Value>,
    pub(crate) close: Option<(CloseCode, String)>,
}

impl TestServer {
    /// Opens a socket; the status if that is refused.
    pub(crate) async fn try_socket(&self, path: &str, who: &As) -> Result<Socket, u16> {
        let mut request = format!("ws://{}{path}", self.addr).into_client_request().expect("a request");
        let (name, value) = match who {
            As::Nobody => ("x-nobody", "1".to_owned()),
            As::Token(token) => ("authorization", format!("Bearer {token}")),
            As::Key(key) => ("x-api-key", key.clone()),
        };
        request.headers_mut().insert(name, value.parse().expect("a header"));
        let stream: Box<dyn Stream> = match &self.trust {
            None => Box::new(TcpStream::connect(self.addr).await.expect("a connection")),
            Some(trust) => {
                let name = self.addr.ip().to_string();
                Box::new(super::tls::connect(self.addr, &name, trust).await.expect("a TLS connection"))
            }
        };
        match timeout(PATIENCE, client_async(request, stream)).await.expect("an answer") {
            Ok((stream, _)) => Ok(Socket { stream }),
            Err(Error::Http(answer)) => Err(answer.status().as_u16()),
            Err(error) => panic!("no socket: {error}"),
        }
    }

    pub(crate) async fn socket(&self, path: &str, who: &As) -> Socket {
        self.try_socket(path, who).await.unwrap_or_else(|status| panic!("{path} is refused: {status}"))
    }
}

impl Socket {
    pub(crate) async fn send(&mut self, frame: Value) {
        self.send_raw(Message::text(frame.to_string())).await;
    }

    pub(crate) async fn send_raw(&mut self, message: Message) {
        timeout(PATIENCE, self.stream.send(message)).await.expect("in time").expect("the socket is open");
    }

    /// Sends what the server may cut off.
    pub(crate) async fn send_in_vain(&mut self, message: Message) {
        let _ = timeout(PATIENCE, self.stream.send(message)).await.expect("in time");
    }

    async fn message(&mut self) -> Option<Message> {
        timeout(PATIENCE, self.stream.next()).await.expect("a frame, or the end")?.ok()
    }

    /// The next frame; pings are passed over.
    pub(crate) async fn next(&mut self) -> Value {
        loop {
            match self.message().await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                    if frame != json!({"type": "ping"}) {
                        return frame;
                    }
                }
                Some(Message::Ping(_) | Message::Pong(_)) => {}
                other => panic!("expected a frame, got {other:?}"),
            }
        }
    }

    #[track_caller]
    pub(crate) fn expect(&mut self, frame: Value) -> impl Future<Output = ()> + use<'_> {
        let caller = std::panic::Location::caller();
        async move { assert_eq!(self.next().await, frame, "at {caller}") }
    }

    /// Reads to the end.
    pub(crate) async fn ended(&mut self) -> Ended {
        let mut error = None;
        loop {
            match self.message().await {
                Some(Message::Text(text)) => {
                    let frame: Value = serde_json::from_str(&text).expect("frames are JSON");
                    if frame["type"] == "error" {
                        error = Some(frame);
                    }
                }
                Some(Message::Close(frame)) => {
                    let close = frame.map(|frame| (frame.code, frame.reason.to_string()));
                    return Ended { error, close };
                }
                Some(_) => {}
                None => return Ended { error, close: None },
            }
        }
    }

    /// Reads to the end, which must come with an error and this code.
    #[track_caller]
    pub(crate) fn fails(&mut self, code: CloseCode) -> impl Future<Output = String> + use<'_> {
        let caller = std::panic::Location::caller();
        async move {
            let ended = self.ended().await;
            let error = ended.error.unwrap_or_else(|| panic!("no error, but {:?}, at {caller}", ended.close));
            assert_eq!(error["fatal"], true, "at {caller}");
            let (closed, reason) =
                ended.close.unwrap_or_else(|| panic!("not closed after {error} at {caller}"));
            assert!(closed == code && !reason.is_empty(), "{closed:?} {reason:?} after {error} at {caller}");
            error["data"].as_str().expect("an error says what it is").to_owned()
        }
    }

    /// Goes away without a word.
    pub(crate) fn vanish(self) {}
}
