//! The outermost layer: request ids, tracing, metrics, security headers, and what happens on a panic.
//!
//! ```text
//!  request ─▶ id, span ─▶ catch panic ─▶ compress ─▶ route ─▶ handler
//!  response ◀─ headers, metrics ◀─ every error in the contract's shape ◀─┘
//! ```
//!
//! A handler that panics costs its own request only: the client gets `internal_error`, the panic's
//! message stays in the log.

use std::{
    panic::AssertUnwindSafe,
    time::{Duration, SystemTime},
};

use actix_web::{
    Error, HttpResponse,
    body::{BoxBody, MessageBody},
    dev::{ServiceRequest, ServiceResponse},
    http::header::{self, HeaderMap, HeaderName, HeaderValue},
    middleware::Next,
    web::Data,
};
use futures_util::FutureExt as _;
use tracing::Instrument as _;
use uuid::Builder;
use wrenn_base::{Clock, Rng, trace};

use crate::{
    error::{ApiError, code_of, impl_response_error},
    metrics::Metrics,
};

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const MAX_REQUEST_ID: usize = 64;

/// A handler panicked.
#[derive(Debug, thiserror::Error)]
#[error("a handler panicked: {0}")]
struct Panicked(String);

impl Panicked {
    fn api_error(&self) -> ApiError {
        ApiError::internal()
    }
}
impl_response_error!(Panicked);

/// Wraps every request; see the module.
pub(crate) async fn observe(
    metrics: Data<Metrics>,
    clock: Data<Clock>,
    rng: Data<Rng>,
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, Error> {
    let started = clock.now();
    let id = request_id(request.headers()).unwrap_or_else(|| new_request_id(&clock, &rng));
    let method = request.method().clone();
    // The path without the query, which could carry a secret.
    let span = tracing::info_span!("request", request_id = %id, %method, path = request.path());
    let parent = request.headers().get(trace::TRACEPARENT).and_then(|header| header.to_str().ok());
    trace::continue_from(&span, parent.unwrap_or_default());

    let outcome = AssertUnwindSafe(async { next.call(request).await })
        .catch_unwind()
        .instrument(span.clone())
        .await
        .unwrap_or_else(|panic| Err(Panicked(panic_message(&*panic)).into()));

    let _entered = span.enter();
    match outcome {
        Ok(response) => {
            let pattern = response.request().match_pattern();
            let mut response = in_contract_shape(response);
            decorate(response.headers_mut(), &id);
            let status = response.status();
            let elapsed = clock.since(started);
            metrics.request_ended(&method, pattern, status, elapsed);
            tracing::debug!(status = status.as_u16(), elapsed_ms = milliseconds(elapsed), "request answered");
            Ok(response)
        }
        Err(mut error) => {
            let status = error.as_response_error().status_code();
            let elapsed = clock.since(started);
            metrics.request_ended(&method, None, status, elapsed);
            tracing::debug!(status = status.as_u16(), elapsed_ms = milliseconds(elapsed), "request failed");
            error.add_response_mapper(move |mut response: HttpResponse| {
                decorate(response.headers_mut(), &id);
                response
            });
            Err(error)
        }
    }
}

fn milliseconds(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the client's request id, if it is harmless to log and to send back.
fn request_id(headers: &HeaderMap) -> Option<String> {
    headers
        .get(REQUEST_ID)
        .and_then(|value| value.to_str().ok())
        .filter(|id| {
            (1..=MAX_REQUEST_ID).contains(&id.len())
                && id.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_' | b'.'))
        })
        .map(str::to_owned)
}

/// Makes a request id that is sorted by time: a UUID of version 7.
fn new_request_id(clock: &Clock, rng: &Rng) -> String {
    let since_epoch = clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Builder::from_unix_timestamp_millis(milliseconds(since_epoch), &rng.bytes()).into_uuid().to_string()
}

fn panic_message(panic: &(dyn std::any::Any + Send)) -> String {
    match (panic.downcast_ref::<&str>(), panic.downcast_ref::<String>()) {
        (Some(text), _) => (*text).to_owned(),
        (_, Some(text)) => text.clone(),
        _ => "no message".to_owned(),
    }
}

/// Gives an error that was made below the handlers, with a status only, the body of the contract.
fn in_contract_shape(response: ServiceResponse<impl MessageBody + 'static>) -> ServiceResponse<BoxBody> {
    let status = response.status();
    let is_error = status.is_client_error() || status.is_server_error();
    let is_json = response
        .headers()
        .get(header::CONTENT_TYPE)
        .is_some_and(|value| value.as_bytes().starts_with(b"application/json"));
    if !is_error || is_json {
        return response.map_into_boxed_body();
    }
    let answer = if status.is_server_error() {
        ApiError::internal()
    } else {
        let reason = status.canonical_reason().unwrap_or("not accepted").to_lowercase();
        ApiError::new(code_of(status), reason)
    };
    response.map_body(|head, _| {
        head.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
        BoxBody::new(answer.body())
    })
}

/// Adds the headers that every response carries, unless the handler knew better.
fn decorate(headers: &mut HeaderMap, id: &str) {
    if let Ok(id) = HeaderValue::from_str(id) {
        headers.insert(REQUEST_ID, id);
    }
    // A handler's way of saying that its body must not be compressed; to a client it says nothing.
    if headers.get(header::CONTENT_ENCODING).is_some_and(|encoding| encoding == "identity") {
        headers.remove(header::CONTENT_ENCODING);
    }
    for (name, value) in [
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "no-referrer"),
        (header::CACHE_CONTROL, "no-store"),
        (header::CONTENT_SECURITY_POLICY, "default-src 'none'; frame-ancestors 'none'"),
    ] {
        if !headers.contains_key(&name) {
            headers.insert(name, HeaderValue::from_static(value));
        }
    }
}

#[cfg(test)]
mod tests {
    use actix_web::{
        App, HttpResponse,
        body::to_bytes,
        dev::Service as _,
        middleware::from_fn,
        test::{TestRequest, init_service},
        web,
    };

    use super::*;

    async fn panics() -> HttpResponse {
        panic!("a secret")
    }

    #[actix_web::test]
    async fn a_panic_is_an_internal_error_that_tells_nothing() {
        let app = App::new()
            .app_data(Data::new(Metrics::new(|_| {})))
            .app_data(Data::new(Clock::manual().0))
            .app_data(Data::new(Rng::seeded(1)))
            .route("/", web::get().to(panics))
            .wrap(from_fn(observe));
        let app = init_service(app).await;
        let error = app.call(TestRequest::get().uri("/").to_request()).await.expect_err("it panics");
        let response = error.error_response();
        assert_eq!(response.status(), 500);
        assert!(response.headers().contains_key(REQUEST_ID));
        let body = to_bytes(response.into_body()).await.expect("it has a body");
        let text = std::str::from_utf8(&body).expect("it is text");
        assert!(text.contains("internal_error") && !text.contains("secret"), "{text}");
    }
}
