//! Logs and traces of a server or an agent.
//!
//! ```text
//!   spans, events ─┬─▶ standard output, which `up` copies into a file of bounded size; RUST_LOG chooses what
//!                  └─▶ OTLP over gRPC, if OTEL_EXPORTER_OTLP_ENDPOINT names a collector
//! ```
//!
//! A collector that does not answer costs spans, and nothing else: they wait in a bounded queue and are dropped.

use std::{
    env,
    io::{self, IsTerminal as _},
};

use anyhow::Context as _;
use opentelemetry::trace::TracerProvider as _;
use opentelemetry_otlp::{SpanExporter, WithTonicConfig as _, tonic_types::transport::ClientTlsConfig};
use opentelemetry_sdk::{Resource, trace::SdkTracerProvider};
use tracing_subscriber::{
    EnvFilter, Layer as _,
    filter::{LevelFilter, Targets},
    layer::SubscriberExt as _,
    util::SubscriberInitExt as _,
};
use wrenn_base::blocking;

/// Variables that name a collector, the one of higher rank first.
const ENDPOINTS: [&str; 2] = ["OTEL_EXPORTER_OTLP_TRACES_ENDPOINT", "OTEL_EXPORTER_OTLP_ENDPOINT"];
/// Targets whose spans are exported: our own crates. Those of the exporter's connection would never end.
const EXPORTED: &str = "wrenn";

/// Logs and traces of this process.
#[derive(Debug)]
pub(crate) struct Telemetry {
    traces: Option<SdkTracerProvider>,
}

impl Telemetry {
    /// Starts them. Must be called on the runtime of the process, once.
    ///
    /// # Errors
    /// The collector's address is not valid.
    pub(crate) fn start(service: &'static str) -> anyhow::Result<Self> {
        let filter = EnvFilter::try_from_default_env().unwrap_or_else(|_| EnvFilter::new("info"));
        let log = tracing_subscriber::fmt::layer().with_ansi(io::stdout().is_terminal()).with_filter(filter);
        let traces = provider(service)?;
        let exported = traces.as_ref().map(|provider| {
            let layer = tracing_opentelemetry::layer().with_tracer(provider.tracer(service));
            layer.with_filter(Targets::new().with_target(EXPORTED, LevelFilter::INFO))
        });
        tracing_subscriber::registry().with(log).with(exported).init();
        Ok(Self { traces })
    }

    /// Exports what waits, for some seconds at most.
    pub(crate) async fn end(self) {
        let Some(traces) = self.traces else { return };
        // The exporter's connection needs this thread meanwhile.
        let ended = blocking(move || traces.shutdown().map_err(io::Error::other)).await;
        if let Err(error) = ended {
            tracing::warn!(%error, "spans were not exported");
        }
    }
}

fn provider(service: &'static str) -> anyhow::Result<Option<SdkTracerProvider>> {
    let Some((name, endpoint)) = ENDPOINTS.into_iter().find_map(|name| {
        let value = env::var(name).ok().filter(|value| !value.is_empty())?;
        Some((name, value))
    }) else {
        return Ok(None);
    };
    let mut exporter = SpanExporter::builder().with_tonic();
    if endpoint.starts_with("https:") {
        exporter = exporter.with_tls_config(ClientTlsConfig::new().with_enabled_roots());
    }
    let exporter =
        exporter.build().with_context(|| format!("{name}: {endpoint} is not the address of a collector"))?;
    let mut resource = Resource::builder();
    if env::var_os("OTEL_SERVICE_NAME").is_none() {
        resource = resource.with_service_name(service);
    }
    let provider = SdkTracerProvider::builder().with_batch_exporter(exporter).with_resource(resource.build());
    Ok(Some(provider.build()))
}
