//! A start: a machine that was not there before. Whatever fails, nothing of it is left but its record.
//!
//! A template with memory is restored, unless its memory does not fit this host: then the machine is booted from the template's disk,
//! and a warning says why. One without memory is booted; but if a machine of the same kind was booted here
//! before, its memory was kept, and that is restored instead. Should that fail, it is thrown away, and the machine is
//! booted after all.

use std::{sync::Arc, time::Instant};

use wrenn_base::Chain;

use super::{
    Done, Host, Overtaken,
    guest::{Growth, Life},
    release::Told,
    unless_dead,
};
use crate::{
    machines::{
        backend::{Discard, SaveError, StartError},
        fault_points::FaultPoint,
        leases::Artifact,
        library::{Admitted, BootPlan, Made, Parts, Template},
        manifest::{Kind, Manifest},
        record::{CommandError, Keeps, MachineState, Origin, Outcome, Phase, Record},
    },
    monitoring::StartPhase,
    net::SlotNumber,
    vmm::VmProcess,
};

/// A start in progress.
struct Start<'a> {
    host: &'a Host,
    record: &'a mut Record,
    overtaken: &'a Overtaken,
}

impl Start<'_> {
    async fn run(&mut self) -> Result<(VmProcess, Origin), StartError> {
        let id = self.record.id;
        let Admitted { template, boot, useless_memory } =
            self.host.timed(StartPhase::Template, self.host.admit(self.record, self.overtaken)).await?;
        if let Template::Made(made) = &template {
            // A disk does not shrink.
            let spec = &mut self.record.spec;
            spec.disk_size_mb = spec.disk_size_mb.max(made.manifest.disk_size_mb);
        }
        self.give_way()?;
        let slot = self.host.timed(StartPhase::Network, self.host.backend.take_slot(id)).await?;
        self.record.resources.slot = Some(slot);
        self.save_step().await?;
        self.host.fault_points.pass(FaultPoint::StartSlotTaken, id).await;
        let started = self.make(template, boot, slot).await?;
        if let Some(why) = useless_memory {
            let id = self.record.id;
            tracing::info!(sandbox_id = %id, %why, "booted from the disk of a template whose memory does not fit");
            self.record.warnings.push(format!(
                "it was booted from the disk of its template, as the memory of the template cannot be used here: {why}"
            ));
        }
        Ok(started)
    }

    async fn make(
        &mut self,
        template: Template,
        boot: BootPlan,
        slot: SlotNumber,
    ) -> Result<(VmProcess, Origin), StartError> {
        let id = self.record.id;
        match (template, boot) {
            (Template::Made(made), BootPlan::RestoreTemplate) => {
                Ok((self.restore(&made, slot).await?, Origin::Restored))
            }
            (template, BootPlan::Restore(made)) => match self.restore(&made, slot).await {
                Ok(vm) => Ok((vm, Origin::Restored)),
                Err(error @ (StartError::Overtaken | StartError::NoSpace { .. })) => Err(error),
                Err(error) => {
                    tracing::warn!(sandbox_id = %id, error = %Chain(&error), "dropping a boot snapshot that is of no use");
                    self.host.release_process_and_files(self.record).await;
                    self.record.resources.vm = None;
                    self.host.backend.drop_boot_snapshot(made).await;
                    Ok((self.boot(&template, BootPlan::Boot, slot).await?, Origin::Booted))
                }
            },
            (template, plan) => Ok((self.boot(&template, plan, slot).await?, Origin::Booted)),
        }
    }

    /// Makes the machine from saved memory.
    async fn restore(&mut self, made: &Made, slot: SlotNumber) -> Result<VmProcess, StartError> {
        let (host, id) = (self.host, self.record.id);
        self.give_way()?;
        host.timed(StartPhase::Files, host.backend.clone_saved(id, made)).await?;
        host.fault_points.pass(FaultPoint::StartCloned, id).await;
        self.give_way()?;
        let vm = host.timed(StartPhase::Vmm, host.backend.restore(id, &self.record.spec, slot)).await?;
        self.record.resources.vm = Some(vm.record().clone());
        self.record.guest = made.manifest.guest.clone();
        self.save_step().await?;
        host.fault_points.pass(FaultPoint::StartRestored, id).await;
        self.give_way()?;
        let growth = self.grow(&vm, made.manifest.disk_size_mb).await?;
        let ran = async { vm.run().await.map_err(|error| StartError::step("run the machine")(error.into())) };
        unless_dead(&vm, StartError::Exited, ran).await?;
        host.fault_points.pass(FaultPoint::StartRunning, id).await;
        let init = self.converse(&vm, host.init(self.record, Life::Restored, growth));
        self.record.warnings = host.timed(StartPhase::Guest, init).await?;
        // The next pause would remove it, too.
        if let Err(error) = host.backend.discard(id, Discard::State).await {
            tracing::warn!(sandbox_id = %id, error = %Chain(&error), "device state is left over");
        }
        Ok(vm)
    }

    /// Makes the machine from a disk.
    async fn boot(
        &mut self,
        template: &Template,
        plan: BootPlan,
        slot: SlotNumber,
    ) -> Result<VmProcess, StartError> {
        let (host, id) = (self.host, self.record.id);
        self.give_way()?;
        let disk_size_mb = match &plan {
            BootPlan::Keep { disk_size_mb, .. } => *disk_size_mb,
            BootPlan::Boot | BootPlan::RestoreTemplate | BootPlan::Restore(_) => {
                self.record.spec.disk_size_mb
            }
        };
        host.timed(StartPhase::Files, host.backend.make_disk(id, template, disk_size_mb)).await?;
        host.fault_points.pass(FaultPoint::StartCloned, id).await;
        self.give_way()?;
        let vm = host.timed(StartPhase::Vmm, host.backend.boot(id, &self.record.spec, slot)).await?;
        self.record.resources.vm = Some(vm.record().clone());
        self.save_step().await?;
        self.record.guest = host.timed(StartPhase::Guest, self.converse(&vm, host.greet(id))).await?;
        if let BootPlan::Keep { artifact, .. } = plan {
            self.keep_boot_snapshot(&vm, artifact, disk_size_mb).await?;
        }
        let growth = self.grow(&vm, disk_size_mb).await?;
        self.record.warnings = self.converse(&vm, host.init(self.record, Life::Booted, growth)).await?;
        Ok(vm)
    }

    /// Tells the VMM that the disk is larger than `now_mb`, if it is to be.
    async fn grow(&self, vm: &VmProcess, now_mb: u32) -> Result<Growth, StartError> {
        let wanted_mb = self.record.spec.disk_size_mb;
        if wanted_mb <= now_mb {
            return Ok(Growth::None);
        }
        let grown = async {
            let grown = vm.resize_disk(u64::from(wanted_mb) << 20).await;
            grown.map_err(|error| StartError::step("make the disk larger")(error.into()))
        };
        unless_dead(vm, StartError::Exited, grown).await?;
        Ok(Growth::ToMb(wanted_mb))
    }

    /// Keeps the memory of the machine for the next one of its kind. Failing in that does no harm, unless the machine
    /// does not go on afterwards.
    async fn keep_boot_snapshot(
        &self,
        vm: &VmProcess,
        artifact: Artifact,
        disk_size_mb: u32,
    ) -> Result<(), StartError> {
        let (host, id) = (self.host, self.record.id);
        let draft = match host.backend.begin(&artifact).await {
            Ok(draft) => draft,
            // A start at the same time makes it.
            Err(SaveError::Taken) => return Ok(()),
            Err(error) => {
                tracing::warn!(sandbox_id = %id, %artifact, error = %Chain(&error), "no boot snapshot");
                return Ok(());
            }
        };
        let filled = async {
            host.backend.suspend_into(&draft, id, vm).await?;
            host.backend.clone_files(&draft, id, Parts::DiskAndMemory).await
        };
        let filled = unless_dead(vm, SaveError::Exited, filled).await;
        let ran = async { vm.run().await.map_err(|error| StartError::step("run the machine")(error.into())) };
        let ran = unless_dead(vm, StartError::Exited, ran).await;
        let manifest = Manifest { disk_size_mb, ..host.manifest_of(self.record, Kind::Snapshot, None) };
        let (backend, killed) = (Arc::clone(&host.backend), host.killed.clone());
        // Nobody has to wait until the disk has it.
        host.works.spawn_local(async move {
            let finishing = async {
                let finished = match filled {
                    Ok(()) => backend.finish(&draft, &manifest).await.map(drop),
                    Err(error) => Err(error),
                };
                let Err(error) = finished else {
                    return tracing::info!(%artifact, "boot snapshot is made");
                };
                tracing::warn!(%artifact, error = %Chain(&error), "no boot snapshot");
                if let Err(error) = backend.discard_draft(&artifact).await {
                    // The collector tries again.
                    tracing::warn!(%artifact, error = %Chain(&error), "half a boot snapshot is left");
                }
            };
            killed.run_until_cancelled(finishing).await;
        });
        ran
    }

    /// Runs a conversation with the guest, until the machine dies or a later command comes.
    async fn converse<T>(
        &self,
        vm: &VmProcess,
        conversation: impl Future<Output = Result<T, StartError>>,
    ) -> Result<T, StartError> {
        tokio::select! {
            result = unless_dead(vm, StartError::Exited, conversation) => result,
            () = self.overtaken.by_any.cancelled() => Err(StartError::Overtaken),
        }
    }

    fn give_way(&self) -> Result<(), StartError> {
        if self.overtaken.by_any.is_cancelled() { Err(StartError::Overtaken) } else { Ok(()) }
    }

    async fn save_step(&self) -> Result<(), StartError> {
        let saved = self.host.save_step(self.record).await;
        saved.map_err(|error| StartError::step("write the record")(error.into()))
    }
}

impl Host {
    /// Starts a machine; if that fails, nothing of it is left but its record.
    pub(in crate::machines) async fn start(&self, mut record: Record, overtaken: Overtaken) -> Done {
        let (id, generation) = (record.id, record.generation);
        let begun = self.clock.now();
        let (image, template_id) = (&record.spec.image, &record.spec.template_id);
        tracing::info!(sandbox_id = %id, generation, image, template_id, "starting machine");
        let error = match self.start_and_settle(&mut record, begun, &overtaken).await {
            Ok(vm) => return Done::running(record, vm),
            Err(error) => error,
        };
        if let StartError::Exited(exit) = &error {
            tracing::warn!(sandbox_id = %id, console = exit.console, log = exit.log, "last words of the machine");
        }
        tracing::warn!(sandbox_id = %id, generation, error = %Chain(&error), "machine could not be started");
        let (kind, message) = (error.kind(), error.to_string());
        record.phase = Phase::Releasing { reason: message.clone(), keeps: Keeps::Nothing };
        record.outcome = Some(Outcome::Failed(CommandError { kind, message, state: MachineState::Exited }));
        self.release_to_rest(record, Told::Outcome).await
    }

    async fn start_and_settle(
        &self,
        record: &mut Record,
        begun: Instant,
        overtaken: &Overtaken,
    ) -> Result<VmProcess, StartError> {
        let not_written = |error| StartError::step("write the record")(Box::new(error));
        self.save(record, true).await.map_err(not_written)?;
        let (vm, origin) = Start { host: self, record, overtaken }.run().await?;
        record.phase = Phase::Running;
        record.outcome = Some(self.started(record, begun, origin));
        self.save_patiently(record).await.map_err(not_written)?;
        let (id, generation) = (record.id, record.generation);
        tracing::info!(sandbox_id = %id, generation, ?origin, boot_ms = self.elapsed_ms(begun), "machine is running");
        self.open(id);
        self.tell(record);
        Ok(vm)
    }
}
