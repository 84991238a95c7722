//! A pause: memory and device state are kept, and the virtual machine is ended.
//!
//! ```text
//!   Pausing ── suspend ──▶ stopped, device state and manifest durable
//!      ▲          │ fails: runs on                │
//!      └──────────┘                               ▼
//!                        [Paused] ── kill ── told ── release the slot ── sync ── [Paused, whole]
//! ```
//!
//! The durable record is the commit point. Before it the machine can go on; after it the machine is killed, whoever has
//! to do that, and memory and disk are what the device state fits. They reach the disk in the background: until then
//! they would not survive a loss of power, and the record says so.

use wrenn_base::Chain;
use wrenn_proto::ids::SandboxId;

use super::{Done, Host, Overtaken, Running, measure::Measurements, release::Told, unless_dead};
use crate::{
    machines::{
        backend::{Discard, SaveError},
        fault_points::FaultPoint,
        library::Parts,
        manifest::Kind,
        record::{CommandError, Keeps, MachineState, OnDisk, Outcome, Phase, Record, Rest, Saved},
    },
    vmm::VmProcess,
};

impl Host {
    /// Pauses a machine that runs; if that fails, it runs on.
    pub(in crate::machines) async fn pause(
        &self,
        mut record: Record,
        running: Running,
        overtaken: Overtaken,
    ) -> Done {
        let (id, generation) = (record.id, record.generation);
        let begun = self.clock.now();
        let vm = running.vm;
        record.phase = Phase::Pausing;
        record.outcome = None;
        if let Err(error) = self.commit_pause(&mut record, &vm, &overtaken).await {
            return self.go_on(record, vm, error).await;
        }
        self.fault_points.pass(FaultPoint::PauseCommitted, id).await;
        self.retry_forever(id, || self.backend.kill(id, &record.resources)).await;
        record.resources.vm = None;
        self.fault_points.pass(FaultPoint::PauseKilled, id).await;
        tracing::info!(sandbox_id = %id, generation, pause_ms = self.elapsed_ms(begun), "machine is paused");
        self.hand_over_measurements(id, Measurements::Kept).await;
        self.tell(&record);
        self.release_network(&mut record).await;
        Done::at_rest(record)
    }

    async fn commit_pause(
        &self,
        record: &mut Record,
        vm: &VmProcess,
        overtaken: &Overtaken,
    ) -> Result<(), SaveError> {
        let not_written = |error| SaveError::step("write the record")(Box::new(error));
        let id = record.id;
        self.save_step(record).await.map_err(not_written)?;
        self.board.close(id, "the capsule was paused");
        let manifest = self.manifest_of(record, Kind::Snapshot, None);
        unless_dead(vm, SaveError::Exited, self.backend.suspend(id, vm, &manifest)).await?;
        self.fault_points.pass(FaultPoint::PauseSuspended, id).await;
        if overtaken.by_destroy.is_cancelled() {
            return Err(SaveError::Overtaken);
        }
        record.phase =
            Phase::Paused { saved: Saved { boot_id: self.boot_id.clone(), on_disk: OnDisk::InPart } };
        record.outcome = Some(Outcome::Paused);
        self.save(record, true).await.map_err(not_written)
    }

    /// Gives the network of a machine back whose virtual machine is dead, and publishes that nobody works on it.
    pub(super) async fn release_network(&self, record: &mut Record) {
        self.retry_forever(record.id, || self.backend.release_slot(record.id, &record.resources)).await;
        record.resources = Default::default();
        if let Err(error) = self.save_step(record).await {
            // The slot is looked for again after a crash, and is not there.
            tracing::warn!(sandbox_id = %record.id, error = %Chain(&error), "record not written");
        }
        self.board.publish(record.id, record.report(false));
    }

    /// Lets a machine run on whose state was not saved, or not kept, and answers the command with the reason.
    pub(super) async fn go_on(&self, mut record: Record, vm: VmProcess, error: SaveError) -> Done {
        let id = record.id;
        tracing::warn!(sandbox_id = %id, error = %Chain(&error), "machine could not be saved");
        // Its memory changes from now on, so the device state should not be found any more.
        if let Err(error) = self.backend.discard(id, Discard::State).await {
            tracing::warn!(sandbox_id = %id, error = %Chain(&error), "device state is left over");
        }
        let ran =
            async { vm.run().await.map_err(|error| SaveError::step("let the machine go on")(error.into())) };
        match unless_dead(&vm, SaveError::Exited, ran).await {
            Ok(()) if matches!(error, SaveError::Overtaken) => {
                self.tell_overtaken(&mut record, Phase::Running);
                self.open_again(id);
                Done::running(record, vm)
            }
            Ok(()) => {
                if let Phase::MakingTemplate { .. } = record.phase {
                    // Also a guest that did not answer may be frozen.
                    self.thaw(id).await;
                }
                self.settle_failed(&mut record, Phase::Running, error.kind(), error.to_string()).await;
                self.open_again(id);
                Done::running(record, vm)
            }
            Err(stopped) => {
                tracing::warn!(sandbox_id = %id, stopped = %Chain(&stopped), "machine does not go on");
                let reason = format!("{error}, and then {stopped}");
                let failed = CommandError {
                    kind: error.kind(),
                    message: reason.clone(),
                    state: MachineState::Stopped,
                };
                record.outcome = Some(Outcome::Failed(failed));
                record.phase = Phase::Releasing { reason, keeps: Keeps::Disk };
                self.release_to_rest(record, Told::Outcome).await
            }
        }
    }

    /// Opens the way into a machine that runs on, if it was closed.
    fn open_again(&self, id: SandboxId) {
        if self.board.access(id).is_none() {
            self.open(id);
        }
    }

    /// Brings the files of a paused machine to the disk, or notes that they may not be there. Gives up when a command
    /// comes: it has not to wait.
    pub(in crate::machines) async fn sync_paused(&self, mut record: Record, overtaken: Overtaken) -> Done {
        let id = record.id;
        let synced = tokio::select! {
            biased;
            () = overtaken.by_any.cancelled() => return Done::at_rest(record),
            synced = self.backend.sync_files(id, Parts::DiskAndMemory) => synced,
        };
        let on_disk = match synced {
            Ok(()) => OnDisk::Whole,
            Err(error) => {
                tracing::error!(sandbox_id = %id, error = %Chain(&error),
                    "a paused machine may not be on the disk; a loss of power would cost its memory");
                OnDisk::Doubtful
            }
        };
        if let Some(Rest::Paused { saved }) = record.rest() {
            record.phase = Phase::Paused { saved: Saved { on_disk, ..saved } };
            self.settle(&record).await;
        }
        Done::at_rest(record)
    }
}
