//! Traces from a request to the guest, as a collector gets them.

use std::{collections::BTreeMap, sync::Arc, time::Duration};

use anyhow::{Context, ensure};
use opentelemetry_proto::tonic::{
    collector::trace::v1::{
        ExportTraceServiceRequest, ExportTraceServiceResponse,
        trace_service_server::{TraceService, TraceServiceServer},
    },
    common::v1::{KeyValue, any_value},
};
use parking_lot::Mutex;
use tokio::{net::TcpListener, task::JoinHandle};
use tokio_stream::wrappers::TcpListenerStream;
use tonic::{Request, Response, Status, transport::Server};

use crate::{installation::Installation, wait::until};

/// Longest time until spans arrive that were ended.
const ARRIVED: Duration = Duration::from_secs(20);

/// Span as it was exported.
#[derive(Debug, Clone)]
struct Span {
    service: String,
    name: String,
    trace: Vec<u8>,
    id: Vec<u8>,
    parent: Vec<u8>,
    attributes: BTreeMap<String, String>,
}

#[derive(Clone, Default)]
struct Spans(Arc<Mutex<Vec<Span>>>);

fn attributes(pairs: Vec<KeyValue>) -> BTreeMap<String, String> {
    let pairs = pairs.into_iter().filter_map(|pair| match pair.value?.value? {
        any_value::Value::StringValue(text) => Some((pair.key, text)),
        _ => None,
    });
    pairs.collect()
}

#[tonic::async_trait]
impl TraceService for Spans {
    async fn export(
        &self,
        request: Request<ExportTraceServiceRequest>,
    ) -> Result<Response<ExportTraceServiceResponse>, Status> {
        for exported in request.into_inner().resource_spans {
            let resource = attributes(exported.resource.unwrap_or_default().attributes);
            let service = resource.get("service.name").cloned().unwrap_or_default();
            for span in exported.scope_spans.into_iter().flat_map(|scope| scope.spans) {
                self.0.lock().push(Span {
                    service: service.clone(),
                    name: span.name,
                    trace: span.trace_id,
                    id: span.span_id,
                    parent: span.parent_span_id,
                    attributes: attributes(span.attributes),
                });
            }
        }
        Ok(Response::new(ExportTraceServiceResponse::default()))
    }
}

/// Collector of its own, which ends with this value.
struct Collector {
    spans: Spans,
    addr: String,
    task: JoinHandle<()>,
}

impl Collector {
    async fn start() -> anyhow::Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let addr = format!("http://{}", listener.local_addr()?);
        let spans = Spans::default();
        let service = TraceServiceServer::new(spans.clone());
        let task = tokio::spawn(async move {
            let served = Server::builder().add_service(service);
            // The test finds no spans if that fails.
            let _ = served.serve_with_incoming(TcpListenerStream::new(listener)).await;
        });
        Ok(Self { spans, addr, task })
    }

    /// Returns a span that `matches`.
    fn find(&self, matches: impl Fn(&Span) -> bool) -> Option<Span> {
        self.spans.0.lock().iter().find(|span| matches(span)).cloned()
    }
}

impl Drop for Collector {
    fn drop(&mut self) {
        self.task.abort();
    }
}

pub(crate) async fn a_trace_goes_from_the_request_to_the_guest() -> anyhow::Result<()> {
    let collector = Collector::start().await?;
    let settings = vec![
        ("OTEL_EXPORTER_OTLP_ENDPOINT", collector.addr.clone()),
        ("OTEL_BSP_SCHEDULE_DELAY", "100".to_owned()),
    ];
    let installation = Installation::start_with_settings(|_| settings).await?;
    let traced = traced(&installation, &collector).await;
    installation.end().await.and(traced)
}

async fn traced(installation: &Installation, collector: &Collector) -> anyhow::Result<()> {
    let capsule = installation.capsule().await?;
    capsule.shell("true").await?;
    capsule.pause().await?;
    let requests = [
        (format!("{}/exec", capsule.path()), vec!["tunnel", "guest"]),
        ("/v1/capsules".to_owned(), vec!["command"]),
        (format!("{}/pause", capsule.path()), vec!["command"]),
    ];
    for (path, names) in requests {
        let is_request = |span: &Span| {
            span.name == "request"
                && span.attributes.get("path") == Some(&path)
                && span.attributes.get("method").is_some_and(|method| method == "POST")
        };
        let request =
            until("the span of a request arrives", ARRIVED, async || Ok(collector.find(is_request)));
        let request = request.await.with_context(|| path.clone())?;
        ensure!(request.service == "wrenn-server", "{request:?}");
        let mut parent = request.id;
        for name in names {
            let is_next = |span: &Span| {
                (span.name.as_str(), &span.trace, &span.parent) == (name, &request.trace, &parent)
            };
            let next = until("the span that follows arrives", ARRIVED, async || Ok(collector.find(is_next)));
            let next =
                next.await.with_context(|| format!("{name} of {path}: {:?}", collector.spans.0.lock()))?;
            ensure!(next.service == "wrenn-agent", "{next:?}");
            parent = next.id;
        }
    }
    capsule.delete().await
}
