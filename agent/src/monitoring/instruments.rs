//! Histograms of the work on machines, written as it ends.

use std::time::Duration;

use prometheus_client::{
    metrics::{family::Family, histogram::Histogram},
    registry::Registry,
};

use crate::machines::fence::CommandKind;

/// Upper bounds in seconds, from the clone of a disk to an emulated boot on a busy host.
const SECONDS: [f64; 15] =
    [0.001, 0.002, 0.005, 0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 30.0, 120.0];

type Label = (&'static str, &'static str);

fn histogram() -> Histogram {
    Histogram::new(SECONDS)
}

/// Phase of the start of a machine.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum StartPhase {
    /// The template is found, or fetched from another host.
    Template,
    /// A network is taken from the pool.
    Network,
    /// Disk, or disk and memory, are cloned.
    Files,
    /// The VMM is started, and has loaded the state if there is one.
    Vmm,
    /// The guest answers and is set up.
    Guest,
}

impl StartPhase {
    const fn as_str(self) -> &'static str {
        match self {
            Self::Template => "template",
            Self::Network => "network",
            Self::Files => "files",
            Self::Vmm => "vmm",
            Self::Guest => "guest",
        }
    }
}

/// Histograms; clones write into the same ones.
#[derive(Debug, Clone)]
pub struct Instruments {
    commands: Family<[Label; 2], Histogram, fn() -> Histogram>,
    phases: Family<[Label; 1], Histogram, fn() -> Histogram>,
}

impl Default for Instruments {
    fn default() -> Self {
        Self {
            commands: Family::new_with_constructor(histogram),
            phases: Family::new_with_constructor(histogram),
        }
    }
}

impl Instruments {
    /// Notes that a command was carried out; `succeeded` is false if it failed or was overtaken.
    pub(crate) fn command_ended(&self, command: CommandKind, succeeded: bool, took: Duration) {
        let outcome = if succeeded { "succeeded" } else { "failed" };
        let labels = [("command", command.as_str()), ("outcome", outcome)];
        self.commands.get_or_create(&labels).observe(took.as_secs_f64());
    }

    /// Notes that a phase of a start has ended, whatever came of it.
    pub(crate) fn phase_ended(&self, phase: StartPhase, took: Duration) {
        self.phases.get_or_create(&[("phase", phase.as_str())]).observe(took.as_secs_f64());
    }

    /// Registers all of them.
    pub(crate) fn register(&self, registry: &mut Registry) {
        registry.register(
            "machine_command_duration_seconds",
            "Commands on machines from their acceptance to their outcome, by kind and outcome",
            self.commands.clone(),
        );
        registry.register(
            "machine_start_phase_duration_seconds",
            "Phases of the starts of machines: template, network, files, vmm, guest",
            self.phases.clone(),
        );
    }
}
