//! The agents' endpoint, over real sockets.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test may panic, also in its helpers")]
#![allow(clippy::disallowed_methods, reason = "servers and hosts of a test run in real time")]

mod support;

use std::{net::SocketAddr, path::Path};

use sqlx::PgPool;
use tokio::{
    io::{AsyncReadExt as _, AsyncWriteExt as _},
    net::TcpStream,
    sync::mpsc,
    time::timeout,
};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Code, Request, Status, Streaming, transport::Channel};
use wrenn_actors::{Config, ControlPlane, ExecSession, Grant, SessionError, SessionOpenError, Until};
use wrenn_agent::link::dial;
use wrenn_api::agent_authority::{self, CERTIFICATE_TTL};
use wrenn_base::Clock;
use wrenn_domain::{
    lifecycle::SandboxStatus,
    principal::{Principal, SystemReason},
};
use wrenn_pki::{ClientTls, Fingerprint, HostIdentity, HostKey};
use wrenn_proto::{
    agent::{
        AgentFrame, AgentHello, Capacity, CommandResult, Heartbeat, Inventory, RegisterRequest,
        RenewCertificateRequest, ServerFrame, Started, TunnelReady, TunnelRefused, TunnelUp, agent_frame,
        command_result, control_plane_client::ControlPlaneClient, server_frame, tunnel_down, tunnel_up,
    },
    guest::{ConnectEvent, ExecEvent, ExecExited, ExecInput, ExecStart, exec_event, exec_input},
    ids::{HostId, SandboxId},
};
use wrenn_testkit::{
    host::{self, AgentsSocket},
    rows::{self, intent, new_sandbox},
    server::ServerThread,
    wait::PATIENCE,
};

/// A control plane and its endpoint.
struct Server {
    control_plane: ControlPlane,
    addr: String,
    authority: Fingerprint,
    thread: ServerThread,
}

impl Server {
    async fn start(pool: &PgPool, addr: &str) -> Self {
        Self::start_at(pool, addr, Clock::process()).await
    }

    async fn start_at(pool: &PgPool, addr: &str, clock: Clock) -> Self {
        let (thread, control_plane, addr) = support::start(pool, addr, Config::default(), clock).await;
        let authority = agent_authority::ensure(control_plane.store(), &Clock::process()).await.unwrap();
        Self { control_plane, addr, authority: authority.fingerprint(), thread }
    }

    /// A connection that shows this, or no certificate.
    fn client(&self, identity: Option<HostIdentity<'_>>) -> ControlPlaneClient<Channel> {
        let tls = ClientTls::new(self.authority, identity).unwrap();
        ControlPlaneClient::new(dial(&self.addr.parse().unwrap(), &tls))
    }

    async fn registration(&self) -> (HostId, RegisterRequest, HostKey) {
        let store = self.control_plane.store();
        let id = rows::host(store).await;
        let key = HostKey::generate().unwrap();
        let request = RegisterRequest {
            registration_token: host::registration_token(store, id).await,
            capacity: Some(Capacity { cpu_cores: 4, memory_mb: 4096, disk_mb: 50_000 }),
            arch: "x86_64".to_owned(),
            address: "here".to_owned(),
            public_key: key.public_key(),
        };
        (id, request, key)
    }

    async fn stop(self) {
        self.thread.stop().await;
    }
}

/// A registered host.
struct Host {
    id: String,
    key: HostKey,
    certificate: Vec<u8>,
}

impl Host {
    async fn registered(server: &Server) -> Self {
        let (id, request, key) = server.registration().await;
        let mut stranger = server.client(None);
        let answer = stranger.register(request.clone()).await.unwrap().into_inner();
        assert_eq!(answer.host_id, id.to_string());
        let again = stranger.register(request).await.unwrap_err();
        assert_eq!(again.code(), Code::Unauthenticated, "a registration token works once");
        Self { id: answer.host_id, key, certificate: answer.certificate }
    }

    fn client(&self, server: &Server) -> ControlPlaneClient<Channel> {
        let private_key = self.key.private_key();
        server.client(Some(HostIdentity { certificate: &self.certificate, private_key: &private_key }))
    }

    async fn renewed(&self, server: &Server) -> Result<Self, Status> {
        let key = HostKey::generate().unwrap();
        let request = RenewCertificateRequest { public_key: key.public_key() };
        let answer = self.client(server).renew_certificate(request).await?.into_inner();
        Ok(Self { id: answer.host_id, key, certificate: answer.certificate })
    }
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

async fn attach(client: &mut ControlPlaneClient<Channel>, host: &str) -> Result<Attached, Status> {
    let (say, said) = mpsc::channel(16);
    say.send(hello(host)).await.unwrap();
    let frames = client.attach(ReceiverStream::new(said)).await?.into_inner();
    let mut attached = Attached { say, frames };
    let welcome = next(&mut attached.frames).await?;
    assert!(matches!(welcome, Some(server_frame::Frame::Welcome(_))), "{welcome:?}");
    Ok(attached)
}

/// Creates a sandbox and runs a command in it, with an agent at the other end of the sockets.
async fn create_and_run(
    server: &Server,
    client: &mut ControlPlaneClient<Channel>,
    agent: &mut Attached,
) -> SandboxId {
    let id = server.control_plane.sandbox_create(new_sandbox(), intent()).await.unwrap().id;
    let Ok(Some(server_frame::Frame::Command(command))) = next(&mut agent.frames).await else {
        panic!("a command must come");
    };
    let started = Started {
        guest_ip: "172.30.0.2".to_owned(),
        host_ip: "10.0.0.2".to_owned(),
        boot_ms: 1,
        restored: false,
        warnings: Vec::new(),
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
        Grant::of_system(Principal::system(SystemReason::Build)),
    );
    let carry = async {
        let Ok(Some(server_frame::Frame::OpenTunnel(open))) = next(&mut agent.frames).await else {
            panic!("a tunnel must be asked for");
        };
        let (up, frames) = mpsc::channel(16);
        let mut request = Request::new(ReceiverStream::new(frames));
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
        let mut request = Request::new(ReceiverStream::new(frames));
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
    assert!(server.addr.parse::<SocketAddr>().unwrap().port() > 0);
    let host = Host::registered(&server).await;
    let mut client = host.client(&server);
    let mut agent = attach(&mut client, &host.id).await.unwrap();
    create_and_run(&server, &mut client, &mut agent).await;

    let stopping = tokio::spawn(server.stop());
    assert!(matches!(next(&mut agent.frames).await, Ok(None) | Err(_)), "streams end with the server");
    drop((agent, client));
    timeout(PATIENCE, stopping).await.unwrap().unwrap();
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_unix_socket_serves_the_same(pool: PgPool) {
    let socket = AgentsSocket::new();
    let addr = socket.addr();
    let server = Server::start(&pool, &addr).await;
    let host = Host::registered(&server).await;
    let mut client = host.client(&server);
    let mut agent = attach(&mut client, &host.id).await.unwrap();
    create_and_run(&server, &mut client, &mut agent).await;
    drop((agent, client));
    server.stop().await;
    assert!(!Path::new(addr.strip_prefix("unix:").unwrap()).exists());
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn certificates_are_renewed_and_others_are_refused(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let host = Host::registered(&server).await;
    let renewed = host.renewed(&server).await.unwrap();
    assert_eq!(renewed.id, host.id);
    for good in [&host, &renewed] {
        attach(&mut good.client(&server), &good.id).await.unwrap();
    }

    let none = attach(&mut server.client(None), &host.id).await.err().unwrap();
    assert_eq!(none.code(), Code::Unauthenticated);
    let unknown = server.client(None).renew_certificate(RenewCertificateRequest::default()).await;
    assert_eq!(unknown.unwrap_err().code(), Code::Unauthenticated);
    let other = HostId::new().to_string();
    let refused = attach(&mut host.client(&server), &other).await.err().unwrap();
    assert_eq!(refused.code(), Code::InvalidArgument, "a host speaks for itself only");

    // A certificate that the authority made, and that is not recorded, or was revoked.
    let authority = agent_authority::ensure(server.control_plane.store(), &Clock::process()).await.unwrap();
    let (key, now) = (HostKey::generate().unwrap(), Clock::process().wall());
    let certify = authority.certify_host(host.id.parse().unwrap(), &key.public_key(), now, CERTIFICATE_TTL);
    let unrecorded = Host { id: host.id.clone(), key, certificate: certify.unwrap() };
    let refused = attach(&mut unrecorded.client(&server), &host.id).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
    assert_eq!(unrecorded.renewed(&server).await.err().unwrap().code(), Code::Unauthenticated);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn registering_a_host_anew_revokes_its_certificates(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let former = Host::registered(&server).await;
    let id: HostId = former.id.parse().unwrap();
    let token = host::registration_token(server.control_plane.store(), id).await;
    let key = HostKey::generate().unwrap();
    let request = RegisterRequest {
        registration_token: token,
        public_key: key.public_key(),
        ..RegisterRequest::default()
    };
    let answer = server.client(None).register(request).await.unwrap().into_inner();
    let host = Host { id: answer.host_id, key, certificate: answer.certificate };
    let refused = attach(&mut former.client(&server), &former.id).await.err().unwrap();
    assert_eq!(refused.code(), Code::Unauthenticated);
    attach(&mut host.client(&server), &host.id).await.unwrap();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_token_makes_one_host_of_many_registrations_at_once(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let (_, request, _) = server.registration().await;
    let tries = (0..10).map(|_| {
        let (mut client, request) = (server.client(None), request.clone());
        async move { client.register(request).await.is_ok() }
    });
    let registered = futures_util::future::join_all(tries).await;
    assert_eq!(registered.iter().filter(|registered| **registered).count(), 1);
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_key_that_is_none_costs_no_token(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let (_, request, _) = server.registration().await;
    for public_key in [vec![], vec![7; 91], vec![0x30; 5000]] {
        let wrong = RegisterRequest { public_key, ..request.clone() };
        let refused = server.client(None).register(wrong).await.unwrap_err();
        assert_eq!(refused.code(), Code::InvalidArgument);
        assert!(refused.message().starts_with("public_key: "), "{refused}");
    }
    server.client(None).register(request).await.unwrap();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_stranger_sends_little_and_stays_no_host(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let (_, request, _) = server.registration().await;
    let much = RegisterRequest { arch: "x".repeat(1 << 20), ..request.clone() };
    let refused = server.client(None).register(much).await.unwrap_err();
    assert!(
        matches!(refused.code(), Code::Unavailable | Code::Unknown | Code::Internal | Code::Cancelled),
        "{refused}"
    );
    server.client(None).register(request).await.unwrap();
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_stream_does_not_outlive_its_certificate(pool: PgPool) {
    let (clock, hand) = Clock::manual();
    let server = Server::start_at(&pool, "127.0.0.1:0", clock).await;
    let host = Host::registered(&server).await;
    let mut client = host.client(&server);
    let mut agent = attach(&mut client, &host.id).await.unwrap();
    hand.advance(CERTIFICATE_TTL);
    let ended = next(&mut agent.frames).await.unwrap_err();
    assert_eq!(ended.code(), Code::Unauthenticated);
    drop((agent, client));
    server.stop().await;
}

/// Opens a tunnel from both ends: the session is that of whoever asked for it.
async fn tunnel(
    server: &Server,
    client: &mut ControlPlaneClient<Channel>,
    agent: &mut Attached,
    id: SandboxId,
    first: Option<tunnel_up::Frame>,
) -> (Result<ExecSession, SessionOpenError>, mpsc::Sender<TunnelUp>) {
    let opening = server.control_plane.session_open(
        id,
        exec_input::Input::Start(ExecStart::default()),
        Grant::of_system(Principal::system(SystemReason::Build)),
    );
    let carry = async {
        let Ok(Some(server_frame::Frame::OpenTunnel(open))) = next(&mut agent.frames).await else {
            panic!("a tunnel must be asked for");
        };
        let (up, frames) = mpsc::channel(16);
        up.send(TunnelUp { frame: first }).await.unwrap();
        let mut request = Request::new(ReceiverStream::new(frames));
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
    let host = Host::registered(&server).await;
    let mut client = host.client(&server);

    // An Attach that begins with something else, or with nothing.
    for wrong in [Some(agent_frame::Frame::Heartbeat(Heartbeat::default())), None] {
        let frames = tokio_stream::iter([AgentFrame { frame: wrong }]);
        let mut frames = client.attach(frames).await.unwrap().into_inner();
        let ended = timeout(PATIENCE, frames.message()).await.expect("an end");
        assert_eq!(ended.unwrap_err().code(), Code::InvalidArgument);
    }

    let mut agent = attach(&mut client, &host.id).await.unwrap();
    let id = create_and_run(&server, &mut client, &mut agent).await;
    // A second hello, and frames about what there is not.
    let nobody = || TunnelRefused { tunnel_id: "nobody".into(), error: None };
    for odd in [
        hello(&host.id).frame,
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
        let (refused, _up) = tunnel(&server, &mut client, &mut agent, id, first).await;
        assert!(matches!(refused, Err(SessionOpenError::Refused { .. })), "{refused:?}");
    }
    // Frames of another kind, twice `ready`, nothing at all: the session ends with an error.
    let other = tunnel_up::Frame::Connect(ConnectEvent::default());
    for wrong in [Some(other), ready(), None] {
        let (session, up) = tunnel(&server, &mut client, &mut agent, id, ready()).await;
        let mut session = session.unwrap();
        up.send(TunnelUp { frame: wrong }).await.unwrap();
        let event = timeout(PATIENCE, session.events.recv()).await.expect("an event");
        assert!(matches!(event, Some(Err(SessionError::Machine { .. }))), "{event:?}");
        assert!(session.events.recv().await.is_none());
    }
    // One that is too large ends its own tunnel; the next one works.
    let (session, up) = tunnel(&server, &mut client, &mut agent, id, ready()).await;
    let mut session = session.unwrap();
    let huge = exec_event::Event::Stdout(vec![0; 5 << 20].into());
    let _ = up.send(TunnelUp { frame: Some(tunnel_up::Frame::Exec(huge.into())) }).await;
    let event = timeout(PATIENCE, session.events.recv()).await.expect("an event");
    assert_eq!(event, Some(Err(SessionError::LinkLost)));
    let (session, up) = tunnel(&server, &mut client, &mut agent, id, ready()).await;
    up.send(TunnelUp { frame: Some(out()) }).await.unwrap();
    assert!(matches!(session.unwrap().events.recv().await, Some(Ok(_))));
    drop((agent, client));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn garbage_on_the_port_is_closed_and_harms_nobody(pool: PgPool) {
    let server = Server::start(&pool, "127.0.0.1:0").await;
    let address = server.addr.clone();
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
    let host = Host::registered(&server).await;
    let mut client = host.client(&server);
    attach(&mut client, &host.id).await.unwrap();
    drop(client);
    server.stop().await;
}
