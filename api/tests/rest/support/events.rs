//! A client of server-sent events, which remembers the last id as a browser does.

use serde_json::Value;
use wrenn_testkit::wait::in_time;

use super::{As, TestServer};

/// Event as a client receives it.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Received {
    pub(crate) id: Option<String>,
    pub(crate) name: String,
    pub(crate) data: Value,
}

impl Received {
    /// The `resource_id` of an event about a resource.
    pub(crate) fn resource(&self) -> &str {
        self.data["resource_id"].as_str().unwrap_or_default()
    }
}

/// Stream that is open.
#[derive(Debug)]
pub(crate) struct EventClient {
    response: reqwest::Response,
    text: String,
    /// The id after which the client goes on.
    pub(crate) last_id: Option<String>,
}

impl EventClient {
    /// Opens a stream, and reads until it is live.
    pub(crate) async fn live(server: &TestServer, path: &str, who: &As) -> Self {
        let mut client = Self::open(server, path, who, None).await;
        let first = client.next().await;
        assert_eq!(first.name, "ready", "{first:?}");
        client
    }

    /// Opens a stream behind an event, or from now on.
    pub(crate) async fn open(server: &TestServer, path: &str, who: &As, last_id: Option<&str>) -> Self {
        Self::try_open(server, path, who, last_id).await.expect("the server answers")
    }

    /// As [`open`](Self::open), for a server that may be gone.
    pub(crate) async fn try_open(
        server: &TestServer,
        path: &str,
        who: &As,
        last_id: Option<&str>,
    ) -> Option<Self> {
        Self::send(server.request("GET", path, who), last_id).await
    }

    /// Opens a stream by a request.
    pub(crate) async fn send(request: reqwest::RequestBuilder, last_id: Option<&str>) -> Option<Self> {
        let request = match last_id {
            Some(id) => request.header("Last-Event-ID", id),
            None => request,
        };
        let response = request.send().await.ok()?;
        assert_eq!(response.status(), 200);
        assert_eq!(response.headers()["content-type"], "text/event-stream");
        Some(Self { response, text: String::new(), last_id: last_id.map(str::to_owned) })
    }

    /// The next event, which must come in time.
    pub(crate) async fn next(&mut self) -> Received {
        in_time("the next event", self.read()).await.expect("the stream goes on")
    }

    /// The next event; `None` at the end of the stream.
    pub(crate) async fn read(&mut self) -> Option<Received> {
        loop {
            while let Some((block, rest)) = self.text.split_once("\n\n") {
                let (block, rest) = (block.to_owned(), rest.to_owned());
                self.text = rest;
                let field = |name: &str| {
                    block
                        .lines()
                        .find_map(|line| line.strip_prefix(name)?.strip_prefix(": ").map(str::to_owned))
                };
                let id = field("id");
                if id.is_some() {
                    self.last_id.clone_from(&id);
                }
                if let (Some(name), Some(data)) = (field("event"), field("data")) {
                    return Some(Received { id, name, data: serde_json::from_str(&data).expect("JSON") });
                }
            }
            let piece = self.response.chunk().await.ok()??;
            self.text.push_str(std::str::from_utf8(&piece).expect("the pieces are whole events"));
        }
    }

    /// Reads until an event that is wanted.
    pub(crate) async fn until(
        &mut self,
        what: &str,
        mut is_wanted: impl FnMut(&Received) -> bool,
    ) -> Received {
        let found = async {
            loop {
                let received = self.read().await.expect("the stream goes on");
                if is_wanted(&received) {
                    return received;
                }
            }
        };
        in_time(what, found).await
    }
}
