//! Measurements of simulated machines: the figures that a test gives them.

use std::{io, sync::Arc};

use super::{backend::SimBackend, world::SimWorld};
use crate::{
    metrics::{Depth, Figures, Meter, MeterSource},
    vmm::VmRecord,
};

/// Meter of one simulated machine.
struct SimMeter {
    vm: VmRecord,
    world: Arc<SimWorld>,
}

impl Meter for SimMeter {
    fn read(&mut self, _: Depth) -> io::Result<Figures> {
        self.world.figures(&self.vm).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl MeterSource for SimBackend {
    fn measurable(&self) -> Vec<VmRecord> {
        self.world.inner.lock().vms.values().map(|vm| vm.process.record().clone()).collect()
    }

    fn open_meter(&self, vm: &VmRecord) -> io::Result<Box<dyn Meter>> {
        Ok(Box::new(SimMeter { vm: vm.clone(), world: self.world.clone() }))
    }
}
