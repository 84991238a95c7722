//! What one command has started so far, and the signal that ends it.

use anyhow::Context;
use tokio::signal::unix::{Signal, SignalKind, signal};
use wrenn_base::{Clock, Rng};

use super::{Process, ProcessSpec};
use crate::{data::DataFolder, progress};

/// Processes in the order in which they were started; they are stopped in the opposite one, because the later
/// ones need the earlier ones.
#[derive(Debug)]
pub struct ProcessStack {
    processes: Vec<Process>,
    clock: Clock,
    rng: Rng,
}

impl ProcessStack {
    /// Makes an empty one.
    pub fn new(clock: Clock, rng: Rng) -> Self {
        Self { processes: Vec::new(), clock, rng }
    }

    /// Returns the clock by which processes are waited for.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// Starts a process on top of those that run.
    pub fn start(&mut self, data: &DataFolder, spec: ProcessSpec) -> anyhow::Result<&Process> {
        let process = Process::start(data, spec, self.clock.clone(), self.rng.clone())?;
        Ok(self.processes.push_mut(process))
    }

    /// The processes, first started first.
    pub fn iter(&self) -> impl Iterator<Item = &Process> {
        self.processes.iter()
    }

    /// Stops all, the last one first, and returns when all are gone.
    pub async fn stop_all(self) {
        if !self.processes.is_empty() {
            progress::note("Stopping");
        }
        for process in self.processes.into_iter().rev() {
            process.stop().await;
        }
    }
}

/// SIGINT and SIGTERM: the wish that this command ends.
#[derive(Debug)]
pub struct EndSignal {
    interrupt: Signal,
    terminate: Signal,
}

impl EndSignal {
    /// From now on both signals are received here instead of ending the process.
    pub fn listen() -> anyhow::Result<Self> {
        let listen = |kind| signal(kind).context("cannot listen for signals");
        Ok(Self { interrupt: listen(SignalKind::interrupt())?, terminate: listen(SignalKind::terminate())? })
    }

    /// Returns when one of them has come.
    pub async fn received(&mut self) {
        tokio::select! {
            _ = self.interrupt.recv() => {}
            _ = self.terminate.recv() => {}
        }
    }
}
