//! The agents' endpoint, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]

use std::{net::SocketAddr, thread::JoinHandle, time::Duration};

use sqlx::postgres::{PgPool, PgPoolOptions};
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::{mpsc, oneshot},
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{
    Code, Request, Status, Streaming,
    transport::{Channel, Endpoint},
};
use uuid::Uuid;
use wrenn_actors::{Config, ControlPlane, ExecSession, SessionError, SessionOpenError, Until};
use wrenn_api::agents::AgentListener;
use wrenn_domain::{
    action::Action,
    audit::AuditIntent,
    host::NewHost,
    lifecycle::SandboxStatus,
    principal::{Principal, SystemReason},
    sandbox::NewSandbox,
};
use wrenn_proto::{
    agent::{
        AgentFrame, AgentHello, Capacity, CommandResult, Heartbeat, Inventory, RefreshTokenRequest,
        RegisterRequest, RegisterResponse, ServerFrame, Started, TunnelReady, TunnelRefused, TunnelUp,
        agent_frame, command_result, control_plane_client::ControlPlaneClient, server_frame, tunnel_down,
        tunnel_up,
    },
    guest::{ConnectEvent, ExecEvent, ExecExited, ExecInput, ExecStart, exec_event, exec_input},
    ids::{HostId, SandboxId, TeamId, TemplateId},
};
use wrenn_store::Store;
use wrenn_supervision::Root;

/// An audit entry of the control plane itself.
fn intent() -> AuditIntent {
    AuditIntent::system(SystemReason::Build, Action::SandboxCreate)
}

const PATIENCE: Duration = Duration::from_secs(20);

/// A control plane and its endpoint, on an actix system in a thread of its own.
struct Server {
    control_plane: ControlPlane,
    addr: String,
    stop: Option<oneshot::Sender<()>>,
    thread: JoinHandle<()>,
}

impl Server {
    async fn start(pool: &PgPool, addr: &str) -> Self {
        let listener = AgentListener::bind(addr).unwrap();
        let addr = listener.to_string();
        let options = (*pool.connect_options()).clone();
        let (ready, started) = oneshot::channel();
        let (stop, stopped) = oneshot::channel::<()>();
        let thread = std::thread::spawn(move || {
            actix_rt::System::new().block_on(async move {
                let pool = PgPoolOptions::new().max_connections(4).connect_lazy_with(options);
                let root = Root::new(|exited| panic!("reached the root: {exited:?}"));
                let store = Store::from_pool(pool.clone());
                let control_plane = ControlPlane::start(store, Config::default(), &root).await.unwrap();
                ready.send(control_plane.clone()).unwrap_or_else(|_| panic!("the test is gone"));
                let stopped = async {
                    let _ = stopped.await;
                };
                listener.serve(control_plane.clone(), stopped).await.unwrap();
                control_plane.shutdown().await;
                pool.close().await;
            });
        });
        Self { control_plane: started.await.unwrap(), addr, stop: Some(stop), thread }
    }

    async fn client(&self) -> ControlPlaneClient<Channel> {
        let endpoint = Endpoint::from_shared(self.addr.clone()).unwrap();
        ControlPlaneClient::new(endpoint.connect().await.unwrap())
    }

    async fn stop(self) {
        drop(self.stop);
        tokio::task::spawn_blocking(move || self.thread.join().unwrap()).await.unwrap();
    }
}

async fn registered(server: &Server, client: &mut ControlPlaneClient<Channel>) -> RegisterResponse {
    let store = server.control_plane.store();
    let host = store.host_create(&NewHost::default()).await.unwrap();
    let token = wrenn_api::bootstrap::issue_registration_token(store, host.id).await.unwrap();
    let request = RegisterRequest {
        registration_token: token,
        capacity: Some(Capacity { cpu_cores: 4, memory_mb: 4096, disk_mb: 50_000 }),
        arch: "x86_64".to_owned(),
        address: "here".to_owned(),
    };
    let response = client.register(request.clone()).await.unwrap().into_inner();
    assert_eq!(response.host_id, host.id.to_string());
    let again = client.register(request).await.unwrap_err();
    assert_eq!(again.code(), Code::Unauthenticated, "a registration token works once");
    response
}

fn with_token<T>(token: &str, message: T) -> Request<T> {
    let mut request = Request::new(message);
    request.metadata_mut().insert("authorization", format!("Bearer {token}").parse().unwrap());
    request
}

async fn next(frames: &mut Streaming<ServerFrame>) -> Result<Option<server_frame::Frame>, Status> {
    let frame = timeout(PATIENCE, frames.message()).await.expect("no frame came")?;
    Ok(frame.and_then(|frame| frame.frame))
}

fn hello(host_id: &str) -> AgentFrame {
    let capacity = Some(Capacity { cpu_cores: 4, memory_mb: 4096, disk_mb: 50_000 });
    let hello = AgentHello { host_id: host_id.to_owned(), capacity, ..AgentHello::default() };
    AgentFrame { frame: Some(agent_frame::Frame::Hello(hello)) }
}

struct Attached {
    say: mpsc::Sender<AgentFrame>,
    frames: Streaming<ServerFrame>,
}

async fn attach(
    client: &mut ControlPlaneClient<Channel>,
    host: &str,
    token: &str,
) -> Result<Attached, Status> {
    let (say, said) = mpsc::channel(16);
    say.send(hello(host)).await.unwrap();
    let frames = client.attach(with_token(token, ReceiverStream::new(said))).await?.into_inner();
    let mut attached = Attached { say, frames };
    let welcome = next(&mut attached.frames).await?;
    assert!(matches!(welcome, Some(server_frame::Frame::Welcome(_))), "{welcome:?}");
    Ok(attached)
}

/// Creates a sandbox and runs a command in it, with an agent at the other end of the sockets.
async fn create_and_run(
    server: &Server,
    client: &mut ControlPlaneClient<Channel>,
    token: &str,
    agent: &mut Attached,
) -> SandboxId {
    let new = NewSandbox {
        id: SandboxId::new(),
        team_id: TeamId::PLATFORM,
        template_id: TemplateId(Uuid::from_u128(1)),
        template_name: "minimal".to_owned(),
        template_image: Some("minimal.ext4".to_owned()),
        template_hosts: None,
        vcpus: 1,
        memory_mb: 512,
        disk_size_mb: 5120,
        timeout_sec: 0,
        auto_resume: false,
        default_user: "root".to_owned(),
        envs: [].into(),
        metadata: [].into(),
        preview_access: Default::default(),
        build: None,
    };
    let id = server.control_plane.sandbox_create(new, intent()).await.unwrap().id;
    let Ok(Some(server_frame::Frame::Command(command))) = next(&mut agent.frames).await else {
        panic!("a command must come");
    };
    let started = Started {
        guest_ip: "172.30.0.2".to_owned(),
        host_ip: "10.0.0.2".to_owned(),
        boot_ms: 1,
        restored: false,
    };
    let result = CommandResult {
        sandbox_id: command.sandbox_id,
        generation: command.generation,
        outcome: Some(command_result::Outcome::Started(started)),
    };
    agent.say.send(AgentFrame { frame: Some(agent_frame::Frame::Result(result)) }).await.unwrap();
    let row = server.control_plane.sandbox_wait(id, Until::Settled, PATIENCE).await.unwrap();
    assert_eq!(row.lifecycle.status, SandboxStatus::Running);

    let start = ExecStart { cmd: "true".to_owned(), ..ExecStart::default() };
    let opening = server.control_plane.session_open::<ExecInput>(
        id,
        exec_input::Input::Start(start.clone()),
        Principal::system(SystemReason::Build),
    );
    let carry = async {
        let Ok(Some(server_frame::Frame::OpenTunnel(open))) = next(&mut agent.frames).await else {
            panic!("a tunnel must be asked for");
        };
        let (up, frames) = mpsc::channel(16);
        let mut request = with_token(token, ReceiverStream::new(frames));
        request.metadata_mut().insert("x-wrenn-tunnel", open.tunnel_id.parse().unwrap());
        let mut down = client.tunnel(request).await.unwrap().into_inner();
        let ready = tunnel_up::Frame::Ready(TunnelReady {});
        up.send(TunnelUp { frame: Some(ready) }).await.unwrap();
        let frame = down.message().await.unwrap().unwrap().frame;
        let Some(tunnel_down::Frame::Exec(input)) = frame else { panic!("{frame:?}") };
        assert_eq!(input.input, Some(exec_input::Input::Start(start.clone())));
        let exited = exec_event::Event::Exited(ExecExited::default());
        let exited = tunnel_up::Frame::Exec(ExecEvent { event: Some(exited) });
        up.send(TunnelUp { frame: Some(exited) }).await.unwrap();
        assert!(down.message().await.unwrap().is_none(), "the tunnel ends with the command");

        let (_up, frames) = mpsc::channel::<TunnelUp>(1);
        let mut request = with_token(token, ReceiverStream::new(frames));
        request.metadata_mut().insert("x-wrenn-tunnel", open.tunnel_id.parse().unwrap());
        assert_eq!(client.tunnel(request).await.unwrap_err().code(), Code::NotFound, "an id works once");
    };
    let (session, ()) = tokio::join!(opening, carry);
    let event = session.unwrap().events.recv().await.unwrap().unwrap();
    assert!(matches!(event.event, Some(exec_event::Event::Exited(_))));
    id
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_host_registers_attaches_and_carries_a_command_over_tcp(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    assert!(server.addr.strip_prefix("http://").unwrap().parse::<SocketAddr>().unwrap().port() > 0);
    let mut client = server.client().await;
    let credentials = registered(&server, &mut client).await;
    let mut agent = attach(&mut client, &credentials.host_id, &credentials.host_token).await.unwrap();
    create_and_run(&server, &mut client, &credentials.host_token, &mut agent).await;

    let stopping = tokio::spawn(server.stop());
    assert!(matches!(next(&mut agent.frames).await, Ok(None) | Err(_)), "streams end with the server");
    drop((agent, client));
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_unix_socket_serves_the_same(pool: PgPool) {
    let path = std::env::temp_dir().join(format!("wrenn-api-{}.sock", Uuid::new_v4()));
    let server = Server::start(&pool, &format!("unix:{}", path.display())).await;
    let mut client = server.client().await;
    let credentials = registered(&server, &mut client).await;
    let mut agent = attach(&mut client, &credentials.host_id, &credentials.host_token).await.unwrap();
    create_and_run(&server, &mut client, &credentials.host_token, &mut agent).await;
    drop((agent, client));
    server.stop().await;
    assert!(!path.exists());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn credentials_are_renewed_and_wrong_ones_are_refused(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let mut client = server.client().await;
    let credentials = registered(&server, &mut client).await;
    let refresh = RefreshTokenRequest { refresh_token: credentials.refresh_token.clone() };
    let renewed = client.refresh_token(refresh).await.unwrap().into_inner();
    assert_ne!(renewed.host_token, credentials.host_token);

    for wrong in ["", "hst_wrong", credentials.refresh_token.as_str()] {
        let refused = attach(&mut client, &credentials.host_id, wrong).await.err().unwrap();
        assert_eq!(refused.code(), Code::Unauthenticated, "{wrong:?}");
    }
    let other = HostId::new().to_string();
    let refused = attach(&mut client, &other, &renewed.host_token).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument);
    for good in [&credentials.host_token, &renewed.host_token] {
        attach(&mut client, &credentials.host_id, good).await.unwrap();
    }
    drop(client);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_stream_does_not_outlive_its_token(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let mut client = server.client().await;
    let credentials = registered(&server, &mut client).await;
    sqlx::query("UPDATE host_tokens SET expires_at = now() + interval '2 seconds' WHERE kind = 'host'")
        .execute(&pool)
        .await
        .unwrap();
    let mut agent = attach(&mut client, &credentials.host_id, &credentials.host_token).await.unwrap();
    let ended = next(&mut agent.frames).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    drop((agent, client));
    server.stop().await;
}

/// Opens a tunnel from both ends: the session is that of whoever asked for it.
async fn tunnel(
    server: &Server,
    client: &mut ControlPlaneClient<Channel>,
    token: &str,
    agent: &mut Attached,
    id: SandboxId,
    first: Option<tunnel_up::Frame>,
) -> (Result<ExecSession, SessionOpenError>, mpsc::Sender<TunnelUp>) {
    let opening = server.control_plane.session_open(
        id,
        exec_input::Input::Start(ExecStart::default()),
        Principal::system(SystemReason::Build),
    );
    let carry = async {
        let Ok(Some(server_frame::Frame::OpenTunnel(open))) = next(&mut agent.frames).await else {
            panic!("a tunnel must be asked for");
        };
        let (up, frames) = mpsc::channel(16);
        up.send(TunnelUp { frame: first }).await.unwrap();
        let mut request = with_token(token, ReceiverStream::new(frames));
        request.metadata_mut().insert("x-wrenn-tunnel", open.tunnel_id.parse().unwrap());
        let down = client.tunnel(request).await.unwrap().into_inner();
        tokio::spawn(async move {
            let mut down = down;
            while let Ok(Some(_)) = down.message().await {}
        });
        up
    };
    tokio::join!(opening, carry)
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn frames_out_of_order_cost_their_own_stream_only(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let mut client = server.client().await;
    let credentials = registered(&server, &mut client).await;
    let token = &credentials.host_token;

    // An Attach that begins with something else, or with nothing.
    for wrong in [Some(agent_frame::Frame::Heartbeat(Heartbeat::default())), None] {
        let frames = tokio_stream::iter([AgentFrame { frame: wrong }]);
        let mut frames = client.attach(with_token(token, frames)).await.unwrap().into_inner();
        let ended = timeout(PATIENCE, frames.message()).await.expect("an end");
        assert_eq!(ended.unwrap_err().code(), Code::InvalidArgument);
    }

    let mut agent = attach(&mut client, &credentials.host_id, token).await.unwrap();
    let id = create_and_run(&server, &mut client, token, &mut agent).await;
    // A second hello, and frames about what there is not.
    let nobody = || TunnelRefused { tunnel_id: "nobody".into(), error: None };
    for odd in [
        hello(&credentials.host_id).frame,
        Some(agent_frame::Frame::TunnelRefused(nobody())),
        Some(agent_frame::Frame::Result(CommandResult {
            sandbox_id: "cl-nonsense".into(),
            ..Default::default()
        })),
        Some(agent_frame::Frame::Inventory(Inventory { request_id: 77, ..Default::default() })),
        None,
    ] {
        agent.say.send(AgentFrame { frame: odd }).await.unwrap();
    }

    let ready = || Some(tunnel_up::Frame::Ready(TunnelReady {}));
    let out = || tunnel_up::Frame::Exec(exec_event::Event::Stdout(vec![7].into()).into());
    // Tunnels that begin with something else.
    for first in [Some(out()), None] {
        let (refused, _up) = tunnel(&server, &mut client, token, &mut agent, id, first).await;
        assert!(matches!(refused, Err(SessionOpenError::Refused { .. })), "{refused:?}");
    }
    // Frames of another kind, twice `ready`, nothing at all: the session ends with an error.
    let other = tunnel_up::Frame::Connect(ConnectEvent::default());
    for wrong in [Some(other), ready(), None] {
        let (session, up) = tunnel(&server, &mut client, token, &mut agent, id, ready()).await;
        let mut session = session.unwrap();
        up.send(TunnelUp { frame: wrong }).await.unwrap();
        let event = timeout(PATIENCE, session.events.recv()).await.expect("an event");
        assert!(matches!(event, Some(Err(SessionError::Machine { .. }))), "{event:?}");
        assert!(session.events.recv().await.is_none());
    }
    // One that is too large ends its own tunnel; the next one works.
    let (session, up) = tunnel(&server, &mut client, token, &mut agent, id, ready()).await;
    let mut session = session.unwrap();
    let huge = exec_event::Event::Stdout(vec![0; 5 << 20].into());
    let _ = up.send(TunnelUp { frame: Some(tunnel_up::Frame::Exec(huge.into())) }).await;
    let event = timeout(PATIENCE, session.events.recv()).await.expect("an event");
    assert_eq!(event, Some(Err(SessionError::LinkLost)));
    let (session, up) = tunnel(&server, &mut client, token, &mut agent, id, ready()).await;
    up.send(TunnelUp { frame: Some(out()) }).await.unwrap();
    assert!(matches!(session.unwrap().events.recv().await, Some(Ok(_))));
    drop((agent, client));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn garbage_on_the_port_is_closed_and_harms_nobody(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let address = server.addr.strip_prefix("http://").unwrap().to_owned();
    let preface = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // A frame of 16 MB of type 0, on stream 1, of which nothing follows.
    let huge_frame = [0xff, 0xff, 0xff, 0, 0, 0, 0, 0, 1];
    for garbage in [
        b"GET / HTTP/1.1\r\nhost: x\r\n\r\n".to_vec(),
        vec![0; 100_000],
        (0..=255).cycle().take(100_000).collect(),
        [preface.as_slice(), &[0xff; 4096]].concat(),
        [preface.as_slice(), &huge_frame].concat(),
        preface[..10].to_vec(),
    ] {
        let mut connection = TcpStream::connect(&address).await.unwrap();
        // It may be closed before everything is written.
        let _ = connection.write_all(&garbage).await;
        let _ = connection.shutdown().await;
        let closed =
            timeout(PATIENCE, async { while matches!(connection.read(&mut [0; 4096]).await, Ok(1..)) {} });
        assert!(closed.await.is_ok(), "{:?} … is not closed", &garbage[..10]);
    }
    let mut client = server.client().await;
    let credentials = registered(&server, &mut client).await;
    attach(&mut client, &credentials.host_id, &credentials.host_token).await.unwrap();
    drop(client);
    server.stop().await;
}
