//! Pause and resume.

use super::*;

#[actix_rt::test]
async fn a_machine_goes_on_where_it_was_paused_and_nothing_grows() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.shell(id, "set count 0; write note kept").await;
    let running = agent.world.holdings().len();
    for cycle in 1..=20 {
        let access = agent.host.board.access(id).unwrap();
        agent.paused(id, 2 * cycle).await;
        assert_eq!(access.gone.wait().await, "the capsule was paused", "streams into a paused machine end");
        agent.wait_for_state(id, MachineState::Paused).await;
        assert!(agent.host.board.access(id).is_none(), "nobody gets into a paused machine");
        assert_eq!(agent.host.board.live_count(), 0);
        assert_eq!(agent.world.holdings(), [format!("disk of {id}"), format!("memory of {id}")]);
        assert!(agent.resumed(id, 2 * cycle + 1).await.restored);
        agent.wait_for_state(id, MachineState::Running).await;
        assert_eq!(agent.world.holdings().len(), running);
        assert_eq!(agent.shell(id, "get count").await, (cycle - 1).to_string());
        assert_eq!(agent.shell(id, "read note").await, "kept");
        agent.shell(id, &format!("set count {cycle}")).await;
    }
    assert_eq!((agent.world.boots(id), agent.world.restores(id)), (1, 20));
    agent.destroyed(id, 100).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn a_pause_of_the_paused_and_a_resumption_of_the_running_change_nothing() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.resumed(id, 2).await;
    assert_eq!(agent.host.board.report(id).unwrap().generation, 2);
    agent.paused(id, 3).await;
    agent.paused(id, 4).await;
    agent.paused(id, 4).await;
    agent.resumed(id, 5).await;
    agent.resumed(id, 6).await;
    agent.resumed(id, 6).await;
    assert_eq!((agent.world.boots(id), agent.world.restores(id)), (1, 1));
    agent.order_pause(id, 5);
    assert_eq!(agent.failure().await, (5, FailureKind::StaleGeneration));
}

#[actix_rt::test]
async fn commands_that_do_not_fit_the_machine_are_refused_with_what_is_true() {
    let mut agent = Agent::start();
    let (id, absent) = (SandboxId::new(), SandboxId::new());
    for (generation, again) in [(5, false), (5, true), (6, false)] {
        agent.order_pause(absent, generation);
        let failed = agent.failed(generation).await;
        assert_eq!(
            (failed.kind(), failed.state()),
            (FailureKind::InvalidState, MachineState::Exited),
            "{again}"
        );
    }
    agent.order_start(absent, 4);
    assert_eq!(agent.failure().await, (4, FailureKind::StaleGeneration));

    agent.started(id, 1).await;
    agent.paused(id, 2).await;
    agent.order_start(id, 3);
    let failed = agent.failed(3).await;
    assert_eq!((failed.kind(), failed.state()), (FailureKind::InvalidState, MachineState::Paused));
    agent.order_flatten(id, 4, TemplateId::new());
    assert_eq!(agent.failed(4).await.state(), MachineState::Paused);
    agent.resumed(id, 5).await;
    agent.world.crash(id, ExitReason::GuestPanic);
    agent.wait_for_state(id, MachineState::Stopped).await;
    assert!(matches!(agent.frame().await, Frame::Event(_)));
    agent.order_pause(id, 6);
    let failed = agent.failed(6).await;
    assert_eq!((failed.kind(), failed.state()), (FailureKind::InvalidState, MachineState::Stopped));
    agent.order_snapshot(id, 7, TemplateId::new());
    assert_eq!(agent.failed(7).await.state(), MachineState::Stopped);
    agent.destroyed(id, 8).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn a_stopped_machine_is_booted_from_its_disk() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.world.crash(id, ExitReason::GuestPowerOff);
    assert!(matches!(agent.frame().await, Frame::Event(_)));
    agent.wait_for_state(id, MachineState::Stopped).await;
    agent.restart().await;
    agent.wait_for_state(id, MachineState::Stopped).await;
    assert!(!agent.resumed(id, 2).await.restored);
    assert_eq!(agent.shell(id, "get k").await, "");
    assert_eq!(agent.shell(id, "read note").await, "kept");
    // One whose boot fails is stopped as before.
    agent.world.crash(id, ExitReason::GuestPowerOff);
    assert!(matches!(agent.frame().await, Frame::Event(_)));
    agent.wait_for_state(id, MachineState::Stopped).await;
    agent.world.order_fault(SimStep::Boot, SimFault::Fail, 1);
    agent.order_resume(id, 3);
    assert_eq!(agent.failed(3).await.state(), MachineState::Stopped);
    assert_eq!(agent.world.holdings(), [format!("disk of {id}")]);
    agent.resumed(id, 4).await;
    assert_eq!(agent.shell(id, "read note").await, "kept");
}

#[actix_rt::test]
async fn memory_is_dropped_when_that_is_asked_for_and_not_before_the_machine_can_be_booted() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.paused(id, 2).await;
    agent.world.order_fault(SimStep::TakeSlot, SimFault::Fail, 1);
    agent.order_boot(id, 3);
    assert_eq!(agent.failed(3).await.state(), MachineState::Paused);
    agent.resumed(id, 4).await;
    assert_eq!(agent.shell(id, "get k").await, "v");
    agent.paused(id, 5).await;
    agent.order_boot(id, 6);
    assert!(!agent.was_started(6).await.restored);
    assert_eq!(agent.shell(id, "get k").await, "");
    assert_eq!(agent.shell(id, "read note").await, "kept");
    // Also one whose memory cannot be understood.
    agent.paused(id, 7).await;
    agent.world.order_fault(SimStep::ReadManifest, SimFault::Fail, 1);
    agent.order_resume(id, 8);
    let failed = agent.failed(8).await;
    assert_eq!((failed.kind(), failed.state()), (FailureKind::Incompatible, MachineState::Paused));
    assert!(failed.message.contains("drop_memory"), "{}", failed.message);
    agent.order_boot(id, 9);
    assert!(!agent.was_started(9).await.restored);
}

/// A resumption as a server orders it that sends the sandbox's defaults.
fn resume_as(user: &str, greeting: &str, drop_memory: bool) -> Command {
    let default_env = [("GREETING".to_owned(), greeting.to_owned())].into();
    Command::Resume(wire::ResumeMachine { drop_memory, default_user: user.to_owned(), default_env })
}

#[actix_rt::test]
async fn a_resumption_brings_the_user_and_the_environment_that_its_command_names() {
    const DEFAULTS: &str = "whoami; env GREETING";
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    assert_eq!(agent.shell(id, DEFAULTS).await, "root");
    agent.paused(id, 2).await;
    agent.send(id, 3, resume_as("ada", "hello", false));
    assert!(agent.was_started(3).await.restored);
    assert_eq!(agent.shell(id, DEFAULTS).await, "ada\nhello");
    // They are kept, over a restart of the agent, for an older server that does not send them.
    agent.paused(id, 4).await;
    agent.restart().await;
    agent.wait_for_state(id, MachineState::Paused).await;
    agent.resumed(id, 5).await;
    assert_eq!(agent.shell(id, DEFAULTS).await, "ada\nhello");
    agent.paused(id, 6).await;
    agent.send(id, 7, resume_as("eve", "moin", true));
    assert!(!agent.was_started(7).await.restored);
    assert_eq!(agent.shell(id, DEFAULTS).await, "eve\nmoin");
    agent.world.crash(id, ExitReason::GuestPowerOff);
    assert!(matches!(agent.frame().await, Frame::Event(_)));
    agent.wait_for_state(id, MachineState::Stopped).await;
    agent.send(id, 8, resume_as("bob", "ahoy", false));
    assert!(!agent.was_started(8).await.restored);
    assert_eq!(agent.shell(id, DEFAULTS).await, "bob\nahoy");
    // A machine that runs is left as it is.
    agent.send(id, 9, resume_as("eve", "moin", false));
    agent.was_started(9).await;
    assert_eq!(agent.shell(id, DEFAULTS).await, "bob\nahoy");
    agent.paused(id, 10).await;
    agent.resumed(id, 11).await;
    assert_eq!(agent.shell(id, DEFAULTS).await, "bob\nahoy");
}

#[actix_rt::test]
async fn a_machine_that_went_on_when_the_agent_died_has_the_defaults_of_its_resumption() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.paused(id, 2).await;
    agent.hold(FaultPoint::ResumeRunning);
    agent.send(id, 3, resume_as("ada", "hello", false));
    agent.wait_for_point(FaultPoint::ResumeRunning, id).await;
    agent.let_go(FaultPoint::ResumeRunning);
    agent.restart().await;
    agent.wait_for_state(id, MachineState::Running).await;
    assert_eq!(agent.shell(id, "whoami; env GREETING").await, "ada\nhello");
}

#[actix_rt::test]
async fn paused_machines_survive_the_agent_and_the_power() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.shell(id, "set k v").await;
    agent.paused(id, 2).await;
    agent.restart().await;
    agent.wait_for_state(id, MachineState::Paused).await;
    agent.resumed(id, 3).await;
    assert_eq!(agent.shell(id, "get k").await, "v");
    agent.paused(id, 4).await;
    let synced = async {
        while !std::fs::read_to_string(agent.dir.path().join(format!("machines/{id}.json")))
            .unwrap()
            .contains("whole")
        {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, synced).await.expect("the files of the paused machine reach the disk");
    agent.lose_power().await;
    agent.wait_for_state(id, MachineState::Paused).await;
    assert!(agent.resumed(id, 5).await.restored);
    assert_eq!(agent.shell(id, "get k").await, "v");
    agent.lose_power().await;
    agent.wait_for_state(id, MachineState::Stopped).await;
    assert_eq!(agent.world.holdings(), [format!("disk of {id}")]);
}

#[actix_rt::test]
async fn memory_that_was_not_on_the_disk_is_not_used_after_a_loss_of_power() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.world.order_fault(SimStep::SyncFiles, SimFault::StallBefore, u32::MAX);
    agent.paused(id, 2).await;
    agent.wait_for_fault(SimStep::SyncFiles, u32::MAX).await;
    agent.lose_power().await;
    agent.wait_for_state(id, MachineState::Stopped).await;
    assert!(agent.host.board.report(id).unwrap().reason.contains("restarted"));
    let Frame::Event(event) = agent.frame().await else { panic!("expected an event") };
    assert_eq!(event.generation, 2);
    assert!(!agent.resumed(id, 3).await.restored);
    assert_eq!(agent.shell(id, "read note").await, "kept");
}

#[actix_rt::test]
async fn memory_whose_way_to_the_disk_failed_once_is_not_believed_to_be_there() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.world.order_fault(SimStep::SyncFiles, SimFault::Fail, 1);
    agent.paused(id, 2).await;
    agent.wait_for_fault(SimStep::SyncFiles, 1).await;
    agent.wait_for_state(id, MachineState::Paused).await;
    // As long as the power stays on it is what it was.
    assert!(agent.resumed(id, 3).await.restored);
    agent.world.order_fault(SimStep::SyncFiles, SimFault::Fail, 1);
    agent.paused(id, 4).await;
    agent.wait_for_fault(SimStep::SyncFiles, 1).await;
    agent.lose_power().await;
    agent.wait_for_state(id, MachineState::Stopped).await;
}

#[actix_rt::test]
async fn the_next_command_does_not_wait_until_the_disk_has_a_paused_machine() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.world.order_fault(SimStep::SyncFiles, SimFault::StallBefore, 2);
    agent.paused(id, 2).await;
    agent.wait_for_fault(SimStep::SyncFiles, 2).await;
    agent.paused(id, 2).await;
    assert!(agent.resumed(id, 3).await.restored);
    agent.paused(id, 4).await;
    agent.wait_for_fault(SimStep::SyncFiles, 1).await;
    agent.destroyed(id, 5).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn a_resumption_gives_way_before_the_machine_runs_and_is_finished_afterwards() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.shell(id, "set k v").await;
    agent.paused(id, 2).await;
    // While it waits for its guest, only a removal breaks it off.
    agent.world.order_fault(SimStep::Init, SimFault::StallBefore, 1);
    agent.order_resume(id, 3);
    agent.wait_for_fault(SimStep::Init, 1).await;
    agent.order_pause(id, 4);
    let failed = agent.failed(3).await;
    assert_eq!((failed.kind(), failed.state()), (FailureKind::Guest, MachineState::Running));
    assert_eq!(agent.result().await, (4, Outcome::Paused(wire::Paused {})));
    agent.resumed(id, 5).await;
    assert_eq!(agent.shell(id, "get k").await, "v");
    agent.paused(id, 6).await;
    agent.world.order_fault(SimStep::Init, SimFault::StallBefore, 1);
    agent.order_resume(id, 7);
    agent.wait_for_fault(SimStep::Init, 1).await;
    agent.order_destroy(id, 8);
    assert_eq!(agent.failure().await, (7, FailureKind::StaleGeneration));
    assert_eq!(agent.result().await, (8, Outcome::Destroyed(wire::Destroyed {})));
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn a_machine_that_dies_while_it_is_paused_keeps_its_disk() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.world.order_fault(SimStep::Suspend, SimFault::StallBefore, 1);
    agent.order_pause(id, 2);
    agent.wait_for_fault(SimStep::Suspend, 1).await;
    agent.world.crash(id, ExitReason::Signal(9));
    let failed = agent.failed(2).await;
    assert_eq!(failed.state(), MachineState::Stopped);
    assert!(failed.message.contains("signal 9"), "{}", failed.message);
    assert_eq!(agent.world.holdings(), [format!("disk of {id}")]);
    agent.resumed(id, 3).await;
}

#[actix_rt::test]
async fn memory_that_another_vmm_saved_is_kept_and_the_machine_can_be_booted() {
    let mut agent = Agent::start();
    let (id, template) = (SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.order_snapshot(id, 2, template);
    agent.was_made(2).await;
    agent.paused(id, 3).await;
    agent.world.set_vmm_version("2");
    agent.order_resume(id, 4);
    let failed = agent.failed(4).await;
    assert_eq!((failed.kind(), failed.state()), (FailureKind::Incompatible, MachineState::Paused));
    assert!(failed.message.contains("version 1") && failed.message.contains("drop_memory"), "{failed:?}");
    // A template has a way back of its own.
    let copy = SandboxId::new();
    agent.order_start_from(copy, 1, template);
    let started = agent.was_started(1).await;
    assert!(!started.restored && started.warnings[0].contains("version 1"), "{started:?}");
    assert_eq!(agent.shell(copy, "read note").await, "kept");
    agent.world.set_vmm_version("1");
    assert!(agent.resumed(id, 5).await.restored);
    agent.paused(id, 6).await;
    agent.world.set_vmm_version("2");
    agent.order_boot(id, 7);
    let started = agent.was_started(7).await;
    assert!(
        !started.restored && started.warnings[0].contains("last seconds before the pause"),
        "{started:?}"
    );
    assert_eq!(agent.shell(id, "read note").await, "kept");
}

#[actix_rt::test]
async fn memory_is_of_the_vmm_that_ran_the_machine_and_not_of_one_installed_since() {
    let mut agent = Agent::start();
    let (id, template) = (SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.world.set_vmm_version("2");
    agent.order_snapshot(id, 2, template);
    agent.was_made(2).await;
    agent.paused(id, 3).await;
    agent.order_resume(id, 4);
    let failed = agent.failed(4).await;
    assert_eq!(failed.kind(), FailureKind::Incompatible);
    assert!(failed.message.contains("version 1, and this host has 2"), "{failed:?}");
    agent.order_start_from(SandboxId::new(), 1, template);
    let started = agent.was_started(1).await;
    assert!(!started.restored && started.warnings[0].contains("version 1"), "{started:?}");
    agent.world.set_vmm_version("1");
    assert!(agent.resumed(id, 5).await.restored);
}
