//! Metrics of the server, in the text format of OpenMetrics.
//!
//! ```text
//!   requests, previews ─ counted here ──────────┐
//!   operations, steps ─ counted by the actors ──┼─▶ one registry, kept      ─┐
//!   hosts, capsules, queues ─ read at a scrape ─┴─▶ one registry, each time ─┴─▶ text
//! ```
//!
//! Label values come from closed sets (methods, route patterns, statuses), so memory stays bounded whatever clients send.

use std::{borrow::Cow, fmt, time::Duration};

use actix_web::http::{Method, StatusCode};
use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use wrenn_base::openmetrics;

/// Prefix of every name.
pub(crate) const PREFIX: &str = "wrenn";
/// Upper bounds of the latency buckets in seconds.
const REQUEST_SEC: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

type RequestLabels = [(&'static str, Cow<'static, str>); 3];

fn of_requests() -> Histogram {
    Histogram::new(REQUEST_SEC)
}

/// Metrics that are kept from the start of the process.
#[derive(Debug)]
pub(crate) struct Metrics {
    registry: Registry,
    requests: Family<RequestLabels, Histogram, fn() -> Histogram>,
    previews: Family<[(&'static str, Cow<'static, str>); 1], Counter>,
}

impl Metrics {
    /// Makes the registry; `register` adds metrics that others write.
    pub(crate) fn new(register: impl FnOnce(&mut Registry)) -> Self {
        let mut registry = Registry::with_prefix(PREFIX);
        let requests = Family::new_with_constructor(of_requests as fn() -> Histogram);
        registry.register(
            "http_request_duration_seconds",
            "Requests by method, route and status",
            requests.clone(),
        );
        let previews = Family::default();
        registry.register(
            "preview_requests",
            "Requests to previews by the status of the answer",
            previews.clone(),
        );
        register(&mut registry);
        Self { registry, requests, previews }
    }

    /// Counts one request; `pattern` is its route, without ids.
    pub(crate) fn request_ended(
        &self,
        method: &Method,
        pattern: Option<String>,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let labels = [
            ("method", Cow::Borrowed(method_label(method))),
            ("route", pattern.map_or(Cow::Borrowed("other"), Cow::Owned)),
            ("status", Cow::Owned(status.as_u16().to_string())),
        ];
        self.requests.get_or_create(&labels).observe(elapsed.as_secs_f64());
    }

    /// Counts one request to a preview.
    pub(crate) fn preview_answered(&self, status: StatusCode) {
        self.previews.get_or_create(&[("status", Cow::Owned(status.as_u16().to_string()))]).inc();
    }

    /// Returns the page: what is kept, and what was read now.
    ///
    /// # Errors
    /// A metric cannot be written as text.
    pub(crate) fn page(&self, now: &Registry) -> Result<String, fmt::Error> {
        openmetrics::page(&[&self.registry, now])
    }
}

/// Returns the method as a label; clients may make methods up.
fn method_label(method: &Method) -> &'static str {
    match method.as_str() {
        "GET" => "GET",
        "POST" => "POST",
        "PUT" => "PUT",
        "PATCH" => "PATCH",
        "DELETE" => "DELETE",
        "HEAD" => "HEAD",
        "OPTIONS" => "OPTIONS",
        _ => "other",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_page_has_each_metric_once_and_ends() {
        let metrics = Metrics::new(|_| {});
        for elapsed_ms in [1, 4, 4, 60_000] {
            let elapsed = Duration::from_millis(elapsed_ms);
            metrics.request_ended(&Method::GET, Some("/v1/capsules/{id}".into()), StatusCode::OK, elapsed);
        }
        metrics.request_ended(
            &Method::from_bytes(b"MADE-UP").unwrap(),
            None,
            StatusCode::NOT_FOUND,
            Duration::ZERO,
        );
        let text = metrics.page(&Registry::default()).unwrap();
        let labels = "method=\"GET\",route=\"/v1/capsules/{id}\",status=\"200\"";
        for (bound, count) in [("0.002", 1), ("0.005", 3), ("30.0", 3), ("+Inf", 4)] {
            let line =
                format!("wrenn_http_request_duration_seconds_bucket{{le=\"{bound}\",{labels}}} {count}\n");
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        }
        assert!(text.contains("method=\"other\",route=\"other\",status=\"404\""), "{text}");
        assert!(text.ends_with("# EOF\n"), "{text}");
    }
}
