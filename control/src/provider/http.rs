//! The HTTP client for providers.

use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt as _, Full, Limited};
use hyper_rustls::{HttpsConnector, HttpsConnectorBuilder};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use oauth2::{HttpRequest, HttpResponse};
use tokio::time::timeout;

/// Time limit for one answer of a provider.
const WITHIN: Duration = Duration::from_secs(10);
/// Largest answer that is read.
const MAX_BYTES: usize = 1024 * 1024;

/// The reason for which a provider's answer was not read.
#[derive(Debug, thiserror::Error)]
pub enum HttpError {
    /// The certificates of this machine could not be read.
    #[error("cannot read the certificates of this machine")]
    Certificates(#[source] std::io::Error),
    /// The request failed.
    #[error(transparent)]
    Request(#[from] hyper_util::client::legacy::Error),
    /// The answer broke off, or is larger than any that is needed.
    #[error("the answer was not read")]
    Body(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// The answer did not come in time.
    #[error("no answer within {} s", WITHIN.as_secs())]
    Late,
}

/// Client that follows no redirects: a provider must not send the server elsewhere.
#[derive(Debug, Clone)]
pub(super) struct HttpClient(Client<HttpsConnector<HttpConnector>, Full<Bytes>>);

impl HttpClient {
    pub(super) fn new() -> Result<Self, HttpError> {
        let connector = HttpsConnectorBuilder::new()
            .with_provider_and_native_roots(rustls::crypto::ring::default_provider())
            .map_err(HttpError::Certificates)?
            // Only a provider on loopback, as tests start one, has an issuer without TLS.
            .https_or_http()
            .enable_http1()
            .build();
        Ok(Self(Client::builder(TokioExecutor::new()).build(connector)))
    }

    /// Sends a request and reads the whole answer.
    pub(super) async fn send(&self, mut request: HttpRequest) -> Result<HttpResponse, HttpError> {
        request.headers_mut().insert("user-agent", oauth2::http::HeaderValue::from_static("wrenn"));
        let answer = async {
            let (head, body) = self.0.request(request.map(Full::from)).await?.into_parts();
            let body = Limited::new(body, MAX_BYTES).collect().await.map_err(HttpError::Body)?;
            Ok(HttpResponse::from_parts(head, body.to_bytes().to_vec()))
        };
        timeout(WITHIN, answer).await.map_err(|_| HttpError::Late)?
    }
}
