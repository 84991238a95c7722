//! Counters for Prometheus, in its text format.
//!
//! Requests are counted here; everything else is asked for when `/metrics` is read, so that nothing
//! has to be kept in step. Label values come from fixed sets (methods, route patterns, statuses),
//! so memory stays bounded whatever clients send.

use std::{
    collections::BTreeMap,
    fmt::{Display, Write as _},
    time::Duration,
};

use actix_web::http::{Method, StatusCode};
use parking_lot::Mutex;

/// Upper bounds of the latency buckets in seconds; the last bucket is everything.
const BUCKETS_SEC: [f64; 10] = [0.002, 0.005, 0.01, 0.025, 0.05, 0.1, 0.5, 1.0, 5.0, 30.0];

#[derive(Debug, Default)]
struct Histogram {
    /// Requests per bucket, not yet cumulated.
    buckets: [u64; BUCKETS_SEC.len()],
    count: u64,
    sum_sec: f64,
}

type RequestLabels = (&'static str, String, u16);

/// What has been counted since the start of the process.
#[derive(Debug, Default)]
pub(crate) struct Metrics {
    requests: Mutex<BTreeMap<RequestLabels, Histogram>>,
}

impl Metrics {
    /// Counts one request; `pattern` is its route, without ids.
    pub(crate) fn request_ended(
        &self,
        method: &Method,
        pattern: Option<&str>,
        status: StatusCode,
        elapsed: Duration,
    ) {
        let seconds = elapsed.as_secs_f64();
        let labels = (method_label(method), pattern.unwrap_or("other").to_owned(), status.as_u16());
        let mut requests = self.requests.lock();
        let histogram = requests.entry(labels).or_default();
        histogram.count += 1;
        histogram.sum_sec += seconds;
        if let Some(bucket) = BUCKETS_SEC.iter().position(|bound| seconds <= *bound) {
            histogram.buckets[bucket] += 1;
        }
    }

    /// Writes the request metrics.
    pub(crate) fn write(&self, page: &mut Page) {
        const NAME: &str = "wrenn_http_request_duration_seconds";
        page.describe(NAME, "histogram", "Requests by method, route and status.");
        for ((method, route, status), histogram) in &*self.requests.lock() {
            let labels = format!("method=\"{method}\",route=\"{route}\",status=\"{status}\"");
            let mut cumulated = 0;
            for (bound, count) in BUCKETS_SEC.iter().zip(histogram.buckets) {
                cumulated += count;
                page.line(&format!("{NAME}_bucket{{{labels},le=\"{bound}\"}}"), cumulated);
            }
            page.line(&format!("{NAME}_bucket{{{labels},le=\"+Inf\"}}"), histogram.count);
            page.line(&format!("{NAME}_sum{{{labels}}}"), histogram.sum_sec);
            page.line(&format!("{NAME}_count{{{labels}}}"), histogram.count);
        }
    }
}

/// The method as a label; clients may make methods up.
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

/// A page of metrics in the making.
#[derive(Debug, Default)]
pub(crate) struct Page {
    text: String,
}

impl Page {
    /// Starts a metric: its type and what it means.
    pub(crate) fn describe(&mut self, name: &str, kind: &str, help: &str) {
        // Writing into a string cannot fail.
        let _ = writeln!(self.text, "# HELP {name} {help}\n# TYPE {name} {kind}");
    }

    /// One sample.
    pub(crate) fn line(&mut self, sample: &str, value: impl Display) {
        let _ = writeln!(self.text, "{sample} {value}");
    }

    /// A gauge with one label; `counts` holds the label's values and the samples.
    pub(crate) fn gauge_by<'a>(
        &mut self,
        name: &str,
        help: &str,
        label: &str,
        counts: impl IntoIterator<Item = (&'a str, i64)>,
    ) {
        self.describe(name, "gauge", help);
        for (value, count) in counts {
            self.line(&format!("{name}{{{label}=\"{value}\"}}"), count);
        }
    }

    /// The finished text.
    pub(crate) fn into_text(self) -> String {
        self.text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_cumulative_and_end_in_the_count() {
        let metrics = Metrics::default();
        for elapsed_ms in [1, 4, 4, 60_000] {
            let elapsed = Duration::from_millis(elapsed_ms);
            metrics.request_ended(&Method::GET, Some("/v1/capsules/{id}"), StatusCode::OK, elapsed);
        }
        let mut page = Page::default();
        metrics.write(&mut page);
        let text = page.into_text();
        let labels = "method=\"GET\",route=\"/v1/capsules/{id}\",status=\"200\"";
        for (bound, count) in [("0.002", 1), ("0.005", 3), ("30", 3), ("+Inf", 4)] {
            let line =
                format!("wrenn_http_request_duration_seconds_bucket{{{labels},le=\"{bound}\"}} {count}\n");
            assert!(text.contains(&line), "{line} is missing in\n{text}");
        }
    }
}
