//! A control plane that does what a test tells it, over real gRPC and TLS on a unix socket.

#![allow(dead_code, unreachable_pub, reason = "each test binary uses its own part")]

use std::{
    collections::{HashMap, HashSet},
    pin::Pin,
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering},
    },
    time::Duration,
};

use futures_util::{Stream, StreamExt as _, stream};
use parking_lot::Mutex;
use tokio::{
    io::{copy_bidirectional, duplex},
    net::{UnixListener, UnixStream},
    sync::{mpsc, oneshot},
};
use tokio_stream::wrappers::{ReceiverStream, UnboundedReceiverStream};
use tonic::{Request, Response, Status, Streaming, transport::Server};
use wrenn_agent::config::ServerAddr;
use wrenn_base::Clock;
use wrenn_pki::{Authority, AuthorityParts, Fingerprint, JoinToken, Peer, ServerTls};
use wrenn_proto::{
    agent::{
        AgentFrame, AgentHello, Command, CommandResult, DestroyMachine, DropTemplate, FetchTemplateRequest,
        HostCertificate, Inventory, InventoryRequest, OpenTunnel, RegisterRequest, RenewCertificateRequest,
        SendTemplateResponse, ServerFrame, StartMachine, TemplatePart, TunnelDown, TunnelUp, Welcome,
        agent_frame::Frame,
        command,
        control_plane_server::{ControlPlane as ControlPlaneService, ControlPlaneServer},
        server_frame, tunnel_down, tunnel_up,
    },
    guest::{ExecInput, exec_event::Event, exec_input::Input},
    ids::{HostId, SandboxId, TemplateId},
};
use wrenn_testkit::wait::in_time_within;

/// Time limit for what an agent does, also with real machines.
const PATIENCE: Duration = Duration::from_secs(60);

struct State {
    host_id: Mutex<HostId>,
    registrations: AtomicU64,
    any_registration: AtomicBool,
    refuse_attaching: AtomicBool,
    ttl_sec: AtomicU64,
    authority: Authority,
    handshakes_refused: AtomicU64,
    /// Certificates that are accepted.
    valid: Mutex<HashSet<Fingerprint>>,
    refuse_renewals: AtomicBool,
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
        let authority = Authority::generate(Clock::process().wall()).unwrap();
        let address = ServerAddr::Unix(dir.path().join("grpc.sock"));
        let mut plane = Self::start_with(address, &authority).await;
        plane._dir = Some(dir);
        plane
    }

    /// Starts one at an address, whose authority exists already.
    pub async fn start_with(address: ServerAddr, authority: &AuthorityParts) -> Self {
        let ServerAddr::Unix(path) = &address else { panic!("a test listens on a unix socket") };
        let (sender, sessions) = mpsc::unbounded_channel();
        let state = Arc::new(State {
            host_id: Mutex::new(HostId::new()),
            registrations: AtomicU64::new(0),
            any_registration: AtomicBool::new(false),
            refuse_attaching: AtomicBool::new(false),
            ttl_sec: AtomicU64::new(3600),
            authority: Authority::from_parts(authority).unwrap(),
            handshakes_refused: AtomicU64::new(0),
            valid: Mutex::default(),
            refuse_renewals: AtomicBool::new(false),
            sessions: sender,
            tunnels: Mutex::default(),
        });
        let listener = UnixListener::bind(path).unwrap();
        let tls = ServerTls::new(&state.authority, Clock::process().wall()).unwrap();
        let shared = state.clone();
        tokio::spawn(async move {
            while let Ok((socket, _)) = listener.accept().await {
                tokio::spawn(serve(socket, tls.clone(), shared.clone()));
            }
        });
        Self { address, state, sessions, _dir: None }
    }

    pub fn address(&self) -> ServerAddr {
        self.address.clone()
    }

    pub fn host_id(&self) -> HostId {
        *self.state.host_id.lock()
    }

    /// A registration token; only the one with the secret `once` is accepted, once.
    pub fn token(&self, secret: &str) -> JoinToken {
        let authority = self.state.authority.fingerprint();
        JoinToken { secret: secret.to_owned(), authority, address: String::new() }
    }

    /// Forgets the host, as if the database had been wiped: whoever registers from now on is another one.
    pub fn change_host_id(&self) {
        *self.state.host_id.lock() = HostId::new();
    }

    /// Renews no certificate until a host has registered.
    pub fn refuse_renewals(&self) {
        self.state.refuse_renewals.store(true, Ordering::SeqCst);
    }

    pub fn handshakes_refused(&self) -> u64 {
        self.state.handshakes_refused.load(Ordering::SeqCst)
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

    pub fn set_certificate_ttl(&self, ttl_sec: u64) {
        self.state.ttl_sec.store(ttl_sec, Ordering::SeqCst);
    }

    /// Accepts none of the certificates any more that were handed out, but to renew them.
    pub fn revoke_certificates(&self) {
        self.state.valid.lock().clear();
    }

    /// The next host that attaches.
    pub async fn session(&mut self) -> Session {
        in_time_within(PATIENCE, "a session", self.sessions.recv()).await.unwrap()
    }

    pub async fn open_tunnel(&self, session: &Session, id: SandboxId) -> Tunnel {
        let tunnel_id = format!("tun-{}", SandboxId::new());
        let (sender, opened) = oneshot::channel();
        self.state.tunnels.lock().insert(tunnel_id.clone(), sender);
        session.request_tunnel(&tunnel_id, id);
        let mut tunnel = in_time_within(PATIENCE, "a tunnel", opened).await.unwrap();
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
        let frame = in_time_within(PATIENCE, "a frame", self.frames.message()).await;
        frame.unwrap().expect("an open stream").frame.unwrap()
    }

    pub async fn frame_but_heartbeats(&mut self) -> Frame {
        loop {
            match self.frame().await {
                // Measurements are stored by nobody here.
                Frame::Heartbeat(_) | Frame::MetricsHistory(_) => {}
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
        let command =
            Command { sandbox_id: id.to_string(), generation, command: Some(command), ..Default::default() };
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
        let open =
            OpenTunnel { tunnel_id: tunnel_id.into(), sandbox_id: id.to_string(), ..Default::default() };
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
        let frame = in_time_within(PATIENCE, "a frame", self.up.message()).await;
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

/// Serves one connection.
async fn serve(socket: UnixStream, tls: ServerTls, state: Arc<State>) {
    let Ok((mut stream, peer)) = tls.accept(socket).await else {
        state.handshakes_refused.fetch_add(1, Ordering::SeqCst);
        return;
    };
    let (mut near, far) = duplex(64 * 1024);
    // Tunnels share one connection: a single one that is not read must not use up its window.
    let mut server = Server::builder()
        .initial_stream_window_size(256 * 1024)
        .initial_connection_window_size(16 * 1024 * 1024);
    let service = ControlPlaneServer::new(Service { state, peer });
    let connection = stream::once(async { Ok::<_, std::io::Error>(far) }).chain(stream::pending());
    let served = server.add_service(service).serve_with_incoming(connection);
    tokio::select! {
        _ = served => {}
        _ = copy_bidirectional(&mut stream, &mut near) => {}
    }
}

struct Service {
    state: Arc<State>,
    peer: Peer,
}

impl Service {
    fn hand_out(&self, public_key: &[u8]) -> HostCertificate {
        let host_id = *self.state.host_id.lock();
        let (now, hour) = (Clock::process().wall(), Duration::from_secs(3600));
        let certificate = self.state.authority.certify_host(host_id, public_key, now, hour).unwrap();
        self.state.valid.lock().insert(Fingerprint::of(&certificate));
        HostCertificate {
            host_id: host_id.to_string(),
            certificate,
            ttl_sec: self.state.ttl_sec.load(Ordering::SeqCst),
        }
    }

    fn authenticate(&self) -> Result<(), Status> {
        match self.peer {
            Peer::Host { certificate, .. } if self.state.valid.lock().contains(&certificate) => Ok(()),
            Peer::Host { .. } => Err(Status::unauthenticated("revoked")),
            Peer::Unknown => Err(Status::unauthenticated("no certificate")),
        }
    }
}

type Frames<T> = Pin<Box<dyn Stream<Item = Result<T, Status>> + Send>>;

#[tonic::async_trait]
impl ControlPlaneService for Service {
    type AttachStream = Frames<ServerFrame>;
    type TunnelStream = Frames<TunnelDown>;

    async fn register(&self, request: Request<RegisterRequest>) -> Result<Response<HostCertificate>, Status> {
        let request = request.into_inner();
        assert!(request.capacity.is_some());
        let token: JoinToken = request.registration_token.parse().unwrap();
        let earlier = self.state.registrations.fetch_add(1, Ordering::SeqCst);
        let any = self.state.any_registration.load(Ordering::SeqCst);
        if any || (earlier == 0 && token.secret == "once") {
            self.state.refuse_renewals.store(false, Ordering::SeqCst);
            Ok(Response::new(self.hand_out(&request.public_key)))
        } else {
            Err(Status::unauthenticated("the token was used before"))
        }
    }

    async fn renew_certificate(
        &self,
        request: Request<RenewCertificateRequest>,
    ) -> Result<Response<HostCertificate>, Status> {
        assert!(matches!(self.peer, Peer::Host { .. }));
        if self.state.refuse_renewals.load(Ordering::SeqCst) {
            return Err(Status::unauthenticated("this certificate is not renewed"));
        }
        Ok(Response::new(self.hand_out(&request.into_inner().public_key)))
    }

    async fn attach(
        &self,
        request: Request<Streaming<AgentFrame>>,
    ) -> Result<Response<Self::AttachStream>, Status> {
        self.authenticate()?;
        if self.state.refuse_attaching.load(Ordering::SeqCst) {
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
        let _ = self.state.sessions.send(session);
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
        self.authenticate()?;
        let id = request.metadata().get("x-wrenn-tunnel").and_then(|id| id.to_str().ok());
        let waiting = id.and_then(|id| self.state.tunnels.lock().remove(id));
        let waiting = waiting.ok_or_else(|| Status::not_found("nobody waits for this tunnel"))?;
        let (down, outgoing) = mpsc::channel(4);
        let _ = waiting.send(Tunnel { up: request.into_inner(), down });
        Ok(Response::new(ReceiverStream::new(outgoing).boxed()))
    }
}
