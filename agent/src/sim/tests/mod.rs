//! Machine actors over a simulated host: fencing, failures at every step, crashes of the agent at every step.

#![allow(clippy::disallowed_methods, reason = "steps that are ordered to stall end by limits of real time")]

mod faults;
mod fetch;
mod lifecycle;
mod pause;
mod templates;

use std::{path::PathBuf, sync::Arc, time::Duration};

use futures_util::StreamExt as _;
use tokio::{sync::mpsc, time::timeout};
use tokio_stream::wrappers::ReceiverStream;
use tokio_util::{sync::CancellationToken, task::TaskTracker};
use wrenn_base::{Clock, Rng};
use wrenn_proto::{
    agent::{
        self as wire, FailureKind, MachineState, agent_frame::Frame, command::Command,
        command_result::Outcome,
    },
    guest,
    ids::{SandboxId, TemplateId},
};
use wrenn_supervision::{Child, ChildSpec, spawn_local};

use super::{BootSnapshots, SimBackend, SimFault, SimOptions, SimStep, SimWorld};
use crate::{
    machines::{
        Board, Dispatch, Host, Machines,
        fault_points::{FaultPoint, FaultPoints},
        record::{Durability, RecordStore, tests::spec},
        source::Upstream,
        tombstones::Tombstones,
    },
    metrics::MetricsStore,
    monitoring::Instruments,
    outbox::{Outbox, SessionQueue},
    vmm::ExitReason,
};

/// How long anything may take here.
const PATIENCE: Duration = Duration::from_secs(20);

/// The machines of one host, whose agent can be killed and started again.
struct Agent {
    dir: tempfile::TempDir,
    world: Arc<SimWorld>,
    host: Arc<Host>,
    machines: Child<Machines>,
    queue: SessionQueue,
}

fn make(template: TemplateId) -> wire::MakeTemplate {
    wire::MakeTemplate { template_id: template.to_string(), as_it_is: false }
}

impl Agent {
    fn start() -> Self {
        Self::start_with(BootSnapshots::Off)
    }

    fn start_with(boot_snapshots: BootSnapshots) -> Self {
        Self::start_by(boot_snapshots, Clock::process())
    }

    fn start_by(boot_snapshots: BootSnapshots, clock: Clock) -> Self {
        let boot_timeout = Duration::from_millis(200);
        let options = SimOptions { boot_timeout, boot_snapshots, ..SimOptions::default() };
        let dir = tempfile::tempdir().unwrap();
        let world = Arc::new(SimWorld::new(options, clock));
        let (host, machines, queue) = Self::run(dir.path().to_owned(), &world);
        Self { dir, world, host, machines, queue }
    }

    fn run(dir: PathBuf, world: &Arc<SimWorld>) -> (Arc<Host>, Child<Machines>, SessionQueue) {
        std::fs::create_dir_all(dir.join("points")).unwrap();
        let store = RecordStore::open(dir.join("machines"), Durability::Process).unwrap();
        let records = store.load_all().unwrap();
        let known = records.iter().map(|record| record.id).collect();
        let tombstones =
            Tombstones::open(dir.join("tombstones"), Durability::Process, world.clock.wall()).unwrap();
        let host = Arc::new(Host {
            clock: world.clock.clone(),
            rng: Rng::seeded(1),
            backend: Arc::new(SimBackend::new(world.clone())),
            store,
            tombstones: Arc::new(tombstones),
            board: Board::default(),
            outbox: Outbox::default(),
            metrics: Arc::new(MetricsStore::open(dir.join("metrics")).unwrap()),
            upstream: Upstream::default(),
            boot_timeout: world.options().boot_timeout,
            boot_id: world.boot_id(),
            fault_points: FaultPoints::in_folder(dir.join("points")),
            instruments: Instruments::default(),
            works: TaskTracker::new(),
            killed: CancellationToken::new(),
        });
        host.announce(&records);
        let queue = host.outbox.open_session(1000);
        let for_machines = host.clone();
        let spec = ChildSpec::new("machines", "machines", host.clock.clone(), host.rng.clone());
        let machines = spawn_local(spec, move |_| Machines::new(for_machines, known));
        (host, machines, queue)
    }

    /// As `kill -9` and a new start.
    async fn restart(&mut self) {
        self.kill().await;
        (self.host, self.machines, self.queue) = Self::run(self.dir.path().to_owned(), &self.world);
    }

    async fn kill(&mut self) {
        self.host.killed.cancel();
        self.machines.kill();
        self.machines.wait_exit().await;
        self.host.works.close();
        self.host.works.wait().await;
        self.world.clear_faults();
    }

    fn send(&self, id: SandboxId, generation: u64, command: Command) {
        let command = wire::Command {
            sandbox_id: id.to_string(),
            generation,
            command: Some(command),
            ..Default::default()
        };
        self.machines.addr().do_send(Dispatch(command));
    }

    fn order_start(&self, id: SandboxId, generation: u64) {
        let start = wire::StartMachine {
            image: spec().image,
            vcpus: 1,
            memory_mb: 128,
            disk_size_mb: 512,
            hostname: "box".into(),
            ..wire::StartMachine::default()
        };
        self.send(id, generation, Command::Start(start));
    }

    fn order_destroy(&self, id: SandboxId, generation: u64) {
        self.send(id, generation, Command::Destroy(wire::DestroyMachine {}));
    }

    async fn frame(&mut self) -> Frame {
        timeout(PATIENCE, self.queue.frames.recv()).await.expect("a frame in time").unwrap().frame.unwrap()
    }

    async fn result(&mut self) -> (u64, Outcome) {
        match self.frame().await {
            Frame::Result(result) => (result.generation, result.outcome.unwrap()),
            other => panic!("expected a result, got {other:?}"),
        }
    }

    async fn failure(&mut self) -> (u64, FailureKind) {
        match self.result().await {
            (generation, Outcome::Failed(failed)) => (generation, failed.kind()),
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    async fn started(&mut self, id: SandboxId, generation: u64) {
        self.order_start(id, generation);
        let (answered, outcome) = self.result().await;
        assert!(matches!(outcome, Outcome::Started(_)), "{outcome:?}");
        assert_eq!(answered, generation);
    }

    async fn destroyed(&mut self, id: SandboxId, generation: u64) {
        self.order_destroy(id, generation);
        assert_eq!(self.result().await, (generation, Outcome::Destroyed(wire::Destroyed {})));
    }

    async fn destroyed_after_overtaking(&mut self, id: SandboxId) {
        self.order_destroy(id, 2);
        assert_eq!(self.failure().await, (1, FailureKind::StaleGeneration));
        assert_eq!(self.result().await, (2, Outcome::Destroyed(wire::Destroyed {})));
    }

    fn order_pause(&self, id: SandboxId, generation: u64) {
        self.send(id, generation, Command::Pause(wire::PauseMachine {}));
    }

    fn order_resume(&self, id: SandboxId, generation: u64) {
        self.send(id, generation, Command::Resume(wire::ResumeMachine::default()));
    }

    fn order_boot(&self, id: SandboxId, generation: u64) {
        let resume = wire::ResumeMachine { drop_memory: true, ..wire::ResumeMachine::default() };
        self.send(id, generation, Command::Resume(resume));
    }

    fn order_snapshot(&self, id: SandboxId, generation: u64, template: TemplateId) {
        self.send(id, generation, Command::Snapshot(make(template)));
    }

    fn order_flatten(&self, id: SandboxId, generation: u64, template: TemplateId) {
        self.send(id, generation, Command::Flatten(make(template)));
    }

    fn order_as_it_is(&self, id: SandboxId, generation: u64, template: TemplateId) {
        let make = wire::MakeTemplate { as_it_is: true, ..make(template) };
        self.send(id, generation, Command::Flatten(make));
    }

    fn order_start_from(&self, id: SandboxId, generation: u64, template: TemplateId) {
        let start = wire::StartMachine {
            template_id: template.to_string(),
            vcpus: 1,
            memory_mb: 128,
            disk_size_mb: 1024,
            hostname: "copy".into(),
            ..wire::StartMachine::default()
        };
        self.send(id, generation, Command::Start(start));
    }

    async fn paused(&mut self, id: SandboxId, generation: u64) {
        self.order_pause(id, generation);
        assert_eq!(self.result().await, (generation, Outcome::Paused(wire::Paused {})));
    }

    async fn resumed(&mut self, id: SandboxId, generation: u64) -> wire::Started {
        self.order_resume(id, generation);
        self.was_started(generation).await
    }

    async fn was_started(&mut self, generation: u64) -> wire::Started {
        match self.result().await {
            (answered, Outcome::Started(started)) => {
                assert_eq!(answered, generation);
                started
            }
            other => panic!("expected a start, got {other:?}"),
        }
    }

    async fn was_made(&mut self, generation: u64) -> wire::TemplateMade {
        match self.result().await {
            (answered, Outcome::TemplateMade(made)) => {
                assert_eq!(answered, generation);
                made
            }
            other => panic!("expected a template, got {other:?}"),
        }
    }

    async fn failed(&mut self, generation: u64) -> wire::CommandFailed {
        match self.result().await {
            (answered, Outcome::Failed(failed)) => {
                assert_eq!(answered, generation);
                failed
            }
            other => panic!("expected a failure, got {other:?}"),
        }
    }

    /// Runs a command in the guest of a machine; returns what it prints, without the end of the line.
    async fn shell(&self, id: SandboxId, cmd: &str) -> String {
        let access = self.host.board.access(id).expect("a way into the machine");
        let (inputs, receiver) = mpsc::channel(1);
        let start = guest::ExecStart { cmd: cmd.into(), ..Default::default() };
        let start = guest::ExecInput { input: Some(guest::exec_input::Input::Start(start)) };
        inputs.send(start).await.unwrap();
        let events = access.guest.exec(ReceiverStream::new(receiver)).await.expect("the guest answers");
        let printed = events.filter_map(|event| async move {
            match event.expect("an event").event {
                Some(guest::exec_event::Event::Stdout(bytes)) => String::from_utf8(bytes.into()).ok(),
                _ => None,
            }
        });
        let printed = timeout(PATIENCE, printed.collect::<String>()).await.expect("the command ends");
        printed.trim_end().to_owned()
    }

    /// Waits until a step that was ordered to go wrong has been tried.
    async fn wait_for_fault(&self, step: SimStep, ordered: u32) {
        let tried = async {
            while self.world.faults_left(step) == ordered {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, tried).await.unwrap_or_else(|_| panic!("{step:?} was never tried"));
    }

    /// Lets all work wait at a point.
    fn hold(&self, point: FaultPoint) {
        std::fs::write(self.dir.path().join(format!("points/{}.hold", point.name())), "").unwrap();
    }

    fn let_go(&self, point: FaultPoint) {
        std::fs::remove_file(self.dir.path().join(format!("points/{}.hold", point.name()))).unwrap();
    }

    /// Waits until work on a machine has come to a point.
    async fn wait_for_point(&self, point: FaultPoint, id: SandboxId) {
        let reached = self.dir.path().join(format!("points/{}.{id}.reached", point.name()));
        let coming = async {
            while !reached.exists() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, coming).await.unwrap_or_else(|_| panic!("work never came to {point:?}"));
    }

    /// Loses the power, and starts the agent again.
    async fn lose_power(&mut self) {
        self.kill().await;
        self.world.lose_power();
        (self.host, self.machines, self.queue) = Self::run(self.dir.path().to_owned(), &self.world);
    }

    async fn wait_for(&self, id: SandboxId, condition: impl Fn(Option<&wire::MachineReport>) -> bool) {
        let met = self.host.board.wait_until(|board| condition(board.report(id).as_ref()));
        let report = || self.host.board.report(id);
        assert!(timeout(PATIENCE, met).await.is_ok(), "still {:?}", report());
    }

    async fn wait_for_state(&self, id: SandboxId, state: MachineState) {
        self.wait_for(id, |report| report.is_some_and(|report| report.state() == state && !report.busy))
            .await;
    }

    fn files(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.dir.path().join("machines")).unwrap();
        entries.map(|entry| entry.unwrap().file_name().to_string_lossy().into_owned()).collect()
    }

    fn assert_no_trace(&self, id: SandboxId) {
        assert_eq!(self.host.board.report(id), None);
        assert_eq!(self.world.holdings(), Vec::<String>::new());
        assert_eq!(self.files(), Vec::<String>::new());
    }
}
