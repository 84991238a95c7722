//! The work that is done on a machine: steps of the [backend](super::backend), and what happens when one fails.
//!
//! ```text
//!   start     admit ─ slot ─┬─ clone what is saved ─ restore ─ run ──────────────────┬─ init ─ Running
//!                           └─ disk ─ boot ─ greet ─ (keep a boot snapshot) ─────────┘
//!   pause     suspend ─ [Paused] ─ kill ─ told ─ release the slot
//!   resume    slot ─┬─ restore in place ─ [MayHaveRun] ─ run ─ init ─ Running
//!                   └─ boot ─ greet ─ init ─ Running
//!   template  sync ─ freeze ─ suspend ─ clone ─ run ─ thaw ─ finish        (flatten: without suspend and run)
//!   destroy   kill ─ files ─ slot ─ tombstone
//! ```
//!
//! In brackets: records that are on the disk before anything that depends on them is done. Every other record is
//! written before its step, too, but may be lost with the power: so are the processes and networks that it names.
//!
//! | file | what it is |
//! |---|---|
//! | `start`, `pause`, `resume`, `template` | what is ordered, up to what is true afterwards |
//! | `fetch` | what a start needs that was made on another host |
//! | `release` | destroying, and what is left of a machine that has ended |
//! | `recover` | what a restarted agent does about each phase |
//! | `guest` | the conversations with the guest |
//!
//! **Failure.** Work that fails settles in what is true: a machine that was not paused runs on, one that could not be
//! restored is still paused. Release does not give up, because what cannot be released must not be forgotten: it tries
//! again, ever more slowly, and the machine is reported as busy meanwhile.
//!
//! A record that cannot be written (the disk is full) holds nothing up for long: a new machine that cannot be written
//! down is not kept running, and the end of one is told all the same. The older record that is found after a crash
//! leads to the same clean-up.
//!
//! Work is never dropped half-way while the process lives: it runs as a task of its own, under the machine's lock,
//! and outlives even a restart of its actor. It ends early where it is [`Overtaken`], at its next safe point.

mod fetch;
mod guest;
mod measure;
mod pause;
mod recover;
mod release;
mod resume;
mod start;
mod template;

use std::{
    error::Error,
    future::Future,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wrenn_base::{Backoff, Chain, Clock, Rng};
use wrenn_proto::{
    GUEST_IP, agent as wire,
    ids::{SandboxId, TemplateId},
};

pub use self::resume::Memory;
use super::{
    backend::Backend,
    board::{Access, Board},
    fault_points::FaultPoints,
    fence::CommandKind,
    manifest::{FORMAT, GUEST_PROTOCOL, Kind, Manifest},
    record::{
        CommandError, FailureKind, MachineState, Origin, Outcome, Phase, Record, RecordStore, StateError,
    },
    source::Upstream,
    time_sync::TimeSync,
    tombstones::Tombstones,
};
use crate::{
    metrics::MetricsStore,
    monitoring::{Instruments, StartPhase},
    outbox::Outbox,
    vmm::{Fingerprint, VmExit, VmProcess, VmRecord},
};

/// How often the record of what came of a machine is tried to be written: for 1.5 s in all.
const SAVE_TRIES: u32 = 5;
/// Rest between two tries to release something, or to write a record.
const RETRY: Backoff = Backoff::new(Duration::from_millis(100), Duration::from_secs(30));

/// What all machines of a host work with.
pub struct Host {
    /// Time, of waits and of what is told.
    pub clock: Clock,
    /// Entropy of guests, and the jitter of retries.
    pub rng: Rng,
    /// The steps.
    pub backend: Arc<dyn Backend>,
    /// The records.
    pub store: RecordStore,
    /// The fences of destroyed machines.
    pub tombstones: Arc<Tombstones>,
    /// What is publicly known.
    pub board: Board,
    /// The way to the control plane.
    pub outbox: Outbox,
    /// Measurements of the machines.
    pub metrics: Arc<MetricsStore>,
    /// Where templates come from that were made on other hosts.
    pub upstream: Upstream,
    /// How long a guest may take from the start of its virtual CPUs to its first answer.
    pub boot_timeout: Duration,
    /// This boot of the host's kernel.
    pub boot_id: String,
    /// Where tests may hold the work up.
    pub fault_points: FaultPoints,
    /// Durations of the work.
    pub instruments: Instruments,
    /// All work in progress; it outlives its actors.
    pub works: TaskTracker,
    /// Cancelled when work must stop where it is, as if the process were killed. Only a simulation does that.
    pub killed: CancellationToken,
}

/// A machine that runs.
#[derive(Debug)]
pub(super) struct Running {
    pub(super) vm: VmProcess,
}

/// What is left when a piece of work is done: the record, unless the machine was destroyed, and its process, if it runs.
#[derive(Debug)]
pub(super) struct Done {
    pub(super) record: Option<Record>,
    pub(super) running: Option<Running>,
}

impl Done {
    fn at_rest(record: Record) -> Self {
        Self { record: Some(record), running: None }
    }

    fn running(record: Record, vm: VmProcess) -> Self {
        Self { record: Some(record), running: Some(Running { vm }) }
    }
}

/// Tells a piece of work that a later command waits for it.
#[derive(Debug, Clone, Default)]
pub(super) struct Overtaken {
    by_any: CancellationToken,
    by_destroy: CancellationToken,
}

impl Overtaken {
    /// Asks the work to give up in favour of such a command.
    pub(super) fn ask(&self, command: CommandKind) {
        self.by_any.cancel();
        if command == CommandKind::Destroy {
            self.by_destroy.cancel();
        }
    }
}

/// Waits for a step of work on a machine that runs, or for the machine's end, if that comes first.
async fn unless_dead<T, E, F: From<E>>(
    vm: &VmProcess,
    dead: impl FnOnce(VmExit) -> F,
    step: impl Future<Output = Result<T, E>>,
) -> Result<T, F> {
    tokio::select! {
        biased;
        done = step => done.map_err(F::from),
        exit = vm.exited() => Err(dead(exit)),
    }
}

impl Host {
    /// Does a part of a start, and notes how long it took.
    async fn timed<T>(&self, phase: StartPhase, part: impl Future<Output = T>) -> T {
        let begun = self.clock.now();
        let done = part.await;
        self.instruments.phase_ended(phase, self.clock.since(begun));
        done
    }

    fn unix_time(&self) -> Duration {
        self.clock.wall().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default()
    }

    fn elapsed_ms(&self, since: Instant) -> u64 {
        u64::try_from(self.clock.since(since).as_millis()).unwrap_or(u64::MAX)
    }

    /// Publishes what the last agent knew, before anything is done about it; so nobody takes a machine that has not
    /// been looked at for one that is not there.
    pub fn announce(&self, records: &[Record]) {
        for record in records {
            self.board.publish(record.id, record.report(true));
        }
    }

    /// Removes a template, and tells the control plane. Waits for machines that are just being made of it.
    pub async fn drop_template(&self, template_id: String) {
        let dropped = match template_id.parse::<TemplateId>() {
            Ok(id) => self.backend.drop_template(id).await.map_err(|error| {
                tracing::warn!(template_id, error = %Chain(&error), "template not removed");
                error.to_string()
            }),
            Err(_) => Err("not the id of a template".to_owned()),
        };
        let error = dropped.err().unwrap_or_default();
        let dropped = wire::TemplateDropped { template_id, error };
        self.outbox.publish(wire::agent_frame::Frame::TemplateDropped(dropped));
    }

    /// Writes a record down, and publishes it.
    pub(super) async fn save(&self, record: &Record, busy: bool) -> Result<(), StateError> {
        let (store, copy) = (self.store.clone(), record.clone());
        let saved = self.works.spawn_blocking(move || store.save(&copy)).await;
        // It fails to join only if the write panicked, which is told like any other failure to write.
        saved.unwrap_or_else(|panic| Err(StateError::interrupted(panic)))?;
        self.board.publish(record.id, record.report(busy));
        Ok(())
    }

    /// Writes down what work in progress holds.
    async fn save_step(&self, record: &Record) -> Result<(), StateError> {
        let (store, copy) = (self.store.clone(), record.clone());
        let saved = self.works.spawn_blocking(move || store.save_step(&copy)).await;
        saved.unwrap_or_else(|panic| Err(StateError::interrupted(panic)))?;
        self.board.publish(record.id, record.report(true));
        Ok(())
    }

    /// Writes down that a machine is going away. Goes on without that if it cannot be: the disk may be full, and then
    /// this is what makes room. A crash would be followed by the same clean-up, for a reason less exact.
    async fn save_if_possible(&self, record: &Record) {
        if let Err(error) = self.save(record, true).await {
            tracing::error!(sandbox_id = %record.id, error = %Chain(&error), "record not written, going on");
        }
    }

    /// Writes down what came of a machine, with some patience.
    async fn save_patiently(&self, record: &Record) -> Result<(), StateError> {
        for tried in 1..SAVE_TRIES {
            match self.save(record, false).await {
                Err(error) => self.rest(record.id, "write the record", tried, &error).await,
                Ok(()) => return Ok(()),
            }
        }
        self.save(record, false).await
    }

    /// Tries until it succeeds, ever more slowly.
    async fn retry_forever<T, E, F>(&self, id: SandboxId, mut attempt: impl FnMut() -> F) -> T
    where
        E: Error + 'static,
        F: Future<Output = Result<T, E>>,
    {
        let mut failures = 0;
        loop {
            match attempt().await {
                Ok(value) => return value,
                Err(error) => {
                    failures += 1;
                    self.rest(id, "clean up", failures, &error).await;
                }
            }
        }
    }

    /// Logs a step that failed so many times in a row, and waits before its next try.
    async fn rest(&self, id: SandboxId, step: &str, failures: u32, error: &(dyn Error + 'static)) {
        let delay = RETRY.delay(failures, &mut self.rng.clone());
        tracing::error!(sandbox_id = %id, step, failures, error = %Chain(error), retry_in = ?delay, "step failed, will retry");
        self.clock.sleep(delay).await;
    }

    /// Publishes what came of a machine, written down if that is possible.
    async fn settle(&self, record: &Record) {
        if let Err(error) = self.save_patiently(record).await {
            tracing::error!(sandbox_id = %record.id, error = %Chain(&error), "settled without its record");
            self.board.publish(record.id, record.report(false));
        }
    }

    fn tell(&self, record: &Record) {
        if let Some(outcome) = &record.outcome {
            self.outbox
                .publish(wire::agent_frame::Frame::Result(outcome.to_wire(record.id, record.generation)));
        }
    }

    fn tell_ended(&self, record: &Record) {
        let (state, reason) = record.state();
        self.outbox.publish(wire::agent_frame::Frame::Event(wire::MachineEvent {
            sandbox_id: record.id.to_string(),
            generation: record.generation,
            event: Some(wire::machine_event::Event::Exited(wire::MachineExited {
                reason: reason.to_owned(),
                state: wire::MachineState::from(state).into(),
            })),
        }));
    }

    /// Answers a command again that was carried out before; and if the machine has ended since, tells that, too.
    pub(super) fn tell_again(&self, record: &Record) {
        self.tell(record);
        let (state, _) = record.state();
        let told = record.outcome.as_ref().map(Outcome::state);
        if matches!(state, MachineState::Stopped | MachineState::Exited)
            && told.is_some_and(|told| told != state)
        {
            self.tell_ended(record);
        }
    }

    /// Settles a command that failed and left the machine in what `phase` says; nobody works on it any more.
    async fn settle_failed(&self, record: &mut Record, phase: Phase, kind: FailureKind, message: String) {
        record.phase = phase;
        let (state, _) = record.state();
        record.outcome = Some(Outcome::Failed(CommandError { kind, message, state }));
        self.settle(record).await;
        self.tell(record);
    }

    /// Answers a command that a removal has overtaken, and left the machine in what `phase` says. That is not written
    /// down: the removal is carried out at once.
    fn tell_overtaken(&self, record: &mut Record, phase: Phase) {
        tracing::info!(sandbox_id = %record.id, generation = record.generation, "overtaken by a later command");
        record.phase = phase;
        record.outcome = Some(Outcome::Failed(CommandError {
            kind: FailureKind::StaleGeneration,
            message: "overtaken by a later command".into(),
            state: record.state().0,
        }));
        self.tell(record);
    }

    /// Returns the outcome of a machine that runs.
    fn started(&self, record: &Record, begun: Instant, origin: Origin) -> Outcome {
        let host_ip = record.resources.slot.map(|slot| self.backend.host_ip(slot)).unwrap_or_default();
        Outcome::Started {
            guest_ip: GUEST_IP.0.to_string(),
            host_ip,
            boot_ms: self.elapsed_ms(begun),
            origin,
            warnings: record.warnings.clone(),
        }
    }

    fn open(&self, id: SandboxId) {
        let guest = self.backend.guest(id);
        let time_sync = TimeSync::start(id, guest.clone(), self.clock.clone(), self.rng.clone());
        self.board.open(id, Access::new(guest, time_sync));
    }

    /// Answers a command whose wish is fulfilled already: nothing is done.
    pub(super) async fn confirm(&self, mut record: Record, running: Option<Running>) -> Done {
        record.outcome = Some(match record.phase {
            Phase::Running => self.started(&record, self.clock.now(), Origin::Restored),
            _ => Outcome::Paused,
        });
        self.settle(&record).await;
        self.tell(&record);
        Done { record: Some(record), running }
    }

    /// Answers a command that makes no sense for the machine: nothing is done.
    pub(super) async fn refuse(
        &self,
        mut record: Record,
        running: Option<Running>,
        command: CommandKind,
    ) -> Done {
        let (phase, message) = (record.phase.clone(), misfit(command, record.state().0));
        self.settle_failed(&mut record, phase, FailureKind::InvalidState, message).await;
        Done { record: Some(record), running }
    }

    /// Answers a command for a machine that is not there: only its generation is remembered.
    pub(super) async fn refuse_absent(&self, id: SandboxId, generation: u64, command: CommandKind) -> Done {
        self.retry_forever(id, || self.bury(id, generation)).await;
        self.tell_absent(id, generation, command);
        Done { record: None, running: None }
    }

    /// Says that there is no such machine: what a removal wants, and everything else does not.
    pub(super) fn tell_absent(&self, id: SandboxId, generation: u64, command: CommandKind) {
        let outcome = match command {
            CommandKind::Destroy => Outcome::Destroyed,
            _ => Outcome::Failed(CommandError {
                kind: FailureKind::InvalidState,
                message: misfit(command, MachineState::Exited),
                state: MachineState::Exited,
            }),
        };
        self.outbox.publish(wire::agent_frame::Frame::Result(outcome.to_wire(id, generation)));
    }

    /// Returns what the saved state of a machine depends on: the agent that started it, which may be another one than this.
    fn fingerprint_of(&self, record: &Record) -> Fingerprint {
        let here = self.backend.fingerprint();
        match &record.resources.vm {
            None => here,
            Some(VmRecord { fingerprint: Some(started_with), .. }) => started_with.clone(),
            Some(VmRecord { vmm_version, .. }) => {
                Fingerprint { vmm_version: vmm_version.clone(), layout: LAYOUT_OF_OLD_RECORDS, ..here }
            }
        }
    }

    /// Describes files that are made of a machine now.
    fn manifest_of(&self, record: &Record, kind: Kind, template_id: Option<TemplateId>) -> Manifest {
        Manifest {
            format: FORMAT,
            kind,
            template_id,
            fingerprint: self.fingerprint_of(record),
            modules: None,
            guest_protocol: GUEST_PROTOCOL,
            guest: record.guest.clone(),
            vcpus: record.spec.vcpus,
            memory_mb: record.spec.memory_mb,
            disk_size_mb: record.spec.disk_size_mb,
            created_at: self.unix_time().as_secs(),
        }
    }
}

/// Layout of the devices of machines whose records do not say what they were started with.
const LAYOUT_OF_OLD_RECORDS: u32 = 1;

/// Says why a command makes no sense.
fn misfit(command: CommandKind, state: MachineState) -> String {
    let done = match command {
        CommandKind::Start => "started",
        CommandKind::Pause => "paused",
        CommandKind::Resume => "resumed",
        CommandKind::Snapshot => "snapshotted",
        CommandKind::Flatten => "flattened",
        CommandKind::Destroy => "destroyed",
    };
    let is = match state {
        MachineState::Starting => "starting",
        MachineState::Running => "running",
        MachineState::Paused => "paused",
        MachineState::Stopped => "stopped",
        MachineState::Exited => "not there",
    };
    format!("a machine that is {is} cannot be {done}")
}
