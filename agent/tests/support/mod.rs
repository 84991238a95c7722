//! A control plane that does what a test tells it, over real gRPC on a unix socket.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::{
    collections::HashMap,
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt as _};
use parking_lot::Mutex;
use tokio::{
    net::UnixListener,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream, UnixListenerStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use wrenn_agent::config::ServerAddr;
use wrenn_proto::{
    agent::{
        AgentFrame, AgentHello, Command, CommandResult, DestroyMachine, DropTemplate, FetchTemplateRequest,
        Inventory, InventoryRequest, OpenTunnel, RefreshTokenRequest, RegisterRequest, RegisterResponse,
        SendTemplateResponse, ServerFrame, StartMachine, TemplatePart, TunnelDown, TunnelUp, Welcome,
        agent_frame::Frame,
        command,
        control_plane_server::{ControlPlane as ControlPlaneService, ControlPlaneServer},
        server_frame, tunnel_down, tunnel_up,
    },
    guest::{ExecInput, exec_event::Event, exec_input::Input},
    ids::{HostId, SandboxId, TemplateId},
};

/// How long anything may take in a test.
pub const PATIENCE: Duration = Duration::from_secs(60);

/// Waits until a condition holds.
pub async fn eventually(what: &str, condition: impl Fn() -> bool) {
    let met = async {
        while !condition() {
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
    };
    assert!(timeout(PATIENCE, met).await.is_ok(), "never came true: {what}");
}

struct State {
    host_id: Mutex<HostId>,
    registrations: AtomicU64,
    any_registration: AtomicBool,
    refuse_attaching: AtomicBool,
    ttl_sec: AtomicU64,
    /// Number of the newest tokens; older host tokens are not accepted.
    issued: AtomicU64,
    oldest_valid: AtomicU64,
    sessions: mpsc::UnboundedSender<Session>,
    tunnels: Mutex<HashMap<String, oneshot::Sender<Tunnel>>>,
}

/// The control plane; it ends with the test's runtime.
pub struct ControlPlane {
    address: ServerAddr,
    state: Arc<State>,
    sessions: mpsc::UnboundedReceiver<Session>,
    _dir: Option<tempfile::TempDir>,
}

impl ControlPlane {
    pub async fn start() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let mut plane = Self::start_at(ServerAddr::Unix(dir.path().join("grpc.sock"))).await;
        plane._dir = Some(dir);
        plane
    }

    pub async fn start_at(address: ServerAddr) -> Self {
        let ServerAddr::Unix(path) = &address else { panic!("a test listens on a unix socket") };
        let (sender, sessions) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            host_id: Mutex::new(HostId::new()),
            registrations: AtomicU64::new(0),
            any_registration: AtomicBool::new(false),
            refuse_attaching: AtomicBool::new(false),
            ttl_sec: AtomicU64::new(3600),
            issued: AtomicU64::new(0),
            oldest_valid: AtomicU64::new(0),
            sessions: sender,
            tunnels: Mutex::default(),
        });
        let incoming = UnixListenerStream::new(UnixListener::bind(path).unwrap());
        let service = ControlPlaneServer::new(Service(state.clone()));
        // Tunnels share one connection: a single one that is not read must not use up its window.
        let mut server = Server::builder()
            .initial_stream_window_size(256 * 1024)
            .initial_connection_window_size(16 * 1024 * 1024);
        tokio::spawn(server.add_service(service).serve_with_incoming(incoming));
        Self { address, state, sessions, _dir: None }
    }

    pub fn address(&self) -> ServerAddr {
        self.address.clone()
    }

    pub fn host_id(&self) -> HostId {
        *self.state.host_id.lock()
    }

    /// Forgets the host, as if the database had been wiped: whoever registers from now on is another one.
    pub fn change_host_id(&self) {
        *self.state.host_id.lock() = HostId::new();
    }

    /// Forgets the newest refresh token.
    pub fn void_refresh_tokens(&self) {
        self.state.issued.fetch_add(1, Ordering::SeqCst);
    }

    pub fn registrations(&self) -> u64 {
        self.state.registrations.load(Ordering::SeqCst)
    }

    pub fn allow_any_registration(&self) {
        self.state.any_registration.store(true, Ordering::SeqCst);
    }

    pub fn refuse_attaching(&self, refuse: bool) {
        self.state.refuse_attaching.store(refuse, Ordering::SeqCst);
    }

    pub fn set_token_ttl(&self, ttl_sec: u64) {
        self.state.ttl_sec.store(ttl_sec, Ordering::SeqCst);
    }

    pub fn expire_host_tokens(&self) {
        self.state.oldest_valid.store(self.state.issued.load(Ordering::SeqCst) + 1, Ordering::SeqCst);
    }

    /// The next host that attaches.
    pub async fn session(&mut self) -> Session {
        timeout(PATIENCE, self.sessions.recv()).await.expect("a session in time").unwrap()
    }

    pub async fn open_tunnel(&self, session: &Session, id: SandboxId) -> Tunnel {
        let tunnel_id = format!("tun-{}", SandboxId::new());
        let (sender, opened) = oneshot::channel();
        self.state.tunnels.lock().insert(tunnel_id.clone(), sender);
        session.request_tunnel(&tunnel_id, id);
        let mut tunnel = timeout(PATIENCE, opened).await.expect("a tunnel in time").unwrap();
        assert!(matches!(tunnel.frame().await, Some(tunnel_up::Frame::Ready(_))));
        tunnel
    }
}

/// One attached host.
pub struct Session {
    pub hello: AgentHello,
    frames: Streaming<AgentFrame>,
    out: mpsc::UnboundedSender<Result<ServerFrame, Status>>,
}

impl Session {
    pub fn send(&self, frame: server_frame::Frame) {
        let _ = self.out.send(Ok(ServerFrame { frame: Some(frame) }));
    }

    pub async fn frame(&mut self) -> Frame {
        let frame = timeout(PATIENCE, self.frames.message()).await.expect("a frame in time");
        frame.unwrap().expect("an open stream").frame.unwrap()
    }

    pub async fn frame_but_heartbeats(&mut self) -> Frame {
        loop {
            match self.frame().await {
                Frame::Heartbeat(_) => {}
                other => return other,
            }
        }
    }

    pub async fn result(&mut self) -> CommandResult {
        match self.frame_but_heartbeats().await {
            Frame::Result(result) => result,
            other => panic!("expected a result, got {other:?}"),
        }
    }

    pub async fn inventory(&mut self, request_id: u64) -> Inventory {
        self.send(server_frame::Frame::InventoryRequest(InventoryRequest { request_id }));
        match self.frame_but_heartbeats().await {
            Frame::Inventory(inventory) => inventory,
            other => panic!("expected an inventory, got {other:?}"),
        }
    }

    pub fn command(&self, id: SandboxId, generation: u64, command: command::Command) {
        let command = Command { sandbox_id: id.to_string(), generation, command: Some(command) };
        self.send(server_frame::Frame::Command(command));
    }

    pub fn start_machine(&self, id: SandboxId, generation: u64) {
        let start = StartMachine {
            image: "minimal.ext4".into(),
            vcpus: 1,
            memory_mb: 256,
            disk_size_mb: 1024,
            hostname: "box".into(),
            ..StartMachine::default()
        };
        self.command(id, generation, command::Command::Start(start));
    }

    pub fn destroy_machine(&self, id: SandboxId, generation: u64) {
        self.command(id, generation, command::Command::Destroy(DestroyMachine {}));
    }

    pub fn drop_template(&self, template: TemplateId) {
        let drop = DropTemplate { template_id: template.to_string() };
        self.send(server_frame::Frame::DropTemplate(drop));
    }

    pub fn request_tunnel(&self, tunnel_id: &str, id: SandboxId) {
        let open = OpenTunnel { tunnel_id: tunnel_id.into(), sandbox_id: id.to_string() };
        self.send(server_frame::Frame::OpenTunnel(open));
    }
}

/// One open tunnel.
pub struct Tunnel {
    up: Streaming<TunnelUp>,
    down: mpsc::Sender<Result<TunnelDown, Status>>,
}

/// What an exec printed and how it ended.
#[derive(Debug, Default)]
pub struct Output {
    pub stdout: Vec<u8>,
    pub stderr: Vec<u8>,
    pub exit_code: Option<i32>,
    pub timed_out: bool,
    /// What the guest says the command took.
    pub duration_ms: u64,
}

impl Tunnel {
    pub async fn send(&self, input: Input) {
        let frame = tunnel_down::Frame::Exec(ExecInput { input: Some(input) });
        self.down.send(Ok(TunnelDown { frame: Some(frame) })).await.unwrap();
    }

    pub async fn frame(&mut self) -> Option<tunnel_up::Frame> {
        let frame = timeout(PATIENCE, self.up.message()).await.expect("a frame in time");
        frame.unwrap().map(|frame| frame.frame.unwrap())
    }

    /// Reads to the end.
    pub async fn output(&mut self) -> Output {
        let mut output = Output::default();
        while let Some(frame) = self.frame().await {
            let tunnel_up::Frame::Exec(event) = frame else { panic!("unexpected {frame:?}") };
            match event.event.unwrap() {
                Event::Started(_) => {}
                Event::Stdout(bytes) => output.stdout.extend(bytes),
                Event::Stderr(bytes) => output.stderr.extend(bytes),
                Event::Exited(exited) => {
                    output.exit_code = Some(exited.exit_code);
                    output.timed_out = exited.timed_out;
                    output.duration_ms = exited.duration_ms;
                }
                other => panic!("unexpected {other:?}"),
            }
        }
        output
    }
}

struct Service(Arc<State>);

impl Service {
    fn hand_out(&self) -> RegisterResponse {
        let number = self.0.issued.fetch_add(1, Ordering::SeqCst) + 1;
        RegisterResponse {
            host_id: self.0.host_id.lock().to_string(),
            host_token: format!("host {number}"),
            refresh_token: format!("refresh {number}"),
            host_token_ttl_sec: self.0.ttl_sec.load(Ordering::SeqCst),
        }
    }

    fn authenticate<T>(&self, request: &Request<T>) -> Result<(), Status> {
        let bearer = request.metadata().get("authorization").and_then(|value| value.to_str().ok());
        let number = bearer.and_then(|bearer| bearer.strip_prefix("Bearer host ")?.parse::<u64>().ok());
        match number {
            Some(number) if number >= self.0.oldest_valid.load(Ordering::SeqCst) => Ok(()),
            _ => Err(Status::unauthenticated("unknown host token")),
        }
    }
}

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ControlPlaneService for Service {
    type AttachStream = Frames<ServerFrame>;
    type TunnelStream = Frames<TunnelDown>;

    async fn register(
        &self,
        request: Request<RegisterRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let request = request.into_inner();
        assert!(request.capacity.is_some());
        let earlier = self.0.registrations.fetch_add(1, Ordering::SeqCst);
        let any = self.0.any_registration.load(Ordering::SeqCst);
        if any || (earlier == 0 && request.registration_token == "once") {
            Ok(Response::new(self.hand_out()))
        } else {
            Err(Status::unauthenticated("the token was used before"))
        }
    }

    async fn refresh_token(
        &self,
        request: Request<RefreshTokenRequest>,
    ) -> Result<Response<RegisterResponse>, Status> {
        let newest = format!("refresh {}", self.0.issued.load(Ordering::SeqCst));
        if request.into_inner().refresh_token == newest {
            Ok(Response::new(self.hand_out()))
        } else {
            Err(Status::unauthenticated("unknown refresh token"))
        }
    }

    async fn attach(
        &self,
        request: Request<Streaming<AgentFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.authenticate(&request)?;
        if self.0.refuse_attaching.load(Ordering::SeqCst) {
            return Err(Status::unavailable("not now"));
        }
        let mut frames = request.into_inner();
        let first = frames.message().await?.and_then(|frame| frame.frame);
        let Some(Frame::Hello(hello)) = first else {
            return Err(Status::invalid_argument("a session begins with a hello"));
        };
        let (out, outgoing) = mpsc::unbounded_channel();
        let session = Session { hello, frames, out };
        let welcome = Welcome { server_version: "test".into(), heartbeat_interval_ms: 100 };
        session.send(server_frame::Frame::Welcome(welcome));
        let _ = self.0.sessions.send(session);
        Ok(Response::new(UnboundedReceiverStream::new(outgoing).boxed()))
    }

    type FetchTemplateStream = Frames<TemplatePart>;

    async fn fetch_template(
        &self,
        _: Request<FetchTemplateRequest>,
    ) -> Result<Response<Self::FetchTemplateStream>, Status> {
        Err(Status::not_found("there is no such template"))
    }

    async fn send_template(
        &self,
        _: Request<Streaming<TemplatePart>>,
    ) -> Result<Response<SendTemplateResponse>, Status> {
        Err(Status::not_found("nobody waits for this template"))
    }

    async fn tunnel(
        &self,
        request: Request<Streaming<TunnelUp>>,
    ) -> Result<Response<Self::TunnelStream>, Status> {
        self.authenticate(&request)?;
        let id = request.metadata().get("x-wrenn-tunnel").and_then(|id| id.to_str().ok());
        let waiting = id.and_then(|id| self.0.tunnels.lock().remove(id));
        let waiting = waiting.ok_or_else(|| Status::not_found("nobody waits for this tunnel"))?;
        let (down, outgoing) = mpsc::channel(4);
        let _ = waiting.send(Tunnel { up: request.into_inner(), down });
        Ok(Response::new(ReceiverStream::new(outgoing).boxed()))
    }
}
