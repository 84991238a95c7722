//! The end of a machine: by order, or by itself.
//!
//! Each step may be repeated, and succeeds when there is nothing to do, so all of them are done, however far the
//! machine came. A machine whose virtual machine has ended by itself keeps its disk; one that was never started, or
//! that is destroyed, keeps nothing.

use wrenn_proto::{agent as wire, ids::SandboxId};

use super::{Done, Host, measure::Measurements};
use crate::machines::{
    backend::Discard,
    fault_points::FaultPoint,
    record::{Keeps, Outcome, Phase, Record, StateError},
};

/// What the control plane hears when a machine is gone.
#[derive(Debug, Clone, Copy)]
pub(super) enum Told {
    /// What came of the command.
    Outcome,
    /// That it ended without a command.
    Event,
}

impl Host {
    /// Removes everything of a machine; only its tombstone stays.
    pub(in crate::machines) async fn destroy(
        &self,
        id: SandboxId,
        generation: u64,
        record: Option<Record>,
    ) -> Done {
        tracing::info!(sandbox_id = %id, generation, "destroying machine");
        self.board.close(id, "the capsule was destroyed");
        if let Some(mut record) = record {
            record.generation = generation;
            record.phase = Phase::Destroying;
            record.outcome = None;
            self.save_if_possible(&record).await;
            self.fault_points.pass(FaultPoint::DestroyBegun, id).await;
            self.release_process_and_files(&record).await;
            self.fault_points.pass(FaultPoint::DestroyKilled, id).await;
            self.retry_forever(id, || self.backend.release_slot(id, &record.resources)).await;
        }
        // Before its record is forgotten, or else the next agent would have to find out that the machine is gone.
        self.hand_over_measurements(id, Measurements::Ended).await;
        // The order matters: between the two, a crash leaves a record that is lower than its tombstone, and is removed.
        self.retry_forever(id, || self.bury(id, generation)).await;
        self.retry_forever(id, || self.forget(id)).await;
        self.board.remove(id);
        tracing::info!(sandbox_id = %id, generation, "machine is destroyed");
        self.outbox.publish(wire::agent_frame::Frame::Result(Outcome::Destroyed.to_wire(id, generation)));
        Done { record: None, running: None }
    }

    /// Remembers that a generation was accepted for a machine of which nothing is left.
    pub(super) async fn bury(&self, id: SandboxId, generation: u64) -> Result<(), StateError> {
        let (tombstones, now) = (self.tombstones.clone(), self.clock.wall());
        let buried = self.works.spawn_blocking(move || tombstones.bury(id, generation, now));
        buried.await.unwrap_or_else(|panic| Err(StateError::interrupted(panic)))
    }

    async fn forget(&self, id: SandboxId) -> Result<(), StateError> {
        let store = self.store.clone();
        let forgotten = self.works.spawn_blocking(move || store.remove(id));
        forgotten.await.unwrap_or_else(|panic| Err(StateError::interrupted(panic)))
    }

    /// Cleans up after a machine that ended by itself. Its disk is kept.
    pub(in crate::machines) async fn clean_up(&self, mut record: Record, reason: String) -> Done {
        self.board.close(record.id, format!("the machine ended: {reason}"));
        record.phase = Phase::Releasing { reason, keeps: Keeps::Disk };
        self.release_to_rest(record, Told::Event).await
    }

    /// Releases what a machine whose record is in phase `Releasing` does not keep, and tells what is true then.
    pub(super) async fn release_to_rest(&self, mut record: Record, told: Told) -> Done {
        let id = record.id;
        self.save_if_possible(&record).await;
        let (reason, keeps) = match &record.phase {
            Phase::Releasing { reason, keeps } => (reason.clone(), *keeps),
            _ => Default::default(),
        };
        record.phase = match keeps {
            Keeps::Nothing => {
                self.release_process_and_files(&record).await;
                Phase::Exited { reason }
            }
            Keeps::Disk => {
                self.retry_forever(id, || self.backend.kill(id, &record.resources)).await;
                self.retry_forever(id, || self.backend.discard(id, Discard::Memory)).await;
                Phase::Stopped { reason }
            }
        };
        self.retry_forever(id, || self.backend.release_slot(id, &record.resources)).await;
        record.resources = Default::default();
        let (state, reason) = record.state();
        tracing::info!(sandbox_id = %id, generation = record.generation, ?state, reason, "machine has ended");
        // Before the record is settled: a link that begins between that and the news would report the end twice.
        self.hand_over_measurements(id, Measurements::Kept).await;
        self.settle(&record).await;
        match told {
            Told::Outcome => self.tell(&record),
            Told::Event => self.tell_ended(&record),
        }
        Done::at_rest(record)
    }

    /// Ends what runs of a machine, and removes its folder. Its slot stays.
    pub(super) async fn release_process_and_files(&self, record: &Record) {
        let id = record.id;
        self.retry_forever(id, || self.backend.kill(id, &record.resources)).await;
        self.retry_forever(id, || self.backend.remove_files(id)).await;
    }
}
