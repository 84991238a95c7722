//! The endpoint of the page: HTTP/1.1 without credentials, on an address that the operator chooses.

use std::{convert::Infallible, io, net::SocketAddr, sync::Arc, time::Duration};

use bytes::Bytes;
use http_body_util::Full;
use hyper::{
    Method, Request, Response, StatusCode, body::Incoming, header, server::conn::http1, service::service_fn,
};
use hyper_util::rt::{TokioIo, TokioTimer};
use tokio::{net::TcpListener, sync::Semaphore};
use tokio_util::task::AbortOnDropHandle;
use wrenn_base::{Chain, Clock, openmetrics::CONTENT_TYPE};

use super::page::Sources;

/// Connections at once; more wait.
const CONNECTIONS: usize = 16;
/// Time for the head of a request.
const HEAD_WITHIN: Duration = Duration::from_secs(10);
/// Pause after a connection that could not be taken, for example because files ran out.
const AFTER_FAILURE: Duration = Duration::from_millis(100);

/// The reason for which metrics cannot be served.
#[derive(Debug, thiserror::Error)]
#[error("WRENN_AGENT_METRICS_ADDR: cannot listen on {addr}")]
pub struct ServeMetricsError {
    addr: SocketAddr,
    #[source]
    source: io::Error,
}

/// Serves the page until the handle is dropped.
pub(crate) async fn serve(
    addr: SocketAddr,
    sources: Arc<Sources>,
    clock: Clock,
) -> Result<AbortOnDropHandle<()>, ServeMetricsError> {
    let listener = TcpListener::bind(addr).await.map_err(|source| ServeMetricsError { addr, source })?;
    tracing::info!(%addr, "serving metrics");
    Ok(AbortOnDropHandle::new(tokio::spawn(accept(listener, sources, clock))))
}

async fn accept(listener: TcpListener, sources: Arc<Sources>, clock: Clock) {
    let places = Arc::new(Semaphore::new(CONNECTIONS));
    loop {
        // The semaphore is never closed.
        let Ok(place) = places.clone().acquire_owned().await else { return };
        let stream = match listener.accept().await {
            Ok((stream, _)) => stream,
            Err(error) => {
                tracing::debug!(%error, "no connection for metrics");
                clock.sleep(AFTER_FAILURE).await;
                continue;
            }
        };
        let sources = sources.clone();
        tokio::spawn(async move {
            let service = service_fn(|request| answer(request, &sources));
            let mut connection = http1::Builder::new();
            connection.timer(TokioTimer::new()).header_read_timeout(HEAD_WITHIN);
            if let Err(error) = connection.serve_connection(TokioIo::new(stream), service).await {
                tracing::debug!(error = %Chain(&error), "connection for metrics broke");
            }
            drop(place);
        });
    }
}

async fn answer(request: Request<Incoming>, sources: &Sources) -> Result<Response<Full<Bytes>>, Infallible> {
    let mut response = Response::default();
    if request.uri().path() != "/metrics" {
        *response.status_mut() = StatusCode::NOT_FOUND;
    } else if request.method() != Method::GET {
        *response.status_mut() = StatusCode::METHOD_NOT_ALLOWED;
    } else if let Ok(page) = sources.page().await {
        response.headers_mut().insert(header::CONTENT_TYPE, header::HeaderValue::from_static(CONTENT_TYPE));
        *response.body_mut() = page.into();
    } else {
        *response.status_mut() = StatusCode::INTERNAL_SERVER_ERROR;
    }
    Ok(response)
}
