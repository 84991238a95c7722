//! The link against a scripted control plane over real gRPC, with simulated machines behind it.

#![allow(clippy::unwrap_used, clippy::expect_used, reason = "a test that cannot go on fails")]
#![allow(clippy::disallowed_methods, reason = "a control plane over a socket takes real time")]

mod support;

use std::time::Duration;

use support::ControlPlane;
use wrenn_agent::{
    config::ServerAddr,
    link::LinkState,
    sim::{SimFault, SimHost, SimIdentity, SimOptions, SimStep},
};
use wrenn_base::{Clock, Rng};
use wrenn_pki::{Authority, JoinToken};
use wrenn_proto::{
    agent::{
        FailureKind, MachineState, Terminate, TunnelErrorKind, agent_frame::Frame, command_result::Outcome,
        server_frame, tunnel_up,
    },
    guest::{CloseStdin, ExecStart, exec_event::Event, exec_input::Input},
    ids::SandboxId,
};
use wrenn_testkit::wait::{eventually, in_time};

async fn sim(plane: &ControlPlane) -> SimHost {
    let host =
        sim_at(plane.address(), SimIdentity::RegistrationToken(plane.token("once")), Clock::process()).await;
    assert!(host.attached().await);
    host
}

async fn sim_at(server: ServerAddr, identity: SimIdentity, clock: Clock) -> SimHost {
    SimHost::start(server, identity, SimOptions::default(), clock, Rng::process()).await.unwrap()
}

#[tokio::test]
async fn a_host_registers_once_and_attaches_with_its_inventory() {
    let mut plane = ControlPlane::start().await;
    let mut host = sim(&plane).await;
    let session = plane.session().await;
    assert_eq!(session.hello.host_id, plane.host_id().to_string());
    assert_eq!(session.hello.vmm, "simulated");
    assert_eq!(session.hello.capacity.unwrap().cpu_cores, 8);
    assert!(session.hello.inventory.unwrap().machines.is_empty());

    let first = session.hello.incarnation;
    host.kill_agent().await;
    host.start_agent().await.unwrap();
    let session = plane.session().await;
    assert_ne!(session.hello.incarnation, first);
    assert_eq!(plane.registrations(), 1);
}

#[tokio::test]
async fn heartbeats_come_at_the_interval_of_the_welcome() {
    let mut plane = ControlPlane::start().await;
    let _host = sim(&plane).await;
    let mut session = plane.session().await;
    for _ in 0..3 {
        let Frame::Heartbeat(beat) = session.frame().await else { panic!("expected a heartbeat") };
        assert_eq!((beat.memory_available_mb, beat.machines), (16 * 1024, 0));
    }
}

#[tokio::test]
async fn machines_are_started_and_destroyed_over_the_link() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    assert!(matches!(session.result().await.outcome, Some(Outcome::Started(_))));
    let inventory = session.inventory(7).await;
    assert_eq!(inventory.request_id, 7);
    assert_eq!(inventory.machines[0].state(), MachineState::Running);
    session.destroy_machine(id, 2);
    assert!(matches!(session.result().await.outcome, Some(Outcome::Destroyed(_))));
    assert!(session.inventory(8).await.machines.is_empty());
    assert!(host.world().holdings().is_empty());
}

#[tokio::test]
async fn what_happens_while_the_link_is_down_is_told_by_the_next_inventory() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    host.world().order_fault(SimStep::TakeSlot, SimFault::Fail, 1);
    session.start_machine(id, 1);
    let Some(Outcome::Failed(failed)) = session.result().await.outcome else { panic!("expected a failure") };
    assert_eq!(failed.kind(), FailureKind::Internal);
    session.start_machine(id, 2);
    assert!(matches!(session.result().await.outcome, Some(Outcome::Started(_))));

    plane.refuse_attaching(true);
    drop(session);
    eventually("the link is down", async || {
        host.link_state().is_some_and(|state| *state.borrow() == LinkState::Connecting)
    })
    .await;
    assert!(host.crash_machine(id));
    plane.refuse_attaching(false);
    let session = plane.session().await;
    let report = &session.hello.inventory.as_ref().unwrap().machines[0];
    assert_eq!((report.generation, report.state()), (2, MachineState::Stopped));
    assert!(report.reason.contains("signal 9"), "{}", report.reason);
}

#[tokio::test]
async fn a_final_termination_ends_the_link_for_good() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let session = plane.session().await;
    let terminate = Terminate { reason: "another agent attached".into(), r#final: false };
    session.send(server_frame::Frame::Terminate(terminate));
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    assert!(matches!(session.result().await.outcome, Some(Outcome::Started(_))));
    assert!(host.credentials().unwrap().is_some());
    let terminate = Terminate { reason: "the host was deleted".into(), r#final: true };
    session.send(server_frame::Frame::Terminate(terminate));
    let mut state = host.link_state().unwrap();
    let ended = state.wait_for(|state| matches!(state, LinkState::Ended { .. }));
    let ended = in_time("the end of the link", ended).await.unwrap().clone();
    let reason = "ended by the control plane: the host was deleted".to_owned();
    assert_eq!(ended, LinkState::Ended { reason });
    assert!(host.world().holdings().is_empty(), "its machines are destroyed");
    assert_eq!(host.credentials().unwrap(), None);
}

#[tokio::test]
async fn a_used_registration_token_is_refused_for_good() {
    let mut plane = ControlPlane::start().await;
    let _host = sim(&plane).await;
    plane.session().await;
    let identity = SimIdentity::RegistrationToken(plane.token("once"));
    let second = sim_at(plane.address(), identity, Clock::process()).await;
    assert!(!second.attached().await);
}

#[tokio::test]
async fn a_certificate_that_is_not_accepted_any_more_is_renewed() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let session = plane.session().await;
    let before = host.credentials().unwrap().unwrap();
    plane.revoke_certificates();
    drop(session);
    plane.session().await;
    let after = host.credentials().unwrap().unwrap();
    assert_eq!(before.host_id, after.host_id);
    assert_ne!(before.certificate.0, after.certificate.0);
    assert_ne!(before.private_key.0, after.private_key.0, "each certificate is of another key");
}

#[tokio::test]
async fn a_certificate_that_expires_soon_is_renewed_before_attaching() {
    let mut plane = ControlPlane::start().await;
    let (clock, hand) = Clock::manual();
    let identity = SimIdentity::RegistrationToken(plane.token("once"));
    let mut host = sim_at(plane.address(), identity, clock).await;
    plane.session().await;
    let before = host.credentials().unwrap().unwrap();
    host.kill_agent().await;
    hand.advance(Duration::from_secs(before.expires_at - before.issued_at) * 3 / 4);
    host.start_agent().await.unwrap();
    plane.session().await;
    assert_ne!(before.certificate.0, host.credentials().unwrap().unwrap().certificate.0);
}

#[tokio::test]
async fn a_certificate_is_renewed_when_two_thirds_of_its_life_are_over() {
    let mut plane = ControlPlane::start().await;
    let (clock, hand) = Clock::manual();
    let identity = SimIdentity::RegistrationToken(plane.token("once"));
    let host = sim_at(plane.address(), identity, clock).await;
    assert!(host.attached().await);
    let _session = plane.session().await;
    let before = host.credentials().unwrap().unwrap();
    let life = Duration::from_secs(before.expires_at - before.issued_at);
    hand.advance(life * 2 / 3 - Duration::from_secs(60));
    assert_eq!(host.credentials().unwrap().unwrap(), before);
    eventually("the certificate is renewed", async || {
        hand.advance(Duration::from_secs(1));
        host.credentials().unwrap().unwrap().certificate.0 != before.certificate.0
    })
    .await;
    let after = host.credentials().unwrap().unwrap();
    assert!(after.issued_at >= before.issued_at + life.as_secs() * 2 / 3, "{before:?}, {after:?}");
    plane.session().await;
}

#[tokio::test]
async fn a_host_whose_certificate_is_lost_registers_anew_as_the_same_host() {
    let mut plane = ControlPlane::start().await;
    plane.allow_any_registration();
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    session.result().await;
    plane.refuse_renewals();
    plane.revoke_certificates();
    drop(session);
    let session = plane.session().await;
    assert_eq!(session.hello.host_id, plane.host_id().to_string());
    assert_eq!((session.hello.inventory.unwrap().machines.len(), plane.registrations()), (1, 2));
    assert!(host.attached().await);
}

#[tokio::test]
async fn a_host_with_machines_does_not_become_another_one() {
    let mut plane = ControlPlane::start().await;
    plane.allow_any_registration();
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let before = host.credentials().unwrap();
    session.start_machine(SandboxId::new(), 1);
    session.result().await;
    plane.change_host_id();
    plane.refuse_renewals();
    plane.revoke_certificates();
    drop(session);
    let mut state = host.link_state().unwrap();
    let ended = state.wait_for(|state| matches!(state, LinkState::Ended { .. }));
    let ended = in_time("the end of the link", ended).await.unwrap().clone();
    let LinkState::Ended { reason } = ended else { panic!("expected the end") };
    assert!(reason.contains(&before.as_ref().unwrap().host_id.to_string()), "{reason}");
    assert_eq!(host.credentials().unwrap(), before);
}

#[tokio::test]
async fn a_certificate_serves_until_it_expires_although_it_cannot_be_renewed() {
    let mut plane = ControlPlane::start().await;
    let (clock, hand) = Clock::manual();
    let identity = SimIdentity::RegistrationToken(plane.token("once"));
    let mut host = sim_at(plane.address(), identity, clock).await;
    plane.session().await;
    let before = host.credentials().unwrap();
    host.kill_agent().await;
    plane.refuse_renewals();
    hand.advance(Duration::from_secs(3000));
    host.start_agent().await.unwrap();
    assert!(host.attached().await);
    plane.session().await;
    assert_eq!(host.credentials().unwrap(), before);
}

#[tokio::test]
async fn a_host_whose_certificate_has_expired_says_what_to_do() {
    let mut plane = ControlPlane::start().await;
    let (clock, hand) = Clock::manual();
    let identity = SimIdentity::RegistrationToken(plane.token("once"));
    let mut host = sim_at(plane.address(), identity, clock).await;
    plane.session().await;
    host.kill_agent().await;
    hand.advance(Duration::from_secs(4000));
    host.start_agent().await.unwrap();
    let mut state = host.link_state().unwrap();
    let ended = state.wait_for(|state| matches!(state, LinkState::Ended { .. }));
    let ended = in_time("the end of the link", ended).await.unwrap().clone();
    let LinkState::Ended { reason } = ended else { panic!("expected the end") };
    assert!(reason.contains("registration token"), "{reason}");
}

#[tokio::test]
async fn a_control_plane_of_another_authority_gets_no_registration_token() {
    let plane = ControlPlane::start().await;
    let other = ControlPlane::start().await;
    let identity = SimIdentity::RegistrationToken(other.token("once"));
    let _host = sim_at(plane.address(), identity, Clock::process()).await;
    let dialled = async || plane.handshakes_refused() > 1;
    eventually("the host dials twice, and shows nothing", dialled).await;
    assert_eq!(plane.registrations(), 0);
}

#[tokio::test]
async fn an_agent_waits_for_a_control_plane_that_is_not_there_yet() {
    let dir = tempfile::tempdir().unwrap();
    let address = ServerAddr::Unix(dir.path().join("grpc.sock"));
    let authority = Authority::generate(Clock::process().wall()).unwrap();
    let of_authority = Authority::from_parts(&authority).unwrap().fingerprint();
    let token = JoinToken { secret: "once".into(), authority: of_authority, address: String::new() };
    let host = sim_at(address.clone(), SimIdentity::RegistrationToken(token), Clock::process()).await;
    let mut plane = ControlPlane::start_with(address, &authority).await;
    assert!(host.attached().await);
    plane.session().await;
}

#[tokio::test]
async fn an_exec_goes_through_a_tunnel_and_back() {
    let mut plane = ControlPlane::start().await;
    let _host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    session.result().await;

    let start = ExecStart { cmd: "echo hello; warn careful; exit 3".into(), ..ExecStart::default() };
    let mut tunnel = plane.open_tunnel(&session, id).await;
    tunnel.send(Input::Start(start)).await;
    let output = tunnel.output().await;
    assert_eq!((output.stdout.as_slice(), output.stderr.as_slice()), (&b"hello\n"[..], &b"careful\n"[..]));
    assert_eq!(output.exit_code, Some(3));

    let mut tunnel = plane.open_tunnel(&session, id).await;
    tunnel.send(Input::Start(ExecStart { cmd: "cat".into(), ..ExecStart::default() })).await;
    tunnel.send(Input::Stdin(vec![0, 159, 146, 150].into())).await;
    tunnel.send(Input::CloseStdin(CloseStdin {})).await;
    let output = tunnel.output().await;
    assert_eq!((output.stdout.as_slice(), output.exit_code), (&[0, 159, 146, 150][..], Some(0)));
}

#[tokio::test]
async fn many_execs_run_at_once_and_large_output_stays_in_order() {
    let mut plane = ControlPlane::start().await;
    let _host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    session.result().await;
    let mut stalled = plane.open_tunnel(&session, id).await;
    stalled.send(Input::Start(ExecStart { cmd: "flood 50000000".into(), ..ExecStart::default() })).await;
    for _ in 0..20 {
        let mut tunnel = plane.open_tunnel(&session, id).await;
        tunnel
            .send(Input::Start(ExecStart { cmd: "flood 300000; exit 5".into(), ..ExecStart::default() }))
            .await;
        let output = tunnel.output().await;
        assert_eq!((output.stdout.len(), output.exit_code), (300_000, Some(5)));
    }
    let output = stalled.output().await;
    assert_eq!((output.stdout.len(), output.exit_code), (50_000_000, Some(0)));
}

#[tokio::test]
async fn a_tunnel_to_a_machine_that_does_not_run_is_refused() {
    let mut plane = ControlPlane::start().await;
    let _host = sim(&plane).await;
    let mut session = plane.session().await;
    session.request_tunnel("tun-1", SandboxId::new());
    let Frame::TunnelRefused(refused) = session.frame_but_heartbeats().await else {
        panic!("expected a refusal")
    };
    assert_eq!(refused.tunnel_id, "tun-1");
    assert_eq!(refused.error.unwrap().kind(), TunnelErrorKind::NoMachine);
}

#[tokio::test]
async fn a_machine_has_a_limit_of_open_tunnels_and_the_others_theirs() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let (greedy, other) = (SandboxId::new(), SandboxId::new());
    for id in [greedy, other] {
        session.start_machine(id, 1);
        session.result().await;
    }
    let mut tunnels = Vec::new();
    for _ in 0..128 {
        tunnels.push(plane.open_tunnel(&session, greedy).await);
    }
    session.request_tunnel("tun-1", greedy);
    let Frame::TunnelRefused(refused) = session.frame_but_heartbeats().await else {
        panic!("expected a refusal")
    };
    assert_eq!(refused.error.unwrap().message, "the capsule has too many open streams");
    plane.open_tunnel(&session, other).await;
    tunnels.clear();
    let access = host.board().unwrap().access(greedy).unwrap();
    eventually("the tunnels are closed", async || access.tunnel_permits.available_permits() == 128).await;
}

#[tokio::test]
async fn a_tunnel_says_so_when_its_machine_dies_or_its_guest_misbehaves() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    session.result().await;
    for (cmd, kind) in [("babble", TunnelErrorKind::GuestProtocol), ("hang", TunnelErrorKind::MachineGone)] {
        let mut tunnel = plane.open_tunnel(&session, id).await;
        tunnel.send(Input::Start(ExecStart { cmd: cmd.into(), ..ExecStart::default() })).await;
        assert!(matches!(tunnel.frame().await, Some(tunnel_up::Frame::Exec(_))));
        if cmd == "hang" {
            assert!(host.crash_machine(id));
        }
        let Some(tunnel_up::Frame::Error(error)) = tunnel.frame().await else { panic!("expected an error") };
        assert_eq!(error.kind(), kind);
        assert!(tunnel.frame().await.is_none());
    }
}

#[tokio::test]
async fn a_command_ends_when_the_control_plane_leaves_its_tunnel() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let id = SandboxId::new();
    session.start_machine(id, 1);
    session.result().await;
    let mut tunnel = plane.open_tunnel(&session, id).await;
    tunnel.send(Input::Start(ExecStart { cmd: "sleep 3600".into(), ..ExecStart::default() })).await;
    let Some(tunnel_up::Frame::Exec(event)) = tunnel.frame().await else { panic!("expected an event") };
    assert!(matches!(event.event, Some(Event::Started(_))));
    assert_eq!(host.world().execs_running(), 1);
    drop(tunnel);
    eventually("the command ends", async || host.world().execs_running() == 0).await;
}

#[tokio::test]
async fn a_slow_machine_delays_neither_others_nor_the_reader() {
    let mut plane = ControlPlane::start().await;
    let host = sim(&plane).await;
    let mut session = plane.session().await;
    let (slow, quick) = (SandboxId::new(), SandboxId::new());
    host.world().order_fault(SimStep::Boot, SimFault::StallBefore, 1);
    session.start_machine(slow, 1);
    eventually("its boot stands still", async || host.world().faults_left(SimStep::Boot) == 0).await;
    session.start_machine(quick, 1);
    let result = session.result().await;
    assert_eq!(result.sandbox_id, quick.to_string());
    assert_eq!(session.inventory(1).await.machines.len(), 2);
}

#[tokio::test]
async fn fifty_hosts_live_in_one_process() {
    let mut plane = ControlPlane::start().await;
    plane.allow_any_registration();
    let mut hosts = Vec::new();
    for n in 0..50 {
        let identity = SimIdentity::RegistrationToken(plane.token(&format!("token{n}")));
        hosts.push(sim_at(plane.address(), identity, Clock::process()).await);
    }
    for _ in 0..50 {
        let mut session = plane.session().await;
        session.start_machine(SandboxId::new(), 1);
        assert!(matches!(session.result().await.outcome, Some(Outcome::Started(_))));
    }
    let stop = async {
        for host in &mut hosts {
            host.stop_agent().await;
        }
    };
    in_time("the end of all agents", stop).await;
}
