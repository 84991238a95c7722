//! Commands in sandboxes, over tunnels that a scripted agent opens.

use std::{convert::Infallible, time::Duration};

use tokio::sync::mpsc;
use tokio_stream::wrappers::ReceiverStream;
use wrenn_actors::{Grant, SessionError, SessionOpenError, Victim};
use wrenn_domain::lifecycle::{Operation, SandboxStatus};
use wrenn_proto::{
    agent::{
        TunnelDown, TunnelError, TunnelErrorKind, TunnelReady, TunnelRefused, TunnelUp, agent_frame,
        tunnel_down, tunnel_up,
    },
    guest::{ExecEvent, ExecExited, ExecInput, ExecStart, exec_event, exec_input},
    ids::SandboxId,
};
use wrenn_testkit::wait::in_time;

use crate::support::{BY, FakeAgent, Server, config};

type Pool = sqlx::PgPool;

fn start(cmd: &str) -> ExecInput {
    exec_input::Input::Start(ExecStart { cmd: cmd.to_owned(), ..ExecStart::default() }).into()
}

/// Opens the tunnel that the control plane asks for next, as far as `first`.
async fn open(
    server: &Server,
    agent: &mut FakeAgent,
    first: tunnel_up::Frame,
) -> (mpsc::Sender<Result<TunnelUp, Infallible>>, mpsc::Receiver<TunnelDown>) {
    let asked = agent.open_tunnel().await;
    let acceptor = server.control_plane.tunnel_accept(agent.host, asked.tunnel_id.parse().unwrap()).unwrap();
    let (up, up_frames) = mpsc::channel(4);
    let (down, down_frames) = mpsc::channel(4);
    tokio::spawn(acceptor.run(ReceiverStream::new(up_frames), down));
    up.send(Ok(TunnelUp { frame: Some(first) })).await.unwrap();
    (up, down_frames)
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_command_runs_over_a_tunnel_that_the_agent_opens(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    // A host connection that failed a moment ago does not matter.
    server.control_plane.inject_panic(Victim::Host(host)).await.unwrap();
    agent.frame().await;

    let opened = server.control_plane.session_open::<ExecInput>(id, start("true"), Grant::of_system(BY));
    let ready = tunnel_up::Frame::Ready(TunnelReady {});
    let (session, (up, mut down)) = tokio::join!(opened, open(&server, &mut agent, ready));
    let mut session = session.unwrap();
    let Some(TunnelDown { frame: Some(tunnel_down::Frame::Exec(input)) }) = down.recv().await else {
        panic!("the start must arrive");
    };
    assert_eq!(input, start("true"));
    let exited = ExecEvent { event: Some(exec_event::Event::Exited(ExecExited::default())) };
    up.send(Ok(TunnelUp { frame: Some(tunnel_up::Frame::Exec(exited.clone())) })).await.unwrap();
    assert_eq!(session.events.recv().await, Some(Ok(exited)));
    assert_eq!(session.events.recv().await, None);
    server.row_where(id, |row| row.last_active_at.is_some()).await;
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_machine_that_dies_ends_the_session_with_a_reason(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;
    let opened = server.control_plane.session_open::<ExecInput>(id, start("sleep 60"), Grant::of_system(BY));
    let ready = tunnel_up::Frame::Ready(TunnelReady {});
    let (session, (up, _down)) = tokio::join!(opened, open(&server, &mut agent, ready));
    let mut session = session.unwrap();
    let error = TunnelError { kind: TunnelErrorKind::MachineGone.into(), message: "killed".to_owned() };
    up.send(Ok(TunnelUp { frame: Some(tunnel_up::Frame::Error(error)) })).await.unwrap();
    let expected = SessionError::Machine { kind: TunnelErrorKind::MachineGone, message: "killed".to_owned() };
    assert_eq!(session.events.recv().await, Some(Err(expected)));
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_command_needs_a_settled_running_sandbox(pool: Pool) {
    let server = Server::start(&pool, config()).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let (id, _) = server.starting(&mut agent).await;
    let refused = server
        .control_plane
        .session_open::<ExecInput>(id, start("true"), Grant::of_system(BY))
        .await
        .unwrap_err();
    let SessionOpenError::InvalidState { status, operation } = refused else { panic!("{refused:?}") };
    assert_eq!((status, operation), (SandboxStatus::Starting, Some(Operation::Starting)));
    let unknown = server
        .control_plane
        .session_open::<ExecInput>(SandboxId::new(), start("true"), Grant::of_system(BY))
        .await
        .unwrap_err();
    assert!(matches!(unknown, SessionOpenError::NotFound(_)), "{unknown:?}");
    server.stop().await;
}

#[sqlx::test(migrator = "wrenn_store::MIGRATIONS")]
async fn a_tunnel_that_is_refused_late_or_cut_off_is_an_error_of_its_own(pool: Pool) {
    let mut config = config();
    config.tunnel_open_within = Duration::from_millis(300);
    let server = Server::start(&pool, config).await;
    let host = server.host().await;
    let mut agent = FakeAgent::attach(&server, host, vec![]).await;
    let id = server.running(&mut agent).await;

    let refuse = async {
        let asked = agent.open_tunnel().await;
        let kind = TunnelErrorKind::NoMachine.into();
        let error = Some(TunnelError { kind, message: "no such machine".to_owned() });
        let refused = TunnelRefused { tunnel_id: asked.tunnel_id, error };
        agent.say(agent_frame::Frame::TunnelRefused(refused)).await;
    };
    let (refused, ()) = tokio::join!(
        server.control_plane.session_open::<ExecInput>(id, start("true"), Grant::of_system(BY)),
        refuse
    );
    let refused = refused.unwrap_err();
    assert!(
        matches!(refused, SessionOpenError::Refused { kind: TunnelErrorKind::NoMachine, .. }),
        "{refused:?}"
    );

    let (late, _) = tokio::join!(
        server.control_plane.session_open::<ExecInput>(id, start("true"), Grant::of_system(BY)),
        agent.open_tunnel()
    );
    assert!(matches!(late, Err(SessionOpenError::TimedOut(_))), "{late:?}");

    let lose = async {
        agent.open_tunnel().await;
        drop(agent);
    };
    let (lost, ()) = tokio::join!(
        server.control_plane.session_open::<ExecInput>(id, start("true"), Grant::of_system(BY)),
        lose
    );
    assert!(matches!(lost, Err(SessionOpenError::HostUnavailable(_))), "{lost:?}");
    let away = server.control_plane.session_open::<ExecInput>(id, start("true"), Grant::of_system(BY)).await;
    assert!(matches!(away, Err(SessionOpenError::HostUnavailable(_))), "{away:?}");
    in_time("the server ends", server.stop()).await;
}
