//! Templates: made of machines, machines made of them, removed; and boot snapshots.

use futures_util::FutureExt as _;

use super::*;

async fn dropped(agent: &mut Agent, template: TemplateId) -> wire::TemplateDropped {
    agent.host.drop_template(template.to_string()).await;
    match agent.frame().await {
        Frame::TemplateDropped(dropped) => dropped,
        other => panic!("expected a removal, got {other:?}"),
    }
}

#[actix_rt::test]
async fn a_snapshot_leaves_its_machine_running_and_makes_others_that_go_on_by_themselves() {
    let mut agent = Agent::start();
    let (id, copy, template) = (SandboxId::new(), SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.order_snapshot(id, 2, template);
    let made = agent.was_made(2).await;
    assert_eq!(
        (made.template_id.as_str(), made.state()),
        (template.to_string().as_str(), MachineState::Running)
    );
    assert!(agent.world.is_lively(id));
    assert_eq!(agent.shell(id, "get k").await, "v");
    agent.shell(id, "set k changed").await;
    assert_eq!(agent.host.backend.template_ids(), [template]);

    agent.order_start_from(copy, 1, template);
    assert!(agent.was_started(1).await.restored);
    assert!(agent.world.is_lively(copy), "the copy was frozen when it was saved");
    assert_eq!(agent.shell(copy, "get k; read note; hostname; df").await, "v\nkept\ncopy\n1024");
    agent.restart().await;
    agent.wait_for_state(copy, MachineState::Running).await;
    assert_eq!(agent.host.backend.template_ids(), [template]);

    agent.destroyed(id, 3).await;
    agent.destroyed(copy, 2).await;
    assert_eq!(dropped(&mut agent, template).await.error, "");
    assert_eq!(dropped(&mut agent, template).await.error, "");
    assert_eq!(agent.world.artifacts(), Vec::<String>::new());
    agent.order_start_from(copy, 3, template);
    assert_eq!(agent.failure().await, (3, FailureKind::TemplateMissing));
    agent.destroyed(copy, 4).await;
    agent.assert_no_trace(copy);
}

#[actix_rt::test]
async fn templates_are_made_of_machines_at_rest_too() {
    let mut agent = Agent::start();
    let (id, copy) = (SandboxId::new(), SandboxId::new());
    let (snapshot, flat) = (TemplateId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.paused(id, 2).await;
    agent.order_snapshot(id, 3, snapshot);
    assert_eq!(agent.was_made(3).await.state(), MachineState::Paused);
    agent.order_boot(id, 4);
    agent.was_started(4).await;
    agent.world.crash(id, ExitReason::GuestPowerOff);
    assert!(matches!(agent.frame().await, Frame::Event(_)));
    agent.wait_for_state(id, MachineState::Stopped).await;
    agent.order_flatten(id, 5, flat);
    let made = agent.was_made(5).await;
    assert_eq!((made.state(), made.disk_size_mb), (MachineState::Stopped, 256));

    agent.order_start_from(copy, 1, snapshot);
    assert!(agent.was_started(1).await.restored);
    assert_eq!(agent.shell(copy, "get k").await, "v");
    agent.destroyed(copy, 2).await;
    agent.order_start_from(copy, 3, flat);
    assert!(!agent.was_started(3).await.restored);
    assert_eq!(agent.shell(copy, "get k; read note; df").await, "\nkept\n1024");
    // Of a running one, too.
    let other = TemplateId::new();
    agent.order_flatten(copy, 4, other);
    assert_eq!(agent.was_made(4).await.state(), MachineState::Running);
    assert!(agent.world.is_lively(copy));
}

#[actix_rt::test]
async fn a_disk_that_is_wanted_as_it_is_keeps_its_size_and_is_not_made_small() {
    let mut agent = Agent::start();
    let (id, copy, template) = (SandboxId::new(), SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.shell(id, "set k v; write note kept").await;
    agent.order_as_it_is(id, 2, template);
    let made = agent.was_made(2).await;
    assert_eq!((made.state(), made.disk_size_mb), (MachineState::Running, 512));
    assert!(agent.world.is_lively(id));
    // The same command again, as after a restart of the server: the recorded outcome.
    agent.order_as_it_is(id, 2, template);
    assert_eq!(agent.was_made(2).await, made);
    assert_eq!(agent.world.tries(SimStep::Flatten), 0);
    agent.order_start_from(copy, 1, template);
    assert!(!agent.was_started(1).await.restored);
    assert_eq!(agent.shell(copy, "get k; read note").await, "\nkept");
}

#[actix_rt::test]
async fn a_machine_must_be_of_the_size_of_the_memory_it_is_made_from() {
    let mut agent = Agent::start();
    let (id, template) = (SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.order_snapshot(id, 2, template);
    agent.was_made(2).await;
    let start = wire::StartMachine {
        template_id: template.to_string(),
        vcpus: 2,
        memory_mb: 128,
        ..wire::StartMachine::default()
    };
    agent.send(SandboxId::new(), 1, Command::Start(start));
    let failed = agent.failed(1).await;
    assert!(failed.message.contains("1 vCPUs and 128 MiB"), "{}", failed.message);
}

#[actix_rt::test]
async fn a_template_is_removed_when_the_last_machine_that_is_made_of_it_has_its_files() {
    let mut agent = Agent::start();
    let (id, copy, template) = (SandboxId::new(), SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.order_snapshot(id, 2, template);
    agent.was_made(2).await;
    agent.world.order_fault(SimStep::CloneSaved, SimFault::StallBefore, 1);
    agent.order_start_from(copy, 1, template);
    agent.wait_for_fault(SimStep::CloneSaved, 1).await;
    let host = agent.host.clone();
    let dropping = host.drop_template(template.to_string());
    tokio::pin!(dropping);
    assert!((&mut dropping).now_or_never().is_none());
    assert_eq!(agent.world.artifacts().len(), 1);
    // The start is stuck for ever, but its agent can die.
    agent.restart().await;
    agent.wait_for_state(copy, MachineState::Exited).await;
    assert_eq!(agent.failure().await, (1, FailureKind::BootFailed));
    assert_eq!(dropped(&mut agent, template).await.error, "");
    assert_eq!(agent.world.artifacts(), Vec::<String>::new());
}

#[actix_rt::test]
async fn one_template_is_not_made_twice_and_a_full_host_makes_none() {
    let mut agent = Agent::start();
    let (id, template) = (SandboxId::new(), TemplateId::new());
    agent.started(id, 1).await;
    agent.order_snapshot(id, 2, template);
    agent.was_made(2).await;
    agent.order_snapshot(id, 2, template);
    agent.was_made(2).await;
    assert_eq!(agent.world.tries(SimStep::FinishDraft), 1);
    agent.order_flatten(id, 3, template);
    let failed = agent.failed(3).await;
    assert_eq!((failed.kind(), failed.state()), (FailureKind::InvalidState, MachineState::Running));
    agent.paused(id, 4).await;
    agent.world.set_full(true);
    agent.resumed(id, 5).await;
    for (generation, order) in [(6, Agent::order_snapshot as fn(&Agent, _, _, _)), (7, Agent::order_flatten)]
    {
        order(&agent, id, generation, TemplateId::new());
        let failed = agent.failed(generation).await;
        assert_eq!((failed.kind(), failed.state()), (FailureKind::NoSpace, MachineState::Running));
    }
    agent.order_start(SandboxId::new(), 1);
    assert_eq!(agent.failure().await, (1, FailureKind::NoSpace));
    assert!(agent.world.is_lively(id));
    agent.destroyed(id, 8).await;
}

#[actix_rt::test]
async fn a_destruction_overtakes_a_template_in_the_making() {
    for step in [SimStep::SyncFiles, SimStep::Flatten, SimStep::FinishDraft] {
        let mut agent = Agent::start();
        let (id, template) = (SandboxId::new(), TemplateId::new());
        agent.started(id, 1).await;
        agent.world.order_fault(step, SimFault::StallBefore, 1);
        agent.order_flatten(id, 2, template);
        agent.wait_for_fault(step, 1).await;
        agent.order_destroy(id, 3);
        assert_eq!(agent.failure().await, (2, FailureKind::StaleGeneration), "{step:?}");
        assert_eq!(agent.result().await, (3, Outcome::Destroyed(wire::Destroyed {})));
        agent.assert_no_trace(id);
        assert_eq!(agent.world.artifacts(), Vec::<String>::new());
    }
}

fn order_large_start(agent: &Agent, id: SandboxId, generation: u64, disk_size_mb: u32) {
    let start = wire::StartMachine {
        image: spec().image,
        vcpus: 1,
        memory_mb: 128,
        disk_size_mb,
        hostname: id.to_string(),
        ..wire::StartMachine::default()
    };
    agent.send(id, generation, Command::Start(start));
}

#[actix_rt::test]
async fn the_second_start_of_a_kind_is_a_restore() {
    let mut agent = Agent::start_with(BootSnapshots::On);
    let ids: Vec<_> = (0..4).map(|_| SandboxId::new()).collect();
    // Several at once make one boot snapshot, and all run.
    for &id in &ids[..3] {
        order_large_start(&agent, id, 1, 6144);
    }
    for _ in 0..3 {
        assert!(!agent.was_started(1).await.restored);
    }
    let made = async {
        while agent.world.artifacts().is_empty() {
            tokio::task::yield_now().await;
        }
    };
    timeout(PATIENCE, made).await.expect("a boot snapshot");
    assert_eq!((agent.world.tries(SimStep::BeginDraft), agent.world.artifacts().len()), (1, 1));
    order_large_start(&agent, ids[3], 1, 8192);
    assert!(agent.was_started(1).await.restored);
    assert_eq!(agent.shell(ids[3], "hostname; df").await, format!("{}\n8192", ids[3]));
    assert_eq!(agent.shell(ids[0], "hostname; df").await, format!("{}\n6144", ids[0]));
    assert!(ids.iter().all(|&id| agent.world.is_lively(id)));
    // A smaller disk than the snapshot's, or another size, is booted.
    let small = SandboxId::new();
    order_large_start(&agent, small, 1, 1024);
    assert!(!agent.was_started(1).await.restored);
    assert_eq!(agent.world.artifacts().len(), 1);
}

#[actix_rt::test]
async fn a_boot_snapshot_that_cannot_be_restored_is_dropped_and_the_machine_booted() {
    for step in [SimStep::CloneSaved, SimStep::Restore, SimStep::Run, SimStep::ResizeDisk, SimStep::Init] {
        let mut agent = Agent::start_with(BootSnapshots::On);
        let (first, second) = (SandboxId::new(), SandboxId::new());
        order_large_start(&agent, first, 1, 5120);
        agent.was_started(1).await;
        let made = async {
            while agent.world.artifacts().is_empty() {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, made).await.expect("a boot snapshot");
        agent.world.order_fault(step, SimFault::Fail, 1);
        order_large_start(&agent, second, 1, 6144);
        assert!(!agent.was_started(1).await.restored, "{step:?}");
        assert_eq!(agent.world.artifacts(), Vec::<String>::new(), "{step:?}");
        assert_eq!(agent.shell(second, "df").await, "6144");
        agent.destroyed(second, 2).await;
        agent.destroyed(first, 2).await;
        agent.assert_no_trace(second);
    }
}

#[actix_rt::test]
async fn a_start_does_not_need_a_boot_snapshot_to_succeed() {
    for step in [SimStep::BeginDraft, SimStep::Suspend, SimStep::CopyInto, SimStep::FinishDraft] {
        let mut agent = Agent::start_with(BootSnapshots::On);
        let id = SandboxId::new();
        agent.world.order_fault(step, SimFault::Fail, 1);
        order_large_start(&agent, id, 1, 5120);
        agent.was_started(1).await;
        let tidy = async {
            while agent.world.faults_left(step) > 0
                || agent.world.holdings().iter().any(|held| held.contains("half"))
            {
                tokio::task::yield_now().await;
            }
        };
        timeout(PATIENCE, tidy).await.expect("nothing is left half-made");
        assert!(agent.world.is_lively(id), "{step:?}");
        agent.destroyed(id, 2).await;
        agent.assert_no_trace(id);
    }
}
