//! What is done about a machine that an earlier agent left, or an earlier incarnation of its actor.
//!
//! | phase | what is done |
//! |---|---|
//! | starting | undone: nothing is left, and the command has failed |
//! | running | adopted; if it is dead, stopped |
//! | pausing | adopted, and paused again |
//! | paused | what runs of it is killed; without its memory on the disk, and after a boot of the host: stopped |
//! | resuming, virtual CPUs not started | taken back: it is what it was before |
//! | resuming, may have run | adopted, and told what it must know; if it is dead, stopped |
//! | making a template | the machine runs and is thawed; the template is complete, or nothing of it is left |
//! | releasing, destroying | done to the end |
//! | stopped, exited | nothing |

use std::time::Duration;

use wrenn_base::{Backoff, Chain};
use wrenn_proto::ids::TemplateId;

use super::{Done, Host, Overtaken, Running, release::Told};
use crate::{
    machines::{
        backend::{AdoptError, StartError},
        leases::Artifact,
        library::TemplateFiles,
        record::{
            CommandError, FailureKind, Keeps, MachineState, Outcome, Phase, Record, Rest, Saved, Vcpus,
        },
    },
    vmm::VmProcess,
};

/// How often a machine is tried to be adopted whose state cannot be found out.
const ADOPT_TRIES: u32 = 8;
/// Rest between two of these tries.
const ADOPT_RETRY: Backoff = Backoff::new(Duration::from_millis(200), Duration::from_secs(15));

impl Host {
    /// Takes a machine over from an earlier agent, or from an earlier incarnation of its actor.
    pub(in crate::machines) async fn recover(&self, mut record: Record, overtaken: Overtaken) -> Done {
        let (id, generation) = (record.id, record.generation);
        if self.tombstones.generation(id).is_some_and(|buried| buried >= generation) {
            return self.destroy(id, generation, Some(record)).await;
        }
        match record.phase.clone() {
            Phase::Running => match self.adopt(&record).await {
                Ok(vm) => {
                    self.publish_adopted(&record);
                    Done::running(record, vm)
                }
                Err(error) => {
                    tracing::warn!(sandbox_id = %id, error = %Chain(&error), "machine is lost");
                    self.clean_up(record, error.to_string()).await
                }
            },
            Phase::Starting => {
                let message = "the agent was restarted while the machine was starting".to_owned();
                self.fail_and_release(record, FailureKind::BootFailed, message, Keeps::Nothing).await
            }
            Phase::Pausing => match self.adopt_running(&record).await {
                Ok(vm) => self.pause(record, Running { vm }, overtaken).await,
                Err(error) => {
                    let message = format!("the machine was being paused: {error}");
                    self.fail_and_release(record, FailureKind::Internal, message, Keeps::Disk).await
                }
            },
            Phase::Paused { saved } => self.recover_paused(record, &saved).await,
            Phase::Resuming { vcpus: Vcpus::MayHaveRun, .. } => match self.adopt(&record).await {
                Ok(vm) => self.run_on(record, vm, self.clock.now(), overtaken).await,
                Err(error) => {
                    let message = format!("the machine had gone on from its memory: {error}");
                    self.fail_and_release(record, FailureKind::BootFailed, message, Keeps::Disk).await
                }
            },
            Phase::Resuming { vcpus: Vcpus::NotStarted, from } => match &from {
                Rest::Paused { saved } if !saved.is_sound(&self.boot_id) => {
                    let message = lost_power().to_owned();
                    self.fail_and_release(record, FailureKind::Internal, message, Keeps::Disk).await
                }
                _ => {
                    // A machine that was booted has mounted its disk; that is all it has done for certain.
                    let source = "the agent was restarted while the machine was being resumed".into();
                    self.take_back(record, from, StartError::Spec(source)).await
                }
            },
            Phase::MakingTemplate { template_id, of, .. } => {
                self.recover_template(record, template_id, of).await
            }
            Phase::Releasing { .. } => self.release_to_rest(record, Told::Event).await,
            Phase::Destroying => self.destroy(id, generation, Some(record)).await,
            Phase::Stopped { .. } | Phase::Exited { .. } => {
                record.resources = Default::default();
                self.board.publish(id, record.report(false));
                Done::at_rest(record)
            }
        }
    }

    async fn recover_paused(&self, mut record: Record, saved: &Saved) -> Done {
        let id = record.id;
        if !saved.is_sound(&self.boot_id) {
            tracing::warn!(sandbox_id = %id, "memory of a paused machine was lost with the power");
            return self.clean_up(record, lost_power().into()).await;
        }
        if record.resources.vm.is_some() || record.resources.slot.is_some() {
            self.retry_forever(id, || self.backend.kill(id, &record.resources)).await;
            self.release_network(&mut record).await;
            self.tell(&record);
        }
        self.board.publish(id, record.report(false));
        Done::at_rest(record)
    }

    /// Finishes or undoes a template; the machine is what it was before, if it still lives.
    async fn recover_template(&self, mut record: Record, template_id: TemplateId, of: Rest) -> Done {
        let id = record.id;
        let vm = match of {
            Rest::Running => Some(self.adopt_running(&record).await),
            Rest::Paused { .. } | Rest::Stopped { .. } => None,
        };
        if let Some(Ok(_)) = &vm {
            self.thaw(id).await;
        }
        let made = self.backend.template(template_id);
        if made.is_none() {
            let artifact = Artifact::Template(template_id);
            self.retry_forever(id, || self.backend.discard_draft(&artifact)).await;
        }
        let done = match (vm, made) {
            (Some(Err(error)), _) => {
                let message = format!("a template was being made of the machine: {error}");
                self.fail_and_release(record, FailureKind::Internal, message, Keeps::Disk).await
            }
            (vm, Some(TemplateFiles { manifest, size_bytes })) => {
                let vm = vm.and_then(Result::ok);
                if vm.is_some() {
                    self.open(id);
                }
                self.settle_made(record, vm, of, (template_id, size_bytes, manifest.disk_size_mb)).await
            }
            (vm, None) => {
                let message = "the agent was restarted while the template was being made".to_owned();
                self.settle_failed(&mut record, of.into(), FailureKind::Internal, message).await;
                match vm.and_then(Result::ok) {
                    Some(vm) => {
                        self.open(id);
                        Done::running(record, vm)
                    }
                    None => Done::at_rest(record),
                }
            }
        };
        // Also one that was paused may have been lost with the power meanwhile.
        match done.record.as_ref().and_then(Record::rest) {
            Some(Rest::Paused { saved }) if !saved.is_sound(&self.boot_id) => {
                let Some(record) = done.record else { return done };
                self.clean_up(record, lost_power().into()).await
            }
            _ => done,
        }
    }

    async fn fail_and_release(
        &self,
        mut record: Record,
        kind: FailureKind,
        message: String,
        keeps: Keeps,
    ) -> Done {
        tracing::warn!(sandbox_id = %record.id, reason = message, "machine is given up");
        let state = match keeps {
            Keeps::Nothing => MachineState::Exited,
            Keeps::Disk => MachineState::Stopped,
        };
        record.phase = Phase::Releasing { reason: message.clone(), keeps };
        record.outcome = Some(Outcome::Failed(CommandError { kind, message, state }));
        self.release_to_rest(record, Told::Outcome).await
    }

    fn publish_adopted(&self, record: &Record) {
        tracing::info!(sandbox_id = %record.id, generation = record.generation, "machine is adopted");
        self.board.publish(record.id, record.report(false));
        self.open(record.id);
    }

    /// Takes a machine over that was perhaps stopped to be saved, and lets it run.
    async fn adopt_running(&self, record: &Record) -> Result<VmProcess, AdoptError> {
        let vm = self.adopt(record).await?;
        vm.run().await.map_err(|error| AdoptError::Unclear(error.into()))?;
        Ok(vm)
    }

    /// Takes a running machine over; tries several times before it gives up one that may only be slow to answer.
    async fn adopt(&self, record: &Record) -> Result<VmProcess, AdoptError> {
        for tried in 1..ADOPT_TRIES {
            match self.backend.adopt(record.id, &record.resources).await {
                Err(error @ AdoptError::Unclear(_)) => {
                    let delay = ADOPT_RETRY.delay(tried, &mut self.rng.clone());
                    tracing::warn!(sandbox_id = %record.id, error = %Chain(&error), retry_in = ?delay, "machine not yet adopted");
                    self.clock.sleep(delay).await;
                }
                settled => return settled,
            }
        }
        self.backend.adopt(record.id, &record.resources).await
    }
}

fn lost_power() -> &'static str {
    "the host was restarted before the machine's memory was on its disk; the disk is kept"
}
