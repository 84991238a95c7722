//! The page: what the instruments have counted, and what is read at the moment.

use std::{fmt, io, path::PathBuf, sync::Arc};

use prometheus_client::{
    metrics::gauge::ConstGauge,
    registry::{Registry, Unit},
};
use wrenn_base::{
    blocking,
    openmetrics::{self, add_gauge, count},
};
use wrenn_proto::agent::MachineState;
use wrenn_supervision::metrics_snapshot;

use super::{Instruments, volume::bytes_by_purpose};
use crate::{
    disk::Volume,
    host_load::{self, MIB},
    machines::board::Board,
};

/// Prefix of every name: the server's names begin with `wrenn` alone.
const PREFIX: &str = "wrenn_agent";
/// Sources of the numbers.
pub(crate) struct Sources {
    kept: Registry,
    board: Board,
    volume: Volume,
}

impl Sources {
    pub(crate) fn new(instruments: &Instruments, board: Board, volume: Volume) -> Arc<Self> {
        let mut kept = Registry::with_prefix(PREFIX);
        instruments.register(&mut kept);
        Arc::new(Self { kept, board, volume })
    }

    /// Returns the text of the page.
    ///
    /// # Errors
    /// A metric cannot be written as text.
    pub(super) async fn page(&self) -> Result<String, fmt::Error> {
        let mut now = Registry::with_prefix(PREFIX);
        self.machines(&mut now);
        self.host(&mut now).await;
        metrics_snapshot().register(&mut now);
        openmetrics::page(&[&self.kept, &now])
    }

    fn machines(&self, registry: &mut Registry) {
        let reports = self.board.reports();
        let states = [
            (MachineState::Starting, "starting"),
            (MachineState::Running, "running"),
            (MachineState::Paused, "paused"),
            (MachineState::Stopped, "stopped"),
            (MachineState::Exited, "exited"),
        ];
        let samples = states.map(|(state, label)| {
            ([("state", label)], count(reports.iter().filter(|report| report.state() == state).count()))
        });
        add_gauge(registry, "machines", None, "Machines by state", samples);
        let busy = count(reports.iter().filter(|report| report.busy).count());
        registry.register("machines_busy", "Machines on which work is in progress", ConstGauge::new(busy));
    }

    async fn host(&self, registry: &mut Registry) {
        let path: PathBuf = self.volume.path().to_owned();
        let volume = self.volume.clone();
        let read = blocking(move || {
            let (total, free) = (volume.capacity_bytes().unwrap_or(0), volume.free_bytes().unwrap_or(0));
            io::Result::Ok((bytes_by_purpose(&path), total, free))
        });
        // Reading fails only by a panic; the other metrics are shown all the same.
        let Ok((purposes, total, free)) = read.await else { return };
        let samples = purposes.map(|(purpose, bytes)| ([("purpose", purpose)], count(bytes)));
        let help = "Allocated bytes on the volume by purpose; clones share blocks, and each counts them";
        add_gauge(registry, "volume_allocated", Some(Unit::Bytes), help, samples);
        let samples = [([("state", "total")], count(total)), ([("state", "available")], count(free))];
        add_gauge(registry, "volume", Some(Unit::Bytes), "Size of the volume, and what is free", samples);

        let (has, left) = (host_load::capacity(total), host_load::load(free));
        registry.register("host_cpus", "Processors of the host", ConstGauge::new(count(has.cpu_cores)));
        let samples = [
            ([("state", "total")], count(has.memory_mb * MIB)),
            ([("state", "available")], count(left.memory_available_mb * MIB)),
        ];
        add_gauge(
            registry,
            "host_memory",
            Some(Unit::Bytes),
            "Memory of the host, and what is free",
            samples,
        );
        let load = ConstGauge::new(left.load_1m);
        registry.register("host_load_1m", "Load average of the host over a minute", load);
    }
}
