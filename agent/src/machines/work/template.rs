//! Templates made of a machine, which stays what it is.
//!
//! ```text
//!   snapshot of a running machine
//!     admit ─ draft ─ sync ahead ─ freeze ─┬─ suspend ─ clone ─ run ─ thaw ─┬─ finish
//!   flattening of a running machine        └──────── clone ───────── thaw ──┴─ (flatten) ─ finish
//!   of a machine that does not run: admit ─ draft ─ clone ─ (flatten) ─ finish
//! ```
//!
//! A disk that is wanted as it is is not flattened. It is what a build keeps of each of its steps, so there nothing is
//! done that takes long: see `agent.proto`.
//!
//! The machine stands still only from suspend to run: its files are brought to the disk before that, and clones take
//! no time. Whatever fails, it runs and is thawed, and nothing is left of the draft.

use wrenn_base::Chain;
use wrenn_proto::ids::TemplateId;

use super::{Done, Host, Overtaken, Running, unless_dead};
use crate::{
    machines::{
        backend::SaveError,
        fault_points::FaultPoint,
        leases::Artifact,
        library::{DiskForm, Draft, Parts, Source},
        manifest::{Kind, Manifest},
        record::{Outcome, Phase, Record, Rest},
    },
    vmm::VmProcess,
};

impl Host {
    /// Makes a template of a machine that runs or is at rest.
    pub(in crate::machines) async fn make_template(
        &self,
        mut record: Record,
        running: Option<Running>,
        template_id: TemplateId,
        source: Source,
        overtaken: Overtaken,
    ) -> Done {
        let begun = self.clock.now();
        let vm = running.map(|running| running.vm);
        let Some(of) = record.rest() else { return Done { record: Some(record), running: None } };
        record.outcome = None;
        record.phase = Phase::MakingTemplate { template_id, kind: source.kind(), of: of.clone() };
        let making = Making { host: self, record: &record, vm: vm.as_ref(), overtaken: &overtaken };
        let error = match making.run(template_id, source).await {
            Ok((size_bytes, disk_size_mb)) => {
                tracing::info!(sandbox_id = %record.id, %template_id, size_bytes, took_ms = self.elapsed_ms(begun), "template is made");
                return self.settle_made(record, vm, of, (template_id, size_bytes, disk_size_mb)).await;
            }
            Err(error) => error,
        };
        match vm {
            Some(vm) => self.go_on(record, vm, error).await,
            None if matches!(error, SaveError::Overtaken) => {
                self.tell_overtaken(&mut record, of.into());
                Done::at_rest(record)
            }
            None => {
                tracing::warn!(sandbox_id = %record.id, error = %Chain(&error), "no template was made");
                self.settle_failed(&mut record, of.into(), error.kind(), error.to_string()).await;
                Done::at_rest(record)
            }
        }
    }

    /// Settles a machine of which a template was made: that is what it was before.
    pub(super) async fn settle_made(
        &self,
        mut record: Record,
        vm: Option<VmProcess>,
        of: Rest,
        (template_id, size_bytes, disk_size_mb): (TemplateId, u64, u32),
    ) -> Done {
        let state = of.state();
        record.phase = of.into();
        record.outcome = Some(Outcome::TemplateMade { template_id, size_bytes, disk_size_mb, state });
        self.settle(&record).await;
        self.tell(&record);
        Done { record: Some(record), running: vm.map(|vm| Running { vm }) }
    }
}

/// A template in the making.
struct Making<'a> {
    host: &'a Host,
    record: &'a Record,
    /// The machine, if it runs.
    vm: Option<&'a VmProcess>,
    overtaken: &'a Overtaken,
}

impl Making<'_> {
    /// Makes it; returns what its files occupy, in bytes, and the size of its disk, in MiB.
    async fn run(&self, template_id: TemplateId, source: Source) -> Result<(u64, u32), SaveError> {
        let Host { backend, .. } = self.host;
        let saved = self.host.save_step(self.record).await;
        saved.map_err(|error| SaveError::step("write the record")(error.into()))?;
        // What is cloned grows by what the machine overwrites; at most by its memory, for what nobody can know.
        backend.admit_template(self.record.spec.memory_mb).await?;
        let draft = backend.begin(&Artifact::Template(template_id)).await?;
        let made = tokio::select! {
            made = self.fill(&draft, template_id, source) => made,
            // Not while the machine stands still: see `still`.
            () = self.overtaken.by_destroy.cancelled(), if self.vm.is_none() => Err(SaveError::Overtaken),
        };
        if made.is_err() {
            self.host.retry_forever(self.record.id, || backend.discard_draft(draft.artifact())).await;
        }
        made
    }

    async fn fill(
        &self,
        draft: &Draft,
        template_id: TemplateId,
        source: Source,
    ) -> Result<(u64, u32), SaveError> {
        let (host, id, kind) = (self.host, self.record.id, source.kind());
        match (self.vm, kind) {
            (Some(vm), _) => self.clone_running(vm, draft, kind).await?,
            (None, Kind::Snapshot) => host.backend.clone_files(draft, id, Parts::All).await?,
            (None, Kind::Base) => host.backend.clone_files(draft, id, Parts::Disk).await?,
        }
        self.give_way()?;
        let mut manifest = match (self.vm, kind) {
            // It was saved by whoever saved it: that decides where it can be restored.
            (None, Kind::Snapshot) => {
                let saved = host.backend.saved(id).await;
                let saved = saved.map_err(|error| SaveError::step("read what was saved")(error.into()))?;
                Manifest { template_id: Some(template_id), ..saved }
            }
            _ => host.manifest_of(self.record, kind, Some(template_id)),
        };
        if kind == Kind::Base {
            host.fault_points.pass(FaultPoint::FlattenCloned, id).await;
        }
        if source == Source::Disk(DiskForm::Small) {
            manifest.disk_size_mb = self.unless_overtaken(host.backend.flatten(draft)).await?;
            host.fault_points.pass(FaultPoint::FlattenFlattened, id).await;
        }
        let size_bytes = self.unless_overtaken(host.backend.finish(draft, &manifest)).await?;
        let point = match kind {
            Kind::Snapshot => FaultPoint::SnapshotComplete,
            Kind::Base => FaultPoint::FlattenComplete,
        };
        host.fault_points.pass(point, id).await;
        Ok((size_bytes, manifest.disk_size_mb))
    }

    /// Clones the files of a machine that runs, and lets it run on.
    async fn clone_running(&self, vm: &VmProcess, draft: &Draft, kind: Kind) -> Result<(), SaveError> {
        let (host, id) = (self.host, self.record.id);
        // A clone first writes out what is not on the disk yet: better now than while the machine stands still.
        let parts = match kind {
            Kind::Snapshot => Parts::DiskAndMemory,
            Kind::Base => Parts::Disk,
        };
        let begun = host.clock.now();
        let synced = self.unless_overtaken(host.backend.sync_files(id, parts));
        unless_dead(vm, SaveError::Exited, synced).await?;
        let synced_ms = host.elapsed_ms(begun);
        let frozen = self.unless_overtaken(host.freeze(id));
        unless_dead(vm, SaveError::Exited, frozen).await?;
        let frozen_ms = host.elapsed_ms(begun);
        // Should that fail, the machine is let go on and thawed like any other: see `go_on`.
        self.clone_frozen(vm, draft, kind).await?;
        let cloned_ms = host.elapsed_ms(begun);
        tracing::debug!(sandbox_id = %id, synced_ms, frozen_ms, cloned_ms, "the machine's files are cloned");
        let thawed = async {
            host.thaw(id).await;
            if let Some(access) = host.board.access(id) {
                access.note_stood_still();
            }
            Ok::<_, SaveError>(())
        };
        unless_dead(vm, SaveError::Exited, thawed).await
    }

    /// Clones the files of a machine whose guest does not write now.
    async fn clone_frozen(&self, vm: &VmProcess, draft: &Draft, kind: Kind) -> Result<(), SaveError> {
        let (host, id) = (self.host, self.record.id);
        if kind == Kind::Base {
            let cloned = host.backend.clone_files(draft, id, Parts::Disk);
            return unless_dead(vm, SaveError::Exited, cloned).await;
        }
        host.fault_points.pass(FaultPoint::SnapshotFrozen, id).await;
        let saved = unless_dead(vm, SaveError::Exited, self.save_frozen(vm, draft)).await;
        let ran =
            async { vm.run().await.map_err(|error| SaveError::step("let the machine go on")(error.into())) };
        let ran = unless_dead(vm, SaveError::Exited, ran).await;
        host.fault_points.pass(FaultPoint::SnapshotRunning, id).await;
        saved.and(ran)
    }

    async fn save_frozen(&self, vm: &VmProcess, draft: &Draft) -> Result<(), SaveError> {
        let (host, id) = (self.host, self.record.id);
        self.give_way()?;
        host.backend.suspend_into(draft, id, vm).await?;
        host.fault_points.pass(FaultPoint::SnapshotSuspended, id).await;
        self.give_way()?;
        host.backend.clone_files(draft, id, Parts::DiskAndMemory).await?;
        host.fault_points.pass(FaultPoint::SnapshotCloned, id).await;
        Ok(())
    }

    /// Waits for a step that may be broken off.
    async fn unless_overtaken<T>(
        &self,
        step: impl Future<Output = Result<T, SaveError>>,
    ) -> Result<T, SaveError> {
        tokio::select! {
            done = step => done,
            () = self.overtaken.by_destroy.cancelled() => Err(SaveError::Overtaken),
        }
    }

    fn give_way(&self) -> Result<(), SaveError> {
        if self.overtaken.by_destroy.is_cancelled() { Err(SaveError::Overtaken) } else { Ok(()) }
    }
}
