//! Starts and removals, and the end of machines.

use super::*;

const TAKING: [SimStep; 6] =
    [SimStep::Admit, SimStep::TakeSlot, SimStep::MakeDisk, SimStep::Boot, SimStep::Hello, SimStep::Init];
const RELEASING: [SimStep; 3] = [SimStep::Kill, SimStep::RemoveFiles, SimStep::ReleaseSlot];

#[actix_rt::test]
async fn a_machine_that_is_destroyed_leaves_no_trace() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    assert_eq!(agent.host.board.report(id).unwrap().state(), MachineState::Running);
    assert!(agent.host.board.access(id).is_some());
    assert_eq!(agent.world.running(), [id]);
    agent.destroyed(id, 2).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn the_destruction_of_an_unknown_machine_succeeds_and_fences_it() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.destroyed(id, 5).await;
    agent.order_start(id, 4);
    assert_eq!(agent.failure().await, (4, FailureKind::StaleGeneration));
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn a_command_that_is_sent_again_has_its_effect_once() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.started(id, 1).await;
    assert_eq!(agent.world.boots(id), 1);
    agent.destroyed(id, 2).await;
    agent.destroyed(id, 2).await;
    agent.restart().await;
    agent.destroyed(id, 2).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn an_older_command_is_refused_also_after_a_destruction_and_a_restart() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 5).await;
    agent.order_destroy(id, 4);
    assert_eq!(agent.failure().await, (4, FailureKind::StaleGeneration));
    agent.destroyed(id, 6).await;
    agent.order_start(id, 5);
    assert_eq!(agent.failure().await, (5, FailureKind::StaleGeneration));
    agent.restart().await;
    agent.order_start(id, 5);
    assert_eq!(agent.failure().await, (5, FailureKind::StaleGeneration));
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn a_running_machine_is_not_started_a_second_time() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.order_start(id, 2);
    assert_eq!(agent.failure().await, (2, FailureKind::InvalidState));
    assert_eq!(agent.world.boots(id), 1);
    assert!(agent.host.board.access(id).is_some());
    let report = agent.host.board.report(id).unwrap();
    assert_eq!((report.generation, report.state()), (2, MachineState::Running));
    agent.world.crash(id, ExitReason::GuestPanic);
    agent.wait_for_state(id, MachineState::Stopped).await;
}

#[actix_rt::test]
async fn records_that_cannot_be_written_hold_up_neither_outcomes_nor_a_destruction() {
    let mut agent = Agent::start();
    let (new, old) = (SandboxId::new(), SandboxId::new());
    agent.started(old, 1).await;
    // A folder where the new text of a record is to be written, as good as a full disk.
    for id in [new, old] {
        std::fs::create_dir(agent.dir.path().join(format!("machines/{id}.json.new"))).unwrap();
    }
    agent.order_start(new, 1);
    assert_eq!(agent.failure().await, (1, FailureKind::Internal));
    agent.wait_for_state(new, MachineState::Exited).await;
    agent.world.crash(old, ExitReason::GuestPanic);
    assert!(matches!(agent.frame().await, Frame::Event(_)));
    agent.wait_for_state(old, MachineState::Stopped).await;
    assert_eq!(agent.world.holdings(), [format!("disk of {old}")]);
    agent.destroyed(new, 2).await;
    agent.destroyed(old, 2).await;
    assert_eq!(agent.host.board.reports(), []);
}

#[actix_rt::test]
async fn a_failure_at_any_step_undoes_all_of_them() {
    for fault in [SimFault::Fail, SimFault::Panic] {
        for step in TAKING {
            let mut agent = Agent::start();
            let id = SandboxId::new();
            // A guest is greeted again and again, so it must fail always.
            let times = if (step, fault) == (SimStep::Hello, SimFault::Fail) { u32::MAX } else { 1 };
            agent.world.order_fault(step, fault, times);
            agent.order_start(id, 1);
            let (_, kind) = agent.failure().await;
            let is_of_guest = matches!(step, SimStep::Hello | SimStep::Init) || fault == SimFault::Panic;
            let expected = if is_of_guest { FailureKind::BootFailed } else { FailureKind::Internal };
            assert_eq!(kind, expected, "{fault:?} of {step:?}");
            agent.wait_for_state(id, MachineState::Exited).await;
            assert_eq!(agent.world.holdings(), Vec::<String>::new(), "{fault:?} of {step:?}");
            agent.world.clear_faults();
            agent.started(id, 2).await;
            agent.destroyed(id, 3).await;
            agent.assert_no_trace(id);
        }
    }
}

#[actix_rt::test]
async fn what_cannot_be_released_at_once_is_released_later() {
    for fault in [SimFault::Fail, SimFault::Panic] {
        for step in RELEASING {
            let mut agent = Agent::start();
            let id = SandboxId::new();
            agent.started(id, 1).await;
            agent.world.order_fault(step, fault, 2);
            agent.destroyed(id, 2).await;
            agent.assert_no_trace(id);
        }
    }
}

#[actix_rt::test]
async fn an_agent_that_is_killed_at_any_step_of_a_start_undoes_it_when_it_is_back() {
    for stall in [SimFault::StallBefore, SimFault::StallAfter] {
        for step in TAKING {
            let mut agent = Agent::start();
            let id = SandboxId::new();
            agent.world.order_fault(step, stall, u32::MAX);
            agent.order_start(id, 1);
            agent.wait_for(id, |report| report.is_some_and(|report| report.busy)).await;
            if matches!(step, SimStep::Boot | SimStep::Hello | SimStep::Init) && stall == SimFault::StallAfter
            {
                let booted = async {
                    while agent.world.running().is_empty() {
                        tokio::task::yield_now().await
                    }
                };
                timeout(PATIENCE, booted).await.unwrap();
            }
            agent.restart().await;
            agent.wait_for_state(id, MachineState::Exited).await;
            assert_eq!(agent.world.holdings(), Vec::<String>::new(), "{stall:?} of {step:?}");
            assert_eq!(agent.failure().await, (1, FailureKind::BootFailed));
            agent.order_start(id, 1);
            assert_eq!(agent.failure().await, (1, FailureKind::BootFailed));
            agent.destroyed(id, 2).await;
            agent.assert_no_trace(id);
        }
    }
}

#[actix_rt::test]
async fn an_agent_that_is_killed_at_any_step_of_a_destruction_finishes_it_when_it_is_back() {
    for stall in [SimFault::StallBefore, SimFault::StallAfter] {
        for step in RELEASING {
            let mut agent = Agent::start();
            let id = SandboxId::new();
            agent.started(id, 1).await;
            agent.world.order_fault(step, stall, u32::MAX);
            agent.order_destroy(id, 2);
            agent.wait_for(id, |report| report.is_some_and(|report| report.generation == 2)).await;
            agent.restart().await;
            agent.wait_for(id, |report| report.is_none()).await;
            agent.assert_no_trace(id);
            agent.order_start(id, 1);
            assert_eq!(agent.result().await.0, 2);
            assert_eq!(agent.failure().await, (1, FailureKind::StaleGeneration));
        }
    }
}

#[actix_rt::test]
async fn a_destruction_overtakes_a_start_in_progress() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.world.order_fault(SimStep::Init, SimFault::StallBefore, 1);
    agent.order_start(id, 1);
    let booted = async {
        while agent.world.running().is_empty() {
            tokio::task::yield_now().await
        }
    };
    timeout(PATIENCE, booted).await.unwrap();
    agent.destroyed_after_overtaking(id).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn of_the_commands_that_wait_only_the_latest_is_carried_out() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.world.order_fault(SimStep::RemoveFiles, SimFault::Fail, 2);
    agent.order_destroy(id, 2);
    agent.order_start(id, 3);
    agent.order_destroy(id, 4);
    agent.order_start(id, 5);
    assert_eq!(agent.failure().await, (3, FailureKind::StaleGeneration));
    assert_eq!(agent.failure().await, (4, FailureKind::StaleGeneration));
    assert_eq!(agent.result().await.0, 2);
    assert!(matches!(agent.result().await, (5, Outcome::Started(_))));
    assert_eq!(agent.world.boots(id), 2);
}

#[actix_rt::test]
async fn a_machine_that_ends_by_itself_is_cleaned_up_and_reported_with_its_reason() {
    let mut agent = Agent::start();
    let id = SandboxId::new();
    agent.started(id, 3).await;
    let access = agent.host.board.access(id).unwrap();
    agent.world.crash(id, ExitReason::Signal(9));
    let Frame::Event(event) = agent.frame().await else { panic!("expected an event") };
    assert_eq!((event.sandbox_id, event.generation), (id.to_string(), 3));
    let Some(wire::machine_event::Event::Exited(exited)) = event.event else { panic!("expected an exit") };
    assert!(exited.reason.contains("signal 9"), "{}", exited.reason);
    let reason = access.gone.wait().await;
    assert!(reason.starts_with("the machine ended: ") && reason.contains("signal 9"), "{reason}");
    assert!(agent.host.board.access(id).is_none());
    let report = agent.host.board.report(id).unwrap();
    assert_eq!(exited.state(), MachineState::Stopped);
    assert_eq!((report.state(), report.reason, report.busy), (MachineState::Stopped, exited.reason, false));
    assert_eq!(agent.world.holdings(), [format!("disk of {id}")]);
    agent.destroyed(id, 4).await;
    agent.assert_no_trace(id);
}

#[actix_rt::test]
async fn running_machines_survive_the_agent_and_dead_ones_are_noticed() {
    let mut agent = Agent::start();
    let ids: Vec<_> = (0..4).map(|_| SandboxId::new()).collect();
    for &id in &ids {
        agent.started(id, 1).await;
    }
    let dead = ids[3];
    agent.host.killed.cancel();
    agent.world.crash(dead, ExitReason::GuestPowerOff);
    let gone = async {
        while agent.world.running().contains(&dead) {
            tokio::task::yield_now().await
        }
    };
    timeout(PATIENCE, gone).await.unwrap();
    agent.restart().await;
    for &id in &ids[..3] {
        agent.wait_for_state(id, MachineState::Running).await;
        assert_eq!(agent.world.boots(id), 1);
        assert!(agent.host.board.access(id).unwrap().guest.hello().await.is_ok());
    }
    agent.wait_for_state(dead, MachineState::Stopped).await;
    assert_eq!(agent.world.holdings().len(), 3 * 3 + 1);
    agent.world.crash(ids[0], ExitReason::GuestPanic);
    agent.wait_for_state(ids[0], MachineState::Stopped).await;
}

#[actix_rt::test]
async fn a_machine_that_stands_still_delays_no_other() {
    let mut agent = Agent::start();
    let (slow, quick) = (SandboxId::new(), SandboxId::new());
    agent.world.order_fault(SimStep::Boot, SimFault::StallBefore, 1);
    agent.order_start(slow, 1);
    // It is the slow one that stalls, and not the one that comes after it.
    agent.wait_for_fault(SimStep::Boot, 1).await;
    agent.started(quick, 1).await;
    agent.destroyed(quick, 2).await;
    assert_eq!(agent.host.board.report(slow).unwrap().state(), MachineState::Starting);
}

#[actix_rt::test]
async fn commands_that_make_no_sense_are_refused_and_harm_nothing() {
    let mut agent = Agent::start();
    agent
        .machines
        .addr()
        .do_send(Dispatch(wire::Command { sandbox_id: "../x".into(), ..Default::default() }));
    assert_eq!(agent.failure().await, (0, FailureKind::Internal));
    let sandbox_id = SandboxId::new().to_string();
    agent.machines.addr().do_send(Dispatch(wire::Command {
        sandbox_id,
        generation: 3,
        ..Default::default()
    }));
    assert_eq!(agent.failure().await, (3, FailureKind::Internal));
    agent.started(SandboxId::new(), 1).await;
}

#[actix_rt::test]
async fn a_removal_that_fails_is_tried_again_ever_more_slowly() {
    let (clock, hand) = Clock::manual();
    let mut agent = Agent::start_by(BootSnapshots::Off, clock);
    let id = SandboxId::new();
    agent.started(id, 1).await;
    agent.world.order_fault(SimStep::RemoveFiles, SimFault::Fail, 4);
    agent.order_destroy(id, 2);
    for (failures, rest_ms) in [(1, 100), (2, 200), (3, 400), (4, 800)] {
        let rests = async {
            while agent.world.tries(SimStep::RemoveFiles) < failures || hand.sleepers() == 0 {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, rests).await.unwrap();
        // A fifth less or more is jitter.
        hand.advance(Duration::from_millis(rest_ms * 8 / 10 - 1));
        for _ in 0..100 {
            tokio::task::yield_now().await;
        }
        assert_eq!(agent.world.tries(SimStep::RemoveFiles), failures);
        hand.advance(Duration::from_millis(rest_ms * 4 / 10 + 1));
    }
    assert_eq!(agent.result().await, (2, Outcome::Destroyed(wire::Destroyed {})));
    assert_eq!(agent.world.tries(SimStep::RemoveFiles), 5);
    agent.assert_no_trace(id);
}
