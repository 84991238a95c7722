//! Forwarding of a request to a port of a capsule, and of its answer.
//!
//! Bodies are streamed in both directions, each with a bounded number of pieces in flight. After `101 Switching
//! Protocols` both directions are plain bytes, which carries WebSockets.

use std::{io, time::Duration};

use actix_web::{
    HttpRequest, HttpResponse,
    body::{BodyStream, SizedStream},
    http::{
        Method, StatusCode,
        header::{self, HeaderMap, HeaderName, HeaderValue},
    },
    web::Payload,
};
use bytes::Bytes;
use futures_util::{Stream, StreamExt as _, stream};
use http_body_util::{BodyExt as _, Empty, StreamBody, combinators::BoxBody};
use hyper::body::{Body as _, Frame, Incoming};
use hyper_util::{client::legacy::Client, rt::TokioIo};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use wrenn_actors::Grant;
use wrenn_control::preview_open::Visit;

use super::{
    access,
    address::Target,
    connect::{Connector, authority},
};

/// Buffered pieces of a body.
const QUEUE: usize = 4;
/// Most bytes that are read of an upgraded connection at once.
const CHUNK_BYTES: usize = 64 * 1024;
/// Time limit for the head of the program's answer.
const ANSWER_WITHIN: Duration = Duration::from_secs(10 * 60);

/// HTTP client with a pool of connections to ports.
pub(super) type PortClient = Client<Connector, RequestBody>;
pub(super) type RequestBody = BoxBody<Bytes, io::Error>;

/// Headers that belong to one connection, and not to the message (RFC 9110, section 7.6.1).
const HOP_BY_HOP: [&str; 9] = [
    "connection",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "trailer",
    "transfer-encoding",
    "upgrade",
];

/// The reason for which there is no answer.
#[derive(Debug, thiserror::Error)]
pub(super) enum ForwardError {
    #[error("the request cannot be passed on")]
    Request(#[source] http::Error),
    #[error(transparent)]
    Client(#[from] hyper_util::client::legacy::Error),
    #[error("the program in the capsule did not begin to answer in time")]
    Late,
}

/// Forwards a request. The answer counts as use of the capsule until it is sent or dropped,
/// and breaks off when the permission for the visit is revoked.
pub(super) async fn forward(
    client: &PortClient,
    target: Target,
    request: &HttpRequest,
    payload: Payload,
    scheme: &str,
    visit: Visit,
) -> Result<HttpResponse, ForwardError> {
    let upgrade = upgrade_of(request.headers());
    let (body, payload) = match &upgrade {
        // The client's bytes belong to the new protocol.
        Some(_) => (empty(), Some(payload)),
        None => (body_of(request.headers(), payload), None),
    };
    let outgoing =
        outgoing(target, request, scheme, upgrade.as_ref(), body).map_err(ForwardError::Request)?;
    let answer = timeout(ANSWER_WITHIN, client.request(outgoing)).await.map_err(|_| ForwardError::Late)??;
    let mut response = HttpResponse::build(status(answer.status()));
    for (name, value) in end_to_end(answer.headers()) {
        response.append_header((name, value));
    }
    match (payload, answer.status()) {
        (Some(payload), http::StatusCode::SWITCHING_PROTOCOLS) => {
            let protocol = answer.headers().get(http::header::UPGRADE).cloned();
            let protocol = protocol.as_ref().and_then(|value| value.to_str().ok()).unwrap_or("websocket");
            response.upgrade(protocol);
            Ok(response.body(BodyStream::new(switched(answer, payload, visit))))
        }
        _ => {
            let length = match *request.method() {
                // There is no body; the length is that of a GET.
                Method::HEAD => announced_length(answer.headers()),
                _ => answer.body().size_hint().exact(),
            };
            let body = pieces(answer.into_body(), visit);
            Ok(match length {
                Some(length) => response.body(SizedStream::new(length, body)),
                None => response.body(BodyStream::new(body)),
            })
        }
    }
}

/// Returns the protocol of an upgrade. Only WebSockets are supported.
fn upgrade_of(headers: &HeaderMap) -> Option<HeaderValue> {
    let wants = headers.get(header::CONNECTION)?.to_str().ok()?.to_ascii_lowercase().contains("upgrade");
    let protocol = headers.get(header::UPGRADE)?;
    let is_websocket = protocol.to_str().ok()?.eq_ignore_ascii_case("websocket");
    (wants && is_websocket).then(|| protocol.clone())
}

fn outgoing(
    target: Target,
    request: &HttpRequest,
    scheme: &str,
    upgrade: Option<&HeaderValue>,
    body: RequestBody,
) -> Result<http::Request<RequestBody>, http::Error> {
    let query = access::query_without_token(request.query_string());
    let path = request.uri().path();
    let path_and_query = if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") };
    let uri = http::Uri::builder().scheme("http").authority(authority(target)).path_and_query(path_and_query);
    let mut outgoing = http::Request::builder().method(request.method().as_str()).uri(uri.build()?);
    for (name, value) in request.headers() {
        let value = match name.as_str() {
            name if is_hop_by_hop(request.headers().get(header::CONNECTION), name) => continue,
            // The server has handled it.
            "expect" | access::HEADER => continue,
            "cookie" => match access::cookies_without_token(value) {
                Some(value) => value,
                None => continue,
            },
            _ => value.clone(),
        };
        outgoing = outgoing.header(name.as_str(), value.as_bytes());
    }
    if let Some(protocol) = upgrade {
        outgoing = outgoing.header("connection", "upgrade").header("upgrade", protocol.as_bytes());
    }
    let host = request.headers().get(header::HOST).map(|host| host.as_bytes()).unwrap_or_default();
    let peer = request.peer_addr().map(|peer| peer.ip().to_canonical().to_string()).unwrap_or_default();
    outgoing = outgoing.header("x-forwarded-for", peer).header("x-forwarded-proto", scheme);
    outgoing.header("x-forwarded-host", host).body(body)
}

fn is_hop_by_hop(connection: Option<&HeaderValue>, name: &str) -> bool {
    let named = connection.and_then(|value| value.to_str().ok()).unwrap_or_default();
    HOP_BY_HOP.contains(&name) || named.split(',').any(|other| other.trim().eq_ignore_ascii_case(name))
}

/// Converts the headers of an answer that belong to the message.
fn end_to_end(headers: &http::HeaderMap) -> impl Iterator<Item = (HeaderName, HeaderValue)> {
    let connection = headers.get(http::header::CONNECTION);
    let connection = connection.and_then(|value| HeaderValue::from_bytes(value.as_bytes()).ok());
    headers.iter().filter_map(move |(name, value)| {
        // The length is set with the body.
        if is_hop_by_hop(connection.as_ref(), name.as_str()) || *name == http::header::CONTENT_LENGTH {
            return None;
        }
        let name = HeaderName::from_bytes(name.as_str().as_bytes()).ok()?;
        Some((name, HeaderValue::from_bytes(value.as_bytes()).ok()?))
    })
}

fn announced_length(headers: &http::HeaderMap) -> Option<u64> {
    headers.get(http::header::CONTENT_LENGTH)?.to_str().ok()?.parse().ok()
}

fn status(status: http::StatusCode) -> StatusCode {
    // Both types hold numbers from 100 to 999.
    StatusCode::from_u16(status.as_u16()).unwrap_or(StatusCode::BAD_GATEWAY)
}

fn empty() -> RequestBody {
    Empty::new().map_err(|never| match never {}).boxed()
}

/// Returns the body of a request. A task on the client's thread reads it, until the body is dropped.
fn body_of(headers: &HeaderMap, mut payload: Payload) -> RequestBody {
    let has_body = headers.contains_key(header::TRANSFER_ENCODING)
        || headers.get(header::CONTENT_LENGTH).is_some_and(|length| length.as_bytes() != b"0");
    if !has_body {
        return empty();
    }
    let (pieces, read) = mpsc::channel(QUEUE);
    actix_web::rt::spawn(async move {
        while let Some(piece) = payload.next().await {
            let piece = piece.map(Frame::data).map_err(io::Error::other);
            if pieces.send(piece).await.is_err() {
                return;
            }
        }
    });
    http_body_util::BodyExt::boxed(StreamBody::new(ReceiverStream::new(read)))
}

/// Returns the pieces of an answer's body. They end with an error when the permission is revoked, so that a part is not taken
/// for the whole.
fn pieces(body: Incoming, visit: Visit) -> impl Stream<Item = Result<Bytes, io::Error>> {
    let Visit { in_use, grant } = visit;
    let pieces = body.into_data_stream().map(move |piece| {
        let _counts = &in_use;
        piece.map_err(io::Error::other)
    });
    let last = grant.clone();
    let cut = stream::once(async move { last.filter(Grant::is_revoked) });
    let cut = cut.filter_map(async |cut| cut.map(|_| Err(io::Error::other("the permission was revoked"))));
    pieces.take_until(revoked(grant)).chain(cut)
}

/// Waits until the permission for a visit is revoked; for ever, where none is needed.
async fn revoked(grant: Option<Grant>) {
    match grant {
        Some(grant) => grant.revoked().await,
        None => std::future::pending().await,
    }
}

/// Relays both directions of an upgraded connection.
fn switched(
    answer: http::Response<Incoming>,
    mut payload: Payload,
    visit: Visit,
) -> impl Stream<Item = Result<Bytes, io::Error>> {
    let (pieces, read) = mpsc::channel(QUEUE);
    let carrying = actix_web::rt::spawn(async move {
        let Visit { in_use: _counts, grant } = visit;
        let upgraded = match hyper::upgrade::on(answer).await {
            Ok(upgraded) => TokioIo::new(upgraded),
            Err(error) => {
                let _ = pieces.send(Err(io::Error::other(error))).await;
                return;
            }
        };
        let (mut from_capsule, mut to_capsule) = tokio::io::split(upgraded);
        let down = async {
            let mut buffer = bytes::BytesMut::new();
            loop {
                buffer.reserve(CHUNK_BYTES);
                let piece = match from_capsule.read_buf(&mut buffer).await {
                    Ok(0) => return,
                    Ok(_) => Ok(buffer.split().freeze()),
                    Err(error) => Err(error),
                };
                let is_last = piece.is_err();
                if pieces.send(piece).await.is_err() || is_last {
                    return;
                }
            }
        };
        let up = async {
            while let Some(Ok(piece)) = payload.next().await {
                if to_capsule.write_all(&piece).await.is_err() || to_capsule.flush().await.is_err() {
                    return;
                }
            }
        };
        tokio::select! {
            () = down => {}
            () = up => {}
            () = revoked(grant) => {}
        }
    });
    // The task ends when the client disconnects, also while both sides are idle.
    let carrying = AbortOnDrop(carrying);
    stream::unfold((ReceiverStream::new(read), carrying), |(mut read, carrying)| async move {
        let piece = read.next().await?;
        Some((piece, (read, carrying)))
    })
}

struct AbortOnDrop(tokio::task::JoinHandle<()>);

impl Drop for AbortOnDrop {
    fn drop(&mut self) {
        self.0.abort();
    }
}

#[cfg(test)]
mod tests {
    use actix_web::test::TestRequest;
    use wrenn_domain::ids::SandboxId;

    use super::*;

    fn target() -> Target {
        Target { capsule: SandboxId::new(), port: 3000 }
    }

    #[test]
    fn what_belongs_to_the_connection_or_to_us_is_not_passed_on() {
        let request = TestRequest::post()
            .uri("/a%20b?x=1&wrenn_token=secret")
            .insert_header(("host", "3000-cl-x.localhost:8000"))
            .insert_header(("connection", "keep-alive, X-Mine"))
            .insert_header(("x-mine", "1"))
            .insert_header(("te", "trailers"))
            .insert_header(("expect", "100-continue"))
            .insert_header(("x-wrenn-token", "secret"))
            .insert_header(("cookie", "a=b; wrenn_token=secret"))
            .insert_header(("content-length", "3"))
            .insert_header(("accept", "*/*"))
            .to_http_request();
        let sent = outgoing(target(), &request, "https", None, empty()).unwrap();
        assert_eq!(sent.uri().path_and_query().unwrap(), "/a%20b?x=1");
        let mut names: Vec<_> = sent.headers().keys().map(|name| name.as_str()).collect();
        names.sort_unstable();
        let expected = [
            "accept",
            "content-length",
            "cookie",
            "host",
            "x-forwarded-for",
            "x-forwarded-host",
            "x-forwarded-proto",
        ];
        assert_eq!(names, expected);
        assert_eq!(sent.headers()["cookie"], "a=b");
        assert_eq!(sent.headers()["host"], "3000-cl-x.localhost:8000");
        assert_eq!(sent.headers()["x-forwarded-proto"], "https");
    }

    #[test]
    fn only_websockets_change_the_protocol() {
        let wants = |connection: &'static str, upgrade: &'static str| {
            let request = TestRequest::get()
                .insert_header(("connection", connection))
                .insert_header(("upgrade", upgrade))
                .to_http_request();
            upgrade_of(request.headers()).is_some()
        };
        assert!(wants("Upgrade", "websocket") && wants("keep-alive, upgrade", "WebSocket"));
        assert!(!wants("keep-alive", "websocket") && !wants("upgrade", "h2c"));
    }
}
