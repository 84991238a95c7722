//! The context of a trace, as it crosses processes: the text of W3C's header `traceparent`.
//!
//! ```text
//!   client ─ traceparent ─▶ span of the request ─ traceparent in the command ─▶ span of the work on the host
//! ```
//!
//! Without an exporter no span has a context: texts are empty then, and cost nothing.

use opentelemetry::propagation::{Extractor, Injector, TextMapPropagator as _};
use opentelemetry_sdk::propagation::TraceContextPropagator;
use tracing::Span;
use tracing_opentelemetry::OpenTelemetrySpanExt as _;

/// Name of the header.
pub const TRACEPARENT: &str = "traceparent";

/// The one field that is carried.
struct Carried<'a>(&'a str);

impl Extractor for Carried<'_> {
    fn get(&self, key: &str) -> Option<&str> {
        (key == TRACEPARENT).then_some(self.0)
    }

    fn keys(&self) -> Vec<&str> {
        vec![TRACEPARENT]
    }
}

#[derive(Default)]
struct Carrier(String);

impl Injector for Carrier {
    fn set(&mut self, key: &str, value: String) {
        if key == TRACEPARENT {
            self.0 = value;
        }
    }
}

/// Returns the context of the current span; empty if it is part of no trace.
pub fn current() -> String {
    let mut carrier = Carrier::default();
    TraceContextPropagator::new().inject_context(&Span::current().context(), &mut carrier);
    carrier.0
}

/// Makes a span, which was not entered yet, part of the trace of `traceparent`. A text that is empty or not valid leaves the
/// span as it is.
pub fn continue_from(span: &Span, traceparent: &str) {
    if traceparent.is_empty() {
        return;
    }
    let context = TraceContextPropagator::new().extract(&Carried(traceparent));
    // Without an exporter there is no trace to be part of.
    let _ = span.set_parent(context);
}

#[cfg(test)]
mod tests {
    use opentelemetry::trace::TracerProvider as _;
    use opentelemetry_sdk::trace::SdkTracerProvider;
    use tracing_subscriber::layer::SubscriberExt as _;

    use super::*;

    const PARENT: &str = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

    fn traced<T>(test: impl FnOnce() -> T) -> T {
        let provider = SdkTracerProvider::builder().build();
        let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer("test"));
        tracing::subscriber::with_default(tracing_subscriber::registry().with(layer), test)
    }

    #[test]
    fn a_span_goes_on_in_the_trace_that_it_is_given() {
        traced(|| {
            let span = tracing::info_span!("request");
            continue_from(&span, PARENT);
            let context = span.in_scope(current);
            assert_eq!(context[..36], PARENT[..36], "the same trace: {context}");
            assert_ne!(context, PARENT, "a span of its own");
            assert!(context.ends_with("-01"), "sampled: {context}");
        });
    }

    #[test]
    fn what_is_no_context_begins_a_trace() {
        traced(|| {
            for text in [
                "",
                "x",
                "00-0af7651916cd43dd8448eb211c80319c",
                "00-00000000000000000000000000000000-b7ad6b7169203331-01",
            ] {
                let span = tracing::info_span!("request");
                continue_from(&span, text);
                let context = span.in_scope(current);
                assert!(
                    context.starts_with("00-") && !context.contains("0af7651916cd43dd"),
                    "{text}: {context}"
                );
            }
        });
    }

    #[test]
    fn without_an_exporter_there_is_no_context() {
        let span = tracing::info_span!("request");
        continue_from(&span, PARENT);
        assert_eq!(span.in_scope(current), "");
    }
}
