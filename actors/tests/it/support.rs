//! A control plane on a real database, and agents that do what a test tells them.

use std::time::Duration;

use sqlx::postgres::PgPool;
use tokio::sync::mpsc;
use wrenn_actors::{Config, ControlPlane, FaultInjection, Until, host::AgentLink};
use wrenn_domain::{
    lifecycle::{Operation, SandboxStatus},
    principal::{Principal, SystemReason},
    sandbox::{NewSandbox, Sandbox},
};
use wrenn_proto::{
    agent::{
        AgentFrame, AgentHello, Capacity, Command, CommandFailed, CommandResult, Destroyed, FailureKind,
        Heartbeat, Inventory, MachineEvent, MachineExited, MachineReport, MachineState, OpenTunnel, Paused,
        ServerFrame, Started, TemplateMade, agent_frame, command, command_result, machine_event,
        server_frame,
    },
    ids::{HostId, SandboxId},
};
use wrenn_store::Store;
use wrenn_testkit::{
    rows::{self, intent, new_sandbox},
    server::{self, ServerThread, Stopped},
    wait::{PATIENCE, found, in_time},
};

/// The principal of the tests.
pub(crate) const BY: Principal = Principal::system(SystemReason::Build);

/// A configuration whose times fit a test.
pub(crate) fn config() -> Config {
    Config {
        arbiters: 2,
        away_wait: Duration::from_millis(200),
        fault_injection: FaultInjection::On,
        ..Config::default()
    }
}

/// A running control plane, on a thread of its own.
pub(crate) struct Server {
    pub(crate) control_plane: ControlPlane,
    pub(crate) store: Store,
    thread: ServerThread,
}

impl Server {
    /// Starts one on the test's database, with connections of its own.
    pub(crate) async fn start(pool: &PgPool, config: Config) -> Self {
        let serve = |_, stopped: Stopped| stopped.wait();
        let (thread, control_plane) = server::control_plane(pool, config, serve).await;
        let store = Store::from_pool(pool.clone());
        Self { control_plane, store, thread }
    }

    /// Stops it, and waits for its end.
    pub(crate) async fn stop(self) {
        self.thread.stop().await;
    }

    pub(crate) async fn host(&self) -> HostId {
        rows::host(&self.store).await
    }

    /// A sandbox whose start was sent to `agent`.
    pub(crate) async fn starting(&self, agent: &mut FakeAgent) -> (SandboxId, Command) {
        self.starting_new(new_sandbox(), agent).await
    }

    /// The same for a sandbox that is not the usual one.
    pub(crate) async fn starting_new(&self, new: NewSandbox, agent: &mut FakeAgent) -> (SandboxId, Command) {
        let row = self.control_plane.sandbox_create(new, intent()).await.unwrap();
        let command = agent.command().await;
        assert!(matches!(command.command, Some(command::Command::Start(_))), "{command:?}");
        assert_eq!(command.sandbox_id, row.id.to_string());
        (row.id, command)
    }

    /// A sandbox that `agent` runs.
    pub(crate) async fn running(&self, agent: &mut FakeAgent) -> SandboxId {
        self.running_new(new_sandbox(), agent).await
    }

    /// The same for a sandbox that is not the usual one.
    pub(crate) async fn running_new(&self, new: NewSandbox, agent: &mut FakeAgent) -> SandboxId {
        let (id, command) = self.starting_new(new, agent).await;
        agent.started(&command).await;
        assert_eq!(self.settled(id).await.lifecycle.status, SandboxStatus::Running);
        id
    }

    pub(crate) async fn settled(&self, id: SandboxId) -> Sandbox {
        self.control_plane.sandbox_wait(id, Until::Settled, PATIENCE).await.unwrap()
    }

    pub(crate) async fn row(&self, id: SandboxId) -> Sandbox {
        self.store.sandbox_load(id).await.unwrap().unwrap()
    }

    /// Waits until the row is as wanted.
    pub(crate) async fn row_where(&self, id: SandboxId, wanted: impl Fn(&Sandbox) -> bool) -> Sandbox {
        found("the row is as wanted", async || {
            let row = self.row(id).await;
            wanted(&row).then_some(row)
        })
        .await
    }

    /// Asks for the end of a sandbox, without waiting for it.
    pub(crate) async fn begin_destroy(&self, id: SandboxId) -> Sandbox {
        let control_plane = self.control_plane.clone();
        tokio::spawn(async move { control_plane.sandbox_destroy(id, intent(), PATIENCE).await });
        self.has_operation(id, Operation::Destroying).await
    }

    pub(crate) async fn has_operation(&self, id: SandboxId, operation: Operation) -> Sandbox {
        self.row_where(id, |row| row.lifecycle.operation == Some(operation)).await
    }
}

/// An agent that says only what the test wants.
pub(crate) struct FakeAgent {
    pub(crate) host: HostId,
    pub(crate) link: AgentLink,
    pub(crate) frames: mpsc::Receiver<ServerFrame>,
}

pub(crate) fn hello(host: HostId, machines: Vec<MachineReport>) -> AgentHello {
    AgentHello {
        host_id: host.to_string(),
        boot_id: "boot".to_owned(),
        incarnation: "incarnation".to_owned(),
        agent_version: "0".to_owned(),
        vmm: "fake".to_owned(),
        kernel: "6".to_owned(),
        capacity: Some(Capacity { cpu_cores: 8, memory_mb: 8192, disk_mb: 100_000 }),
        inventory: Some(Inventory { request_id: 0, machines, template_ids: Vec::new() }),
    }
}

pub(crate) fn report(id: SandboxId, generation: u64, state: MachineState) -> MachineReport {
    MachineReport {
        sandbox_id: id.to_string(),
        generation,
        state: state.into(),
        reason: "killed".to_owned(),
        busy: false,
    }
}

impl FakeAgent {
    pub(crate) async fn attach(server: &Server, host: HostId, machines: Vec<MachineReport>) -> Self {
        Self::attach_with(server, hello(host, machines), host).await
    }

    pub(crate) async fn attach_with(server: &Server, hello: AgentHello, host: HostId) -> Self {
        let (outgoing, frames) = mpsc::channel(64);
        let link = server.control_plane.agent_attach(host, hello, outgoing).await.unwrap();
        let mut agent = Self { host, link, frames };
        assert!(matches!(agent.frame().await, Some(server_frame::Frame::Welcome(_))));
        agent
    }

    /// The next frame; none if the control plane ended the stream.
    pub(crate) async fn frame(&mut self) -> Option<server_frame::Frame> {
        let frame = in_time("a frame", self.frames.recv()).await;
        frame.map(|frame| frame.frame.expect("frames are not empty"))
    }

    /// The next command; questions for an inventory before it stay unanswered.
    pub(crate) async fn command(&mut self) -> Command {
        loop {
            match self.frame().await {
                Some(server_frame::Frame::Command(command)) => return command,
                Some(server_frame::Frame::InventoryRequest(_)) => {}
                other => panic!("expected a command, got {other:?}"),
            }
        }
    }

    /// Answers the next question for an inventory, which must come before any other frame.
    pub(crate) async fn inventory(&mut self, machines: Vec<MachineReport>) {
        let Some(server_frame::Frame::InventoryRequest(request)) = self.frame().await else {
            panic!("an inventory must be asked for");
        };
        let inventory = Inventory { request_id: request.request_id, machines, template_ids: Vec::new() };
        self.say(agent_frame::Frame::Inventory(inventory)).await;
    }

    /// The next commands that differ, lowest generation first. A command may come more than once: when its
    /// sandbox's actor starts, and when the host attaches.
    pub(crate) async fn distinct_commands(&mut self, count: usize) -> Vec<Command> {
        let mut commands = Vec::new();
        while commands.len() < count {
            let command = self.command().await;
            if !commands.contains(&command) {
                commands.push(command);
            }
        }
        commands.sort_by_key(|command| command.generation);
        commands
    }

    pub(crate) async fn open_tunnel(&mut self) -> OpenTunnel {
        match self.frame().await {
            Some(server_frame::Frame::OpenTunnel(open)) => open,
            other => panic!("expected a tunnel, got {other:?}"),
        }
    }

    /// The next frame, which must be a removal of this generation.
    pub(crate) async fn expect_destroy(&mut self, id: SandboxId, generation: u64) -> Command {
        let command = self.command().await;
        assert_eq!((command.sandbox_id.as_str(), command.generation), (id.to_string().as_str(), generation));
        assert!(matches!(command.command, Some(command::Command::Destroy(_))), "{command:?}");
        command
    }

    /// Panics if a frame has arrived.
    pub(crate) fn assert_silent(&mut self) {
        if let Ok(frame) = self.frames.try_recv() {
            panic!("unexpected {frame:?}");
        }
    }

    pub(crate) async fn say(&self, frame: agent_frame::Frame) {
        assert!(self.link.receive(AgentFrame { frame: Some(frame) }).await, "the link was cut");
    }

    async fn result(&self, command: &Command, outcome: command_result::Outcome) {
        let result = CommandResult {
            sandbox_id: command.sandbox_id.clone(),
            generation: command.generation,
            outcome: Some(outcome),
        };
        self.say(agent_frame::Frame::Result(result)).await;
    }

    pub(crate) async fn started(&self, command: &Command) {
        let started = Started {
            guest_ip: "172.30.0.2".to_owned(),
            host_ip: "10.0.0.2".to_owned(),
            boot_ms: 1,
            restored: false,
            warnings: Vec::new(),
        };
        self.result(command, command_result::Outcome::Started(started)).await;
    }

    /// As [`started`](Self::started), of an agent whose link may have been cut by now.
    pub(crate) async fn started_unless_cut(&self, command: &Command) {
        let started = command_result::Outcome::Started(Started::default());
        let result = CommandResult {
            sandbox_id: command.sandbox_id.clone(),
            generation: command.generation,
            outcome: Some(started),
        };
        self.link.receive(AgentFrame { frame: Some(agent_frame::Frame::Result(result)) }).await;
    }

    pub(crate) async fn paused(&self, command: &Command) {
        self.result(command, command_result::Outcome::Paused(Paused {})).await;
    }

    /// Says that the template of a snapshot or a flattening is made.
    pub(crate) async fn template_made(&self, command: &Command) {
        let (Some(command::Command::Snapshot(make)) | Some(command::Command::Flatten(make))) =
            &command.command
        else {
            panic!("{command:?} makes no template");
        };
        let made = TemplateMade {
            template_id: make.template_id.clone(),
            size_bytes: 1 << 20,
            disk_size_mb: 300,
            state: MachineState::Running.into(),
        };
        self.result(command, command_result::Outcome::TemplateMade(made)).await;
    }

    pub(crate) async fn destroyed(&self, command: &Command) {
        self.result(command, command_result::Outcome::Destroyed(Destroyed {})).await;
    }

    pub(crate) async fn failed(&self, command: &Command, state: MachineState) {
        let failed = CommandFailed {
            kind: FailureKind::NoSpace.into(),
            message: "no space left".to_owned(),
            state: state.into(),
        };
        self.result(command, command_result::Outcome::Failed(failed)).await;
    }

    pub(crate) async fn exited(&self, id: SandboxId, generation: u64) {
        self.say(Self::exit_of(id, generation)).await;
    }

    /// The same, of an agent whose link may have been cut by now.
    pub(crate) async fn exited_unless_cut(&self, id: SandboxId, generation: u64) {
        self.link.receive(AgentFrame { frame: Some(Self::exit_of(id, generation)) }).await;
    }

    fn exit_of(id: SandboxId, generation: u64) -> agent_frame::Frame {
        let event = MachineEvent {
            sandbox_id: id.to_string(),
            generation,
            event: Some(machine_event::Event::Exited(MachineExited {
                reason: "killed\0 by signal 9".to_owned(),
                state: MachineState::Exited.into(),
            })),
        };
        agent_frame::Frame::Event(event)
    }

    pub(crate) async fn heartbeat(&self, disk_available_mb: u64) {
        let heartbeat = Heartbeat { memory_available_mb: 4096, disk_available_mb, load_1m: 0.5, machines: 0 };
        self.say(agent_frame::Frame::Heartbeat(heartbeat)).await;
    }
}
