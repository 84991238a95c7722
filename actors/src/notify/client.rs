//! The HTTP client for receivers, whose addresses clients choose.
//!
//! ```text
//!   URL ─▶ name ─▶ addresses ─▶ Receivers::may_ask ─▶ connection to exactly that address ─▶ TLS for the name ─▶ request
//!    ▲ 307, 308: at most three times, with the same checks ─────────────────────────────────────────────────────┘
//! ```
//!
//! Each request has a connection of its own; proxies of the environment are not used. A receiver's answer is its status:
//! the body is not read. Errors have neither addresses nor anything that the receiver says, as teams read them.

use std::{
    future::Future,
    io,
    net::IpAddr,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    HeaderValue, Request, StatusCode, Uri,
    header::{self, HeaderMap},
};
use http_body_util::Full;
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder, builderstates::WantsSchemes};
use hyper_util::{
    client::legacy::{self, Client as HyperClient},
    rt::{TokioExecutor, TokioIo},
};
use rustls::{ClientConfig, RootCertStore, crypto::ring};
use tokio::net::{TcpStream, lookup_host};
use url::Url;
use wrenn_base::{Chain, Clock};
use wrenn_domain::channel::{address::Receivers, config::wrong_with, message::Outgoing};

/// Time limit for an attempt, from the lookup of the name to the status, redirects included.
pub(super) const WITHIN: Duration = Duration::from_secs(10);
/// Redirects that are followed.
const MAX_REDIRECTS: usize = 3;
/// Largest head of an answer that is read.
const MAX_HEAD_BYTES: usize = 32 * 1024;

/// The reason for which a notification did not arrive, as far as its team may know.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum SendError {
    /// The configuration is one of another version.
    #[error("the configuration of the channel is not valid any more; set it anew")]
    Config,
    /// The address is not one of the public internet.
    #[error("the receiver's address is not public, and the operator does not allow it")]
    Refused,
    /// The name has no address.
    #[error("the receiver's name has no address")]
    NoAddress,
    /// No connection was made.
    #[error("no connection to the receiver")]
    Connect,
    /// The certificate is not one for the receiver's name that this machine trusts.
    #[error("the receiver's certificate is not trusted, has expired, or is not for its name")]
    Certificate,
    /// The connection broke, or what came over it is not HTTP.
    #[error("the receiver did not answer as HTTP and TLS want it")]
    Protocol,
    /// The time is over.
    #[error("the receiver did not answer within {} s", WITHIN.as_secs())]
    Late,
    /// The receiver answered with a status that is no success.
    #[error("the receiver answered {status}")]
    Status {
        /// The status.
        status: u16,
        /// Pause for which it asks.
        retry_after: Option<Duration>,
    },
    /// The receiver redirects to where nothing is sent.
    #[error("the receiver redirects {0}")]
    Redirect(&'static str),
}

impl SendError {
    /// Returns true if the receiver says that it is gone for good.
    pub(super) fn is_gone(self) -> bool {
        matches!(self, Self::Status { status: 410, .. })
    }

    /// Returns the pause for which the receiver asks.
    pub(super) fn retry_after(self) -> Option<Duration> {
        match self {
            Self::Status { retry_after, .. } => retry_after,
            _ => None,
        }
    }
}

/// The reason for which there is no connection.
#[derive(Debug, thiserror::Error)]
enum ConnectError {
    #[error("the address may not be asked")]
    Refused,
    #[error("the name has no address")]
    NoAddress,
    #[error("no connection")]
    Io(#[source] io::Error),
}

/// Sends requests to addresses that may be asked.
#[derive(Clone)]
pub(super) struct Client {
    hyper: HyperClient<HttpsConnector<CheckedConnector>, Full<Bytes>>,
    clock: Clock,
}

impl Client {
    /// Creates a client that trusts the authorities of this machine.
    pub(super) fn new(receivers: Receivers, clock: Clock) -> Self {
        let native = HttpsConnectorBuilder::new().with_provider_and_native_roots(ring::default_provider());
        let builder = native.unwrap_or_else(|error| {
            tracing::warn!(error = %Chain(&error), "no certificates on this machine: notifications over TLS will fail");
            HttpsConnectorBuilder::new().with_tls_config(trusting(RootCertStore::empty()))
        });
        Self::with(builder, receivers, clock)
    }

    fn with(builder: HttpsConnectorBuilder<WantsSchemes>, receivers: Receivers, clock: Clock) -> Self {
        let connector = CheckedConnector { receivers: Arc::new(receivers) };
        let connector = builder.https_or_http().enable_http1().wrap_connector(connector);
        let mut client = HyperClient::builder(TokioExecutor::new());
        client.pool_max_idle_per_host(0).http1_max_buf_size(MAX_HEAD_BYTES);
        Self { hyper: client.build(connector), clock }
    }

    /// Sends a request, and follows redirects.
    pub(super) async fn send(&self, request: Outgoing) -> Result<(), SendError> {
        let sent = self.clock.timeout(WITHIN, self.follow(request)).await;
        sent.unwrap_or(Err(SendError::Late))
    }

    async fn follow(&self, mut request: Outgoing) -> Result<(), SendError> {
        for _ in 0..=MAX_REDIRECTS {
            let answer = self.hyper.request(http_request(&request)?).await.map_err(|error| reason(&error))?;
            let status = answer.status();
            match status {
                status if status.is_success() => return Ok(()),
                // Other redirects are for browsers: a program would have to change the method.
                StatusCode::TEMPORARY_REDIRECT | StatusCode::PERMANENT_REDIRECT => {
                    let url = redirected(&request.url, answer.headers())?;
                    if url.origin() != request.url.origin() {
                        request.headers.retain(|(name, _)| *name != header::AUTHORIZATION.as_str());
                    }
                    request.url = url;
                }
                status => {
                    let retry_after = retry_after(answer.headers());
                    return Err(SendError::Status { status: status.as_u16(), retry_after });
                }
            }
        }
        Err(SendError::Redirect("too often"))
    }
}

/// Returns the pause that a receiver asks for in seconds; dates are for browsers.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let seconds = headers.get(header::RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Returns the address to which an answer redirects.
fn redirected(from: &Url, headers: &HeaderMap) -> Result<Url, SendError> {
    let location = headers.get(header::LOCATION).and_then(|location| location.to_str().ok());
    let url = location.and_then(|location| from.join(location).ok());
    let url = url.ok_or(SendError::Redirect("to no address"))?;
    if from.scheme() == "https" && url.scheme() != "https" {
        return Err(SendError::Redirect("from https to an address without TLS"));
    }
    match wrong_with(&url) {
        Some(_) => Err(SendError::Redirect("to an address that is not valid")),
        None => Ok(url),
    }
}

fn http_request(outgoing: &Outgoing) -> Result<Request<Full<Bytes>>, SendError> {
    let mut url = outgoing.url.clone();
    url.set_fragment(None);
    let uri: Uri = url.as_str().parse().map_err(|_| SendError::Config)?;
    let mut request = Request::new(Full::from(outgoing.body.clone()));
    *request.method_mut() = outgoing.method.as_str().parse().map_err(|_| SendError::Config)?;
    *request.uri_mut() = uri;
    let headers = request.headers_mut();
    headers.insert(header::USER_AGENT, HeaderValue::from_static("wrenn"));
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    for (name, value) in &outgoing.headers {
        headers.insert(*name, value.parse().map_err(|_| SendError::Config)?);
    }
    Ok(request)
}

/// Returns what the team may know of an error.
fn reason(error: &legacy::Error) -> SendError {
    match Chain(error).find::<ConnectError>() {
        Some(ConnectError::Refused) => SendError::Refused,
        Some(ConnectError::NoAddress) => SendError::NoAddress,
        Some(ConnectError::Io(_)) => SendError::Connect,
        None if is_of_certificate(error) => SendError::Certificate,
        None => SendError::Protocol,
    }
}

/// Returns true if the receiver's certificate was refused. rustls reports it within an `io::Error` within another one, and the
/// source of an `io::Error` is not the error in it, but the source of that.
fn is_of_certificate(error: &legacy::Error) -> bool {
    let mut next = Chain(error).find::<io::Error>();
    while let Some(inner) = next.and_then(io::Error::get_ref) {
        if let Some(error) = inner.downcast_ref() {
            return matches!(error, rustls::Error::InvalidCertificate(_));
        }
        next = inner.downcast_ref();
    }
    false
}

fn trusting(roots: RootCertStore) -> ClientConfig {
    #[expect(clippy::expect_used, reason = "ring has the versions of TLS that rustls takes by default")]
    let builder = ClientConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .expect("versions of TLS");
    builder.with_root_certificates(roots).with_no_client_auth()
}

/// Connects to the addresses of a name that may be asked, and to no others.
#[derive(Debug, Clone)]
struct CheckedConnector {
    receivers: Arc<Receivers>,
}

impl tower::Service<Uri> for CheckedConnector {
    type Response = TokioIo<TcpStream>;
    type Error = ConnectError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, ConnectError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), ConnectError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, uri: Uri) -> Self::Future {
        let receivers = self.receivers.clone();
        Box::pin(async move { connect(&receivers, &uri).await.map(TokioIo::new) })
    }
}

async fn connect(receivers: &Receivers, uri: &Uri) -> Result<TcpStream, ConnectError> {
    let host = uri.host().ok_or(ConnectError::NoAddress)?;
    let host = host.trim_start_matches('[').trim_end_matches(']');
    let default = if uri.scheme_str() == Some("https") { 443 } else { 80 };
    let port = uri.port_u16().unwrap_or(default);
    let addresses: Vec<_> = match host.parse::<IpAddr>() {
        Ok(address) => vec![(address, port).into()],
        Err(_) => lookup_host((host, port)).await.map_err(|_| ConnectError::NoAddress)?.collect(),
    };
    // The addresses themselves are connected to: another lookup could have another answer.
    let mut last = if addresses.is_empty() { ConnectError::NoAddress } else { ConnectError::Refused };
    for address in addresses.into_iter().filter(|address| receivers.may_ask(address.ip())) {
        match TcpStream::connect(address).await {
            Ok(stream) => {
                // Without it a request would wait for nothing, which does no harm.
                let _ = stream.set_nodelay(true);
                return Ok(stream);
            }
            Err(error) => last = ConnectError::Io(error),
        }
    }
    Err(last)
}

#[cfg(test)]
mod tests;
