//! A resumption: a paused machine goes on from its memory, or a machine is booted from its own disk.
//!
//! ```text
//!   from memory   check ─ slot ─ restore in place ─▶ [MayHaveRun] ─ run ─ init ─▶ Running
//!                    any failure: still paused ◀──────┘  │ the vmm dies: Stopped, the memory is lost
//!   from disk     slot ─ (drop the memory) ─ boot ─ greet ─ init ─▶ Running
//!                                              └ any failure: Stopped
//! ```
//!
//! Nothing is copied: the machine uses the memory file in which it was saved. From the moment in which its virtual
//! CPUs may run, that file is the memory of a machine that went on, and fits no device state. So this is written down
//! durably before they run.

use std::time::Instant;

use wrenn_base::Chain;

use super::{
    Done, Host, Overtaken,
    guest::{Growth, Life},
    release::Told,
    unless_dead,
};
use crate::{
    machines::{
        backend::{Discard, StartError},
        fault_points::FaultPoint,
        record::{
            CommandError, FailureKind, Keeps, MachineState, Origin, Outcome, Phase, Record, Rest, Vcpus,
        },
    },
    vmm::VmProcess,
};

/// Why a machine whose memory was dropped is stopped.
const DROPPED: &str = "its memory was dropped";
/// Warning for its user: dropped memory held what the guest had not written to its disk yet.
const UNWRITTEN: &str = "its memory was dropped: what was written in the last seconds before the pause may be missing on the disk";

/// What becomes of saved memory.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Memory {
    /// The machine goes on from it, if there is any.
    Use,
    /// It is dropped, and the machine booted.
    Drop,
}

impl Host {
    /// Lets a paused or stopped machine run again.
    pub(in crate::machines) async fn resume(
        &self,
        mut record: Record,
        memory: Memory,
        overtaken: Overtaken,
    ) -> Done {
        let begun = self.clock.now();
        let Some(from) = record.rest() else { return Done::at_rest(record) };
        record.outcome = None;
        record.phase = Phase::Resuming { vcpus: Vcpus::NotStarted, from: from.clone() };
        match (from, memory) {
            (from @ Rest::Paused { .. }, Memory::Use) => {
                match self.load(&mut record, &from, &overtaken).await {
                    Ok(vm) => self.run_on(record, vm, begun, overtaken).await,
                    Err(error) => self.take_back(record, from, error).await,
                }
            }
            (from, _) => match self.prepare_boot(&mut record, &from, &overtaken).await {
                Ok(()) => self.boot_again(record, begun, overtaken).await,
                Err(error) => self.take_back(record, from, error).await,
            },
        }
    }

    /// Loads the machine from what was saved of it; ends with the record that says that it may run now.
    async fn load(
        &self,
        record: &mut Record,
        from: &Rest,
        overtaken: &Overtaken,
    ) -> Result<VmProcess, StartError> {
        let not_written = |error| StartError::step("write the record")(Box::new(error));
        let id = record.id;
        self.save_step(record).await.map_err(not_written)?;
        let manifest = self.backend.saved(id).await?;
        self.backend.check_restore(&manifest).map_err(StartError::Incompatible)?;
        give_way(overtaken)?;
        // Slot and process are written down with the next record: a crash before that leaves what nobody knows, and the
        // next agent removes that.
        let slot = self.backend.take_slot(id).await?;
        record.resources.slot = Some(slot);
        let vm = self.backend.restore(id, &record.spec, slot).await?;
        record.resources.vm = Some(vm.record().clone());
        self.fault_points.pass(FaultPoint::ResumeLoaded, id).await;
        give_way(overtaken)?;
        record.phase = Phase::Resuming { vcpus: Vcpus::MayHaveRun, from: from.clone() };
        self.save(record, true).await.map_err(not_written)?;
        self.fault_points.pass(FaultPoint::ResumeCommitted, id).await;
        Ok(vm)
    }

    /// Lets a loaded machine run, whose record says that it may.
    pub(super) async fn run_on(
        &self,
        mut record: Record,
        vm: VmProcess,
        begun: Instant,
        overtaken: Overtaken,
    ) -> Done {
        let id = record.id;
        let ran =
            async { vm.run().await.map_err(|error| StartError::step("let the machine go on")(error.into())) };
        if let Err(error) = unless_dead(&vm, StartError::Exited, ran).await {
            return self.lose(record, error).await;
        }
        self.fault_points.pass(FaultPoint::ResumeRunning, id).await;
        // Only a removal may break this off: for everything else the guest must have been told that time has passed.
        let answered = tokio::select! {
            answered = unless_dead(&vm, StartError::Exited, self.init(&record, Life::Restored, Growth::None)) => answered,
            () = overtaken.by_destroy.cancelled() => Err(StartError::Overtaken),
        };
        match answered {
            Ok(warnings) => {
                record.warnings = warnings;
                record.outcome = Some(self.started(&record, begun, Origin::Restored));
                self.settle_resumed(&mut record, begun, Origin::Restored).await;
            }
            Err(StartError::Overtaken) => {
                self.tell_overtaken(&mut record, Phase::Running);
                self.open(id);
                return Done::running(record, vm);
            }
            Err(error @ StartError::Exited(_)) => return self.lose(record, error).await,
            // It runs, whatever its guest says.
            Err(error) => {
                tracing::warn!(sandbox_id = %id, error = %Chain(&error), "guest does not answer after a resumption");
                let (kind, message) = (FailureKind::Guest, error.to_string());
                self.settle_failed(&mut record, Phase::Running, kind, message).await;
                self.open(id);
            }
        }
        // The record says that it runs, so nobody looks for the device state any more.
        if let Err(error) = self.backend.discard(id, Discard::State).await {
            tracing::warn!(sandbox_id = %id, error = %Chain(&error), "device state is left over");
        }
        Done::running(record, vm)
    }

    /// Takes what a boot from the disk needs, then drops the memory, if there is any: then there is no way back to it.
    async fn prepare_boot(
        &self,
        record: &mut Record,
        from: &Rest,
        overtaken: &Overtaken,
    ) -> Result<(), StartError> {
        let not_written = |error| StartError::step("write the record")(Box::new(error));
        let id = record.id;
        self.save_step(record).await.map_err(not_written)?;
        record.resources.slot = Some(self.backend.take_slot(id).await?);
        give_way(overtaken)?;
        if matches!(from, Rest::Paused { .. }) {
            let from = Rest::Stopped { reason: DROPPED.into() };
            record.phase = Phase::Resuming { vcpus: Vcpus::NotStarted, from };
            self.save(record, true).await.map_err(not_written)?;
            self.retry_forever(id, || self.backend.discard(id, Discard::Memory)).await;
        }
        Ok(())
    }

    /// Boots the machine from its own disk, which is kept whatever happens.
    async fn boot_again(&self, mut record: Record, begun: Instant, overtaken: Overtaken) -> Done {
        match self.boot_from_disk(&mut record, &overtaken).await {
            Ok(vm) => {
                record.outcome = Some(self.started(&record, begun, Origin::Booted));
                self.settle_resumed(&mut record, begun, Origin::Booted).await;
                Done::running(record, vm)
            }
            Err(error) => self.lose(record, error).await,
        }
    }

    async fn boot_from_disk(
        &self,
        record: &mut Record,
        overtaken: &Overtaken,
    ) -> Result<VmProcess, StartError> {
        let id = record.id;
        let slot = record.resources.slot.ok_or_else(|| StartError::Spec("a boot without a slot".into()))?;
        give_way(overtaken)?;
        let vm = self.backend.boot(id, &record.spec, slot).await?;
        record.resources.vm = Some(vm.record().clone());
        let saved = self.save_step(record).await;
        saved.map_err(|error| StartError::step("write the record")(error.into()))?;
        self.fault_points.pass(FaultPoint::ResumeRunning, id).await;
        let conversation = async {
            record.guest = self.greet(id).await?;
            record.warnings = self.init(record, Life::Booted, Growth::None).await?;
            if memory_was_dropped(record) {
                record.warnings.push(UNWRITTEN.to_owned());
            }
            Ok::<_, StartError>(())
        };
        tokio::select! {
            answered = unless_dead(&vm, StartError::Exited, conversation) => answered?,
            () = overtaken.by_any.cancelled() => return Err(StartError::Overtaken),
        }
        Ok(vm)
    }

    async fn settle_resumed(&self, record: &mut Record, begun: Instant, origin: Origin) {
        record.phase = Phase::Running;
        self.settle(record).await;
        let (id, generation) = (record.id, record.generation);
        tracing::info!(sandbox_id = %id, generation, ?origin, resume_ms = self.elapsed_ms(begun), "machine runs again");
        self.open(id);
        self.tell(record);
    }

    /// Undoes a resumption before the virtual CPUs ran: the machine is what it was before.
    pub(super) async fn take_back(&self, mut record: Record, from: Rest, error: StartError) -> Done {
        let id = record.id;
        tracing::warn!(sandbox_id = %id, error = %Chain(&error), "machine could not be resumed");
        // What is told must be true of what may be on the disk by now.
        let from = match record.phase.clone() {
            Phase::Resuming { vcpus: Vcpus::NotStarted, from } => from,
            _ => from,
        };
        self.retry_forever(id, || self.backend.kill(id, &record.resources)).await;
        if matches!(from, Rest::Stopped { .. }) {
            self.retry_forever(id, || self.backend.discard(id, Discard::Memory)).await;
        }
        self.retry_forever(id, || self.backend.release_slot(id, &record.resources)).await;
        record.resources = Default::default();
        self.settle_failed(&mut record, from.into(), error.kind(), error.to_string()).await;
        Done::at_rest(record)
    }

    /// Gives up a machine that cannot go on: its disk is kept.
    pub(super) async fn lose(&self, mut record: Record, error: StartError) -> Done {
        let id = record.id;
        if let StartError::Exited(exit) = &error {
            tracing::warn!(sandbox_id = %id, console = exit.console, log = exit.log, "last words of the machine");
        }
        tracing::warn!(sandbox_id = %id, error = %Chain(&error), "machine could not be resumed, only its disk is kept");
        let (kind, message) = (error.kind(), error.to_string());
        record.phase = Phase::Releasing { reason: message.clone(), keeps: Keeps::Disk };
        record.outcome = Some(Outcome::Failed(CommandError { kind, message, state: MachineState::Stopped }));
        self.release_to_rest(record, Told::Outcome).await
    }
}

/// Returns true if the machine is being booted because its memory was dropped.
fn memory_was_dropped(record: &Record) -> bool {
    matches!(&record.phase, Phase::Resuming { from: Rest::Stopped { reason }, .. } if reason == DROPPED)
}

fn give_way(overtaken: &Overtaken) -> Result<(), StartError> {
    if overtaken.by_any.is_cancelled() { Err(StartError::Overtaken) } else { Ok(()) }
}
