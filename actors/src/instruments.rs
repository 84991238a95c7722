//! Histograms and counters of what the control plane does, for Prometheus.
//!
//! Actors write them as things happen; whoever serves `/metrics` registers them once ([`Instruments::register`]). Labels come
//! from closed sets, so their memory is bounded. Numbers that can be read at any time, such as hosts by status, are not kept
//! here: the page reads them ([`Metrics`](crate::Metrics)).

use std::time::Duration;

use prometheus_client::{
    metrics::{counter::Counter, family::Family, histogram::Histogram},
    registry::Registry,
};
use wrenn_domain::{
    audit::{AuditOutcome, AuditStatus},
    build::StepEnd,
    lifecycle::Operation,
};

/// Upper bounds in seconds, from a warm pause to a build's largest snapshot.
const OPERATION_SEC: [f64; 14] =
    [0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 60.0, 300.0];
/// Upper bounds in seconds of a build's step.
const STEP_SEC: [f64; 10] = [0.1, 0.5, 1.0, 5.0, 15.0, 30.0, 60.0, 300.0, 900.0, 3600.0];

type Label = (&'static str, &'static str);
type Histograms<const N: usize> = Family<[Label; N], Histogram, fn() -> Histogram>;

fn of_operations() -> Histogram {
    Histogram::new(OPERATION_SEC)
}

fn of_steps() -> Histogram {
    Histogram::new(STEP_SEC)
}

/// Histograms and counters; clones write into the same ones.
#[derive(Debug, Clone)]
pub(crate) struct Instruments {
    operations: Histograms<2>,
    placements: Histograms<1>,
    steps: Histograms<1>,
    cached_steps: Counter,
    tunnels: Family<[Label; 1], Counter>,
}

impl Default for Instruments {
    fn default() -> Self {
        Self {
            operations: Family::new_with_constructor(of_operations),
            placements: Family::new_with_constructor(of_operations),
            steps: Family::new_with_constructor(of_steps),
            cached_steps: Counter::default(),
            tunnels: Family::default(),
        }
    }
}

impl Instruments {
    /// Notes that an operation on a sandbox has settled.
    pub(crate) fn operation_settled(&self, operation: Operation, outcome: &AuditOutcome, took: Duration) {
        let labels = [("operation", operation.as_str()), ("outcome", outcome_label(outcome))];
        self.operations.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Notes that a new sandbox was placed and its row committed, or was not.
    pub(crate) fn placed<T, E>(&self, placed: &Result<T, E>, took: Duration) {
        let labels = [("outcome", if placed.is_ok() { "succeeded" } else { "refused" })];
        self.placements.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Notes that a step of a build has ended.
    pub(crate) fn step_ended(&self, end: &StepEnd) {
        let labels = [("outcome", if end.ok { "succeeded" } else { "failed" })];
        self.steps.get_or_create(&labels).observe(Duration::from_millis(end.elapsed_ms).as_secs_f64());
    }

    /// Notes that the disk after a step was known, so the step was not run.
    pub(crate) fn step_cached(&self) {
        self.cached_steps.inc();
    }

    /// Notes that an agent has opened a tunnel, or that none was opened.
    pub(crate) fn tunnel_opened<T, E>(&self, opened: &Result<T, E>) {
        let labels = [("outcome", if opened.is_ok() { "succeeded" } else { "failed" })];
        self.tunnels.get_or_create(&labels).inc();
    }

    /// Registers all of them.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "capsule_operation_duration_seconds",
            "Operations on capsules from their commitment to their end, by kind and outcome; starting includes the \
             host's part of a creation",
            self.operations.clone(),
        );
        registry.register(
            "capsule_placement_duration_seconds",
            "Creations of capsules from the choice of a host to the committed row, by outcome",
            self.placements.clone(),
        );
        registry.register(
            "build_step_duration_seconds",
            "Steps of builds that were run, by outcome",
            self.steps.clone(),
        );
        registry.register(
            "build_steps_cached",
            "Steps of builds that were not run, because the disk after them was kept",
            self.cached_steps.clone(),
        );
        registry.register(
            "tunnels",
            "Tunnels into capsules that were asked for, by outcome",
            self.tunnels.clone(),
        );
    }
}

fn outcome_label(outcome: &AuditOutcome) -> &'static str {
    match outcome.status {
        AuditStatus::Succeeded => "succeeded",
        _ => "failed",
    }
}
