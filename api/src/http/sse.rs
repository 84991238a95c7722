//! Server-sent events: how they are written, and how they reach a client that may be slow or gone.

use std::{
    convert::Infallible,
    fmt,
    pin::Pin,
    time::{Duration, Instant},
};

use actix_web::{
    HttpResponse,
    http::header::{self, HeaderValue},
};
use bytes::Bytes;
use futures_util::{Stream, stream};
use serde::Serialize;
use tokio::{sync::mpsc, time::timeout};
use wrenn_base::Clock;

use super::form::STALLED;

/// How often something is sent to a client to which there is nothing to tell.
pub(crate) const ALIVE_EVERY: Duration = Duration::from_secs(15);

/// Where events go. All of them wait while the client does not read.
#[derive(Debug)]
pub(crate) struct Events {
    pieces: mpsc::Sender<Bytes>,
    clock: Clock,
    told_at: Instant,
}

/// The client is gone, or has not read for long.
#[derive(Debug)]
pub(crate) struct Left;

impl Events {
    /// Tells an event.
    pub(crate) async fn tell(&mut self, name: &str, data: &impl Serialize) -> Result<(), Left> {
        self.send(event(None, name, data)).await
    }

    /// Tells an event after which a client can go on later.
    pub(crate) async fn tell_at(
        &mut self,
        id: impl fmt::Display,
        name: &str,
        data: &impl Serialize,
    ) -> Result<(), Left> {
        self.send(event(Some(&id), name, data)).await
    }

    /// When [`alive`](Self::alive) is due.
    pub(crate) fn alive_at(&self) -> Instant {
        self.told_at + ALIVE_EVERY
    }

    /// Waits until [`alive`](Self::alive) is due.
    pub(crate) async fn quiet(&self) {
        self.clock.sleep_until(self.alive_at()).await;
    }

    /// Lets the client know that there is nothing to tell.
    pub(crate) async fn alive(&mut self) -> Result<(), Left> {
        self.send(Bytes::from_static(b": alive\n\n")).await
    }

    /// As [`alive`](Self::alive), with the id after which the client can go on later.
    pub(crate) async fn alive_at_id(&mut self, id: impl fmt::Display) -> Result<(), Left> {
        self.send(format!(": alive\nid: {id}\n\n").into()).await
    }

    async fn send(&mut self, piece: Bytes) -> Result<(), Left> {
        match timeout(STALLED, self.pieces.send(piece)).await {
            Ok(Ok(())) => {
                self.told_at = self.clock.now();
                Ok(())
            }
            _ => Err(Left),
        }
    }
}

/// Answers with the events that `tell` tells, until it ends or the client leaves.
pub(crate) fn answer<F>(clock: Clock, tell: impl FnOnce(Events) -> F) -> HttpResponse
where
    F: Future<Output = Result<(), Left>> + 'static,
{
    let (pieces, received) = mpsc::channel(1);
    let told_at = clock.now();
    let telling = tell(Events { pieces: pieces.clone(), clock, told_at });
    actix_web::rt::spawn(async move {
        tokio::select! {
            _ = telling => {}
            () = pieces.closed() => {}
        }
    });
    let body = stream::unfold(received, |mut received| async move {
        received.recv().await.map(|piece| (Ok(piece), received))
    });
    let body: Pin<Box<dyn Stream<Item = Result<Bytes, Infallible>>>> = Box::pin(body);
    HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream")))
        .insert_header((header::CACHE_CONTROL, HeaderValue::from_static("no-store")))
        // Whoever compressed it would hold events back.
        .insert_header((header::CONTENT_ENCODING, "identity"))
        .streaming(body)
}

/// One event. JSON has no line breaks, so its data is one line.
fn event(id: Option<&dyn fmt::Display>, name: &str, data: &impl Serialize) -> Bytes {
    // Texts always serialise; the fallback only avoids a panic.
    let data = serde_json::to_string(data).unwrap_or_default();
    let id = id.map(|id| format!("id: {id}\n")).unwrap_or_default();
    format!("{id}event: {name}\ndata: {data}\n\n").into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_one_line_whatever_it_tells() {
        let text = event(Some(&7), "line", &"a\r\n\r\nevent: x");
        assert_eq!(text, "id: 7\nevent: line\ndata: \"a\\r\\n\\r\\nevent: x\"\n\n");
        assert_eq!(event(None, "end", &serde_json::json!({})), "event: end\ndata: {}\n\n");
    }
}
