//! The work that is done on a machine: a table of steps, taken in order and released in reverse.
//!
//! ```text
//!   start    admit ─▶ slot ─▶ disk ─▶ boot ─▶ greet ─▶ init ─▶ running
//!                       ▲       ▲       ▲        │ any failure, or a later command
//!   release           slot ◀─ files ◀─ kill ◀────┘
//! ```
//!
//! The record is written down before the first step and after each that took something. Release runs the whole
//! table, however far the start came: each of its steps may be repeated, and succeeds when there is nothing to
//! do. It does not give up either, because what cannot be released must not be forgotten: it tries again, ever
//! more slowly, and the machine is reported as busy meanwhile.
//!
//! A record that cannot be written (the disk is full) holds nothing up for long: a machine that cannot be written
//! down is not kept running, and the end of one is told all the same. The older record that is found after a crash
//! leads to the same clean-up.
//!
//! Work is never dropped half-way while the process lives: it runs as a task of its own, under the machine's lock,
//! and outlives even a restart of its actor.

use std::{
    future::Future,
    sync::Arc,
    time::{Duration, Instant, SystemTime},
};

use rand::Rng as _;
use tokio::time::{sleep, timeout};
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wrenn_proto::{GUEST_GATEWAY, GUEST_IP, agent as wire, guest::InitRequest, ids::SandboxId};

use super::{
    backend::{AdoptError, Backend, StartError},
    board::{Access, Board},
    record::{CommandError, FailureKind, MachineState, Outcome, Phase, Record, RecordStore, StateError},
    tombstones::Tombstones,
};
use crate::{link::Outbox, vmm::VmProcess};

/// Bytes of entropy that a new machine gets.
const ENTROPY_BYTES: usize = 256;
/// Rest between two tries to greet a guest that boots.
const GREET_PAUSE: Duration = Duration::from_millis(20);
/// How often a machine is tried to be adopted whose state cannot be found out.
const ADOPT_TRIES: u32 = 8;
/// How often the record of what came of a machine is tried to be written: for 1.5 s in all.
const SAVE_TRIES: u32 = 5;
/// Shortest and longest rest between two tries to release something.
const RELEASE_PAUSE_MIN: Duration = Duration::from_millis(100);
const RELEASE_PAUSE_MAX: Duration = Duration::from_secs(30);

/// What all machines of a host work with.
pub struct Host {
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
    /// How long a guest may take from the start of its virtual CPUs to its hello.
    pub boot_timeout: Duration,
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
}

/// The steps of a start, in order. Those that take something have their counterpart in [`Host::release`].
const START_STEPS: [StartStep; 6] = [
    StartStep::Admit,
    StartStep::TakeSlot,
    StartStep::MakeDisk,
    StartStep::Boot,
    StartStep::Greet,
    StartStep::Init,
];

/// One step of a start.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum StartStep {
    Admit,
    TakeSlot,
    MakeDisk,
    Boot,
    Greet,
    Init,
}

/// A start in progress.
struct Start<'a> {
    host: &'a Host,
    record: &'a mut Record,
    overtaken: &'a CancellationToken,
    vm: Option<VmProcess>,
}

impl Start<'_> {
    async fn run(mut self) -> Result<Running, StartError> {
        for step in START_STEPS {
            if self.overtaken.is_cancelled() {
                return Err(StartError::Overtaken);
            }
            let begun = Instant::now();
            self.take(step).await?;
            tracing::debug!(sandbox_id = %self.record.id, ?step, elapsed = ?begun.elapsed(), "step done");
        }
        let vm = self.vm.ok_or_else(|| StartError::Spec("a start without a boot".into()))?;
        Ok(Running { vm })
    }

    async fn take(&mut self, step: StartStep) -> Result<(), StartError> {
        let id = self.record.id;
        let backend = &self.host.backend;
        match step {
            StartStep::Admit => return backend.admit(&self.record.spec).await,
            StartStep::TakeSlot => self.record.resources.slot = Some(backend.take_slot(id).await?),
            StartStep::MakeDisk => backend.make_disk(id, &self.record.spec).await?,
            StartStep::Boot => {
                let slot = self.record.resources.slot;
                let slot = slot.ok_or_else(|| StartError::Spec("a boot without a slot".into()))?;
                let vm = backend.boot(id, &self.record.spec, slot).await?;
                self.record.resources.vm = Some(vm.record().clone());
                self.vm = Some(vm);
            }
            StartStep::Greet => return self.while_it_lives(greet(self.host, id)).await,
            StartStep::Init => return self.while_it_lives(init(self.host, self.record)).await,
        }
        let saved = self.host.save_step(self.record).await;
        saved.map_err(|error| StartError::step("write the record")(error.into()))
    }

    /// Runs a conversation with the guest, until the machine dies or a later command comes.
    async fn while_it_lives(
        &self,
        conversation: impl Future<Output = Result<(), StartError>>,
    ) -> Result<(), StartError> {
        let died = async {
            match &self.vm {
                Some(vm) => vm.exited().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            result = conversation => result,
            exit = died => Err(StartError::Exited(exit)),
            () = self.overtaken.cancelled() => Err(StartError::Overtaken),
        }
    }
}

/// Waits until the guest says hello.
async fn greet(host: &Host, id: SandboxId) -> Result<(), StartError> {
    let guest = host.backend.guest(id);
    let greeted = timeout(host.boot_timeout, async {
        while let Err(error) = guest.hello().await {
            tracing::trace!(sandbox_id = %id, %error, "guest is not up yet");
            sleep(GREET_PAUSE).await;
        }
    });
    greeted.await.map_err(|_| StartError::GuestSilent { limit_sec: host.boot_timeout.as_secs() })
}

/// Tells the guest what it cannot know by itself.
async fn init(host: &Host, record: &Record) -> Result<(), StartError> {
    let mut entropy = vec![0; ENTROPY_BYTES];
    rand::rng().fill_bytes(&mut entropy);
    let since_epoch = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    let request = InitRequest {
        unix_time_ns: i64::try_from(since_epoch.as_nanos()).unwrap_or(0),
        entropy,
        hostname: record.spec.hostname.clone(),
        default_user: record.spec.default_user.clone(),
        default_env: record.spec.default_env.clone().into_iter().collect(),
        nameservers: vec![GUEST_GATEWAY.to_string()],
        thaw: false,
        grow_root_to_bytes: 0,
    };
    host.backend.guest(record.id).init(request).await.map_err(StartError::GuestInit)
}

impl Host {
    /// Publishes what the last agent knew, before anything is done about it; so nobody takes a machine that has not
    /// been looked at for one that is not there.
    pub fn announce(&self, records: &[Record]) {
        for record in records {
            self.board.publish(record.id, record.report(true));
        }
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
            tracing::error!(sandbox_id = %record.id, %error, causes = causes(&error), "record not written, going on");
        }
    }

    /// Writes down what came of a machine, with some patience.
    async fn save_patiently(&self, record: &Record) -> Result<(), StateError> {
        let mut pause = RELEASE_PAUSE_MIN;
        for _ in 1..SAVE_TRIES {
            match self.save(record, false).await {
                Err(error) => {
                    let causes = causes(&error);
                    tracing::error!(sandbox_id = %record.id, %error, causes, retry_in = ?pause, "record not written");
                }
                Ok(()) => return Ok(()),
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.save(record, false).await
    }

    /// Publishes what came of a machine, written down if that is possible.
    async fn settle(&self, record: &Record) {
        if let Err(error) = self.save_patiently(record).await {
            tracing::error!(sandbox_id = %record.id, %error, causes = causes(&error), "settled without its record");
            self.board.publish(record.id, record.report(false));
        }
    }

    fn tell(&self, record: &Record) {
        if let Some(outcome) = &record.outcome {
            self.outbox
                .publish(wire::agent_frame::Frame::Result(outcome.to_wire(record.id, record.generation)));
        }
    }

    /// Starts a machine; if that fails, nothing of it is left but its record.
    pub(super) async fn start(&self, mut record: Record, overtaken: CancellationToken) -> Done {
        let (id, generation) = (record.id, record.generation);
        let begun = Instant::now();
        tracing::info!(sandbox_id = %id, generation, image = record.spec.image, "starting machine");
        let started = match self.save(&record, true).await {
            Ok(()) => {
                let start = Start { host: self, record: &mut record, overtaken: &overtaken, vm: None };
                start.run().await
            }
            Err(error) => Err(StartError::step("write the record")(error.into())),
        };
        let settled = match started {
            Ok(running) => {
                let boot_ms = u64::try_from(begun.elapsed().as_millis()).unwrap_or(u64::MAX);
                let saved = self.settle_running(&mut record, boot_ms).await;
                saved
                    .map(|()| (running, boot_ms))
                    .map_err(|error| StartError::step("write the record")(error.into()))
            }
            Err(error) => Err(error),
        };
        let error = match settled {
            Ok((running, boot_ms)) => {
                tracing::info!(sandbox_id = %id, generation, boot_ms, "machine is running");
                return Done { record: Some(record), running: Some(running) };
            }
            Err(error) => error,
        };
        let causes = causes(&error);
        if let StartError::Exited(exit) = &error {
            tracing::warn!(sandbox_id = %id, console = exit.console, log = exit.log, "last words of the machine");
        }
        tracing::warn!(sandbox_id = %id, generation, %error, causes, "machine could not be started");
        record.phase = Phase::Releasing { reason: error.to_string() };
        record.outcome = Some(Outcome::Failed(CommandError {
            kind: error.kind(),
            message: error.to_string(),
            state: MachineState::Exited,
        }));
        self.release_to_exited(record, Told::Outcome).await
    }

    async fn settle_running(&self, record: &mut Record, boot_ms: u64) -> Result<(), StateError> {
        let host_ip = record.resources.slot.map(|slot| self.backend.host_ip(slot)).unwrap_or_default();
        record.phase = Phase::Running;
        record.outcome = Some(Outcome::Started { guest_ip: GUEST_IP.0.to_string(), host_ip, boot_ms });
        self.save_patiently(record).await?;
        self.open(record.id);
        self.tell(record);
        Ok(())
    }

    fn open(&self, id: SandboxId) {
        self.board.open(id, Access::new(self.backend.guest(id)));
    }

    /// Answers a start of a machine that runs already.
    pub(super) async fn refuse_start(&self, mut record: Record, running: Option<Running>) -> Done {
        record.outcome = Some(Outcome::Failed(CommandError {
            kind: FailureKind::InvalidState,
            message: "the machine is running already".into(),
            state: MachineState::Running,
        }));
        self.settle(&record).await;
        self.tell(&record);
        Done { record: Some(record), running }
    }

    /// Removes everything of a machine; only its tombstone stays.
    pub(super) async fn destroy(&self, id: SandboxId, generation: u64, record: Option<Record>) -> Done {
        tracing::info!(sandbox_id = %id, generation, "destroying machine");
        self.board.close(id);
        if let Some(mut record) = record {
            record.generation = generation;
            record.phase = Phase::Destroying;
            record.outcome = None;
            self.save_if_possible(&record).await;
            self.release(&record).await;
        }
        // The order matters: between the two, a crash leaves a record that is lower than its tombstone, and is removed.
        persevere(id, || self.bury(id, generation)).await;
        persevere(id, || self.forget(id)).await;
        self.board.remove(id);
        tracing::info!(sandbox_id = %id, generation, "machine is destroyed");
        self.outbox.publish(wire::agent_frame::Frame::Result(Outcome::Destroyed.to_wire(id, generation)));
        Done { record: None, running: None }
    }

    async fn bury(&self, id: SandboxId, generation: u64) -> Result<(), StateError> {
        let tombstones = self.tombstones.clone();
        let buried = self.works.spawn_blocking(move || tombstones.bury(id, generation, SystemTime::now()));
        buried.await.unwrap_or_else(|panic| Err(StateError::interrupted(panic)))
    }

    async fn forget(&self, id: SandboxId) -> Result<(), StateError> {
        let store = self.store.clone();
        let forgotten = self.works.spawn_blocking(move || store.remove(id));
        forgotten.await.unwrap_or_else(|panic| Err(StateError::interrupted(panic)))
    }

    /// Cleans up after a machine that ended by itself.
    pub(super) async fn clean_up(&self, mut record: Record, reason: String) -> Done {
        self.board.close(record.id);
        record.phase = Phase::Releasing { reason };
        self.release_to_exited(record, Told::Event).await
    }

    /// Takes a machine over from an earlier agent, or from an earlier incarnation of its actor.
    pub(super) async fn recover(&self, mut record: Record) -> Done {
        let id = record.id;
        if self.tombstones.generation(id).is_some_and(|generation| generation >= record.generation) {
            let generation = record.generation;
            return self.destroy(id, generation, Some(record)).await;
        }
        match record.phase.clone() {
            Phase::Running => match self.adopt(&record).await {
                Ok(vm) => {
                    tracing::info!(sandbox_id = %id, generation = record.generation, "machine is adopted");
                    self.board.publish(id, record.report(false));
                    self.open(id);
                    Done { record: Some(record), running: Some(Running { vm }) }
                }
                Err(error) => {
                    tracing::warn!(sandbox_id = %id, causes = causes(&error), %error, "machine is lost");
                    self.clean_up(record, error.to_string()).await
                }
            },
            Phase::Starting => {
                let message = "the agent was restarted while the machine was starting".to_owned();
                record.phase = Phase::Releasing { reason: message.clone() };
                record.outcome = Some(Outcome::Failed(CommandError {
                    kind: FailureKind::BootFailed,
                    message,
                    state: MachineState::Exited,
                }));
                self.release_to_exited(record, Told::Outcome).await
            }
            Phase::Releasing { .. } => self.release_to_exited(record, Told::Event).await,
            Phase::Destroying => {
                let generation = record.generation;
                self.destroy(id, generation, Some(record)).await
            }
            Phase::Exited { .. } => {
                self.board.publish(id, record.report(false));
                Done::at_rest(record)
            }
        }
    }

    /// Takes a running machine over; tries several times before it gives up one that may only be slow to answer.
    async fn adopt(&self, record: &Record) -> Result<VmProcess, AdoptError> {
        let mut pause = Duration::from_millis(200);
        for _ in 1..ADOPT_TRIES {
            match self.backend.adopt(record.id, &record.resources).await {
                Err(error @ AdoptError::Unclear(_)) => {
                    let causes = causes(&error);
                    tracing::warn!(sandbox_id = %record.id, %error, causes, retry_in = ?pause, "machine not yet adopted");
                }
                settled => return settled,
            }
            sleep(pause).await;
            pause *= 2;
        }
        self.backend.adopt(record.id, &record.resources).await
    }

    /// Releases everything of a machine whose record is in phase `Releasing`, and tells that it is gone.
    async fn release_to_exited(&self, mut record: Record, told: Told) -> Done {
        self.save_if_possible(&record).await;
        self.release(&record).await;
        record.resources = Default::default();
        let reason = match &record.phase {
            Phase::Releasing { reason } => reason.clone(),
            _ => String::new(),
        };
        tracing::info!(sandbox_id = %record.id, generation = record.generation, reason, "machine is gone");
        record.phase = Phase::Exited { reason: reason.clone() };
        self.settle(&record).await;
        match told {
            Told::Outcome => self.tell(&record),
            Told::Event => self.tell_exited(&record, reason),
        }
        Done::at_rest(record)
    }

    fn tell_exited(&self, record: &Record, reason: String) {
        self.outbox.publish(wire::agent_frame::Frame::Event(wire::MachineEvent {
            sandbox_id: record.id.to_string(),
            generation: record.generation,
            event: Some(wire::machine_event::Event::Exited(wire::MachineExited {
                reason,
                state: wire::MachineState::Exited.into(),
            })),
        }));
    }

    /// Answers a command again that was carried out before; and if the machine has ended since, tells that, too.
    pub(super) fn tell_again(&self, record: &Record) {
        self.tell(record);
        if let (Some(Outcome::Started { .. }), Phase::Releasing { reason } | Phase::Exited { reason }) =
            (&record.outcome, &record.phase)
        {
            self.tell_exited(record, reason.clone());
        }
    }

    /// Releases everything that a machine may hold: the start's steps in reverse, each until it succeeds.
    async fn release(&self, record: &Record) {
        let (id, resources) = (record.id, &record.resources);
        persevere(id, || self.backend.kill(id, resources)).await;
        persevere(id, || self.backend.remove_files(id)).await;
        persevere(id, || self.backend.release_slot(id, resources)).await;
    }
}

/// What the control plane hears when a machine is gone.
#[derive(Debug, Clone, Copy)]
enum Told {
    /// What came of the command.
    Outcome,
    /// That it ended without a command.
    Event,
}

/// Tries until it succeeds, ever more slowly.
async fn persevere<T, E, F>(id: SandboxId, mut attempt: impl FnMut() -> F) -> T
where
    E: std::error::Error + 'static,
    F: Future<Output = Result<T, E>>,
{
    let mut pause = RELEASE_PAUSE_MIN;
    loop {
        match attempt().await {
            Ok(value) => return value,
            Err(error) => {
                let causes = causes(&error);
                tracing::error!(sandbox_id = %id, %error, causes, retry_in = ?pause, "clean-up failed, trying again");
            }
        }
        sleep(pause).await;
        pause = (pause * 2).min(RELEASE_PAUSE_MAX);
    }
}

/// Returns what an error was caused by, outermost first.
pub(crate) fn causes(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(error.source(), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
