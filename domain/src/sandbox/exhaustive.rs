//! Every state that can be reached, and every input in each of them.

use std::collections::{HashSet, VecDeque};

use uuid::Uuid;

use super::{
    invariants::{check_lifecycle, check_step},
    state::{
        Activity, Command, Effect, Ignored, Input, Machine, Memory, Observed, Outcome, Refusal, Request,
        State, Step, TemplateEffect,
    },
    step,
};
use crate::{
    ids::TemplateId,
    lifecycle::{End, Generation, Hold, Lifecycle, Operation, SandboxStatus},
};

/// Generations beyond this one are not explored: nothing depends on how large they are.
const LAST_GENERATION: u64 = 4;

const MACHINES: [Machine; 5] =
    [Machine::Starting, Machine::Running, Machine::Paused, Machine::Stopped, Machine::Exited];

/// The template that is made, and one that is not.
const TEMPLATES: [TemplateId; 2] = [TemplateId(Uuid::from_u128(1)), TemplateId(Uuid::from_u128(2))];
const TEMPLATE: TemplateId = TEMPLATES[0];

const REQUESTS: [Request; 6] = [
    Request::Pause,
    Request::Resume(Memory::Keep),
    Request::Resume(Memory::Drop),
    Request::Snapshot(TEMPLATE),
    Request::Flatten(TEMPLATE),
    Request::Destroy,
];

fn started() -> Outcome {
    Outcome::Started {
        guest_ip: "172.30.0.2".to_owned(),
        host_ip: "10.0.0.2".to_owned(),
        warnings: vec!["no hostname".to_owned()],
    }
}

fn made(template: TemplateId, machine: Option<Machine>) -> Outcome {
    Outcome::TemplateMade { template, size_bytes: 1 << 20, disk_size_mb: 300, machine }
}

fn failed(machine: Option<Machine>) -> Outcome {
    Outcome::Failed { message: "no space".to_owned(), machine }
}

fn every_outcome() -> Vec<Outcome> {
    let machines = || MACHINES.into_iter().map(Some).chain([None]);
    let made =
        TEMPLATES.into_iter().flat_map(|template| machines().map(move |machine| made(template, machine)));
    let simple = [started(), Outcome::Paused, Outcome::Destroyed];
    simple.into_iter().chain(machines().map(failed)).chain(made).collect()
}

/// Every input that can reach a sandbox of this generation: current ones, stale ones, and ones from beyond.
fn inputs(current: Generation) -> Vec<Input> {
    let mut inputs: Vec<_> = REQUESTS.into_iter().map(Input::Operate).collect();
    inputs.extend([Input::TakeUp, Input::HostLost, Input::HostRetired, Input::HostDeleted]);
    for generation in [Generation(current.0 - 1), current, current.next()] {
        inputs.extend(every_outcome().into_iter().map(|outcome| Input::Finished { generation, outcome }));
        for machine in [Machine::Stopped, Machine::Exited] {
            inputs.push(Input::Exited { generation, machine, reason: "killed".to_owned() });
        }
        inputs.push(Input::NotReported { generation });
        for machine in MACHINES {
            for activity in [Activity::Busy, Activity::Idle] {
                inputs.push(report(generation, machine, activity));
            }
        }
    }
    inputs
}

fn report(generation: Generation, machine: Machine, activity: Activity) -> Input {
    Input::Reported { generation, machine, reason: "killed".to_owned(), activity }
}

/// Visits everything reachable from a new row.
fn explore(mut visit: impl FnMut(&State, &Input, &Result<Step, Refusal>)) -> usize {
    let mut seen = HashSet::new();
    let mut queue: VecDeque<_> = [State::loaded(Lifecycle::first())].into();
    while let Some(state) = queue.pop_front() {
        if state.lifecycle.generation.0 > LAST_GENERATION || !seen.insert(state.clone()) {
            continue;
        }
        for input in inputs(state.lifecycle.generation) {
            let result = step(&state, &input);
            visit(&state, &input, &result);
            if let Ok(step) = result {
                queue.push_back(step.next);
            }
        }
        // The actor can be restarted at any moment, and then knows nothing of the host.
        queue.push_back(State::loaded(state.lifecycle));
    }
    seen.len()
}

#[test]
fn every_reachable_state_and_step_keeps_the_invariants() {
    let states = explore(|state, input, result| {
        check_lifecycle(&state.lifecycle).unwrap();
        if let Ok(step) = result {
            let checked = check_step(state, step);
            assert_eq!(checked, Ok(()), "{state:?} + {input:?} → {step:?}");
        }
    });
    assert!(states > 500, "only {states} states were explored");
}

#[test]
fn every_settled_status_is_reached() {
    let mut reached = HashSet::new();
    explore(|state, _, _| {
        reached.extend(state.lifecycle.operation.is_none().then_some(state.lifecycle.status));
    });
    for &status in SandboxStatus::ALL {
        let is_settled = !matches!(status, SandboxStatus::Pending | SandboxStatus::Starting);
        assert_eq!(reached.contains(&status), is_settled, "{status}");
    }
}

#[test]
fn only_requests_are_refused_and_destroying_never_is() {
    explore(|state, input, result| match (input, result) {
        (Input::Operate(Request::Destroy), refused) => assert!(refused.is_ok(), "{state:?}"),
        (Input::Operate(request), Err(Refusal { wanted, status, operation })) => {
            let Lifecycle { status: is, operation: in_flight, .. } = &state.lifecycle;
            assert_eq!((*wanted, status, operation), (request.operation(), is, in_flight));
        }
        (_, result) => assert!(result.is_ok(), "{state:?} + {input:?}"),
    });
}

#[test]
fn a_request_beside_another_operation_is_refused_and_one_that_is_under_way_joins_it() {
    explore(|state, input, result| {
        let Input::Operate(request) = input else { return };
        let Some(operation) = state.lifecycle.operation else { return };
        if *request == Request::Destroy {
            return;
        }
        if let Ok(step) = result {
            assert_eq!(request.operation(), operation, "{state:?}");
            assert_eq!((&step.next, step.ignored), (state, Some(Ignored::NothingNew)));
        }
    });
}

#[test]
fn what_is_wanted_and_already_so_changes_nothing() {
    use SandboxStatus::{Hibernated, Paused, Running};
    explore(|state, input, result| {
        let Lifecycle { status, operation: None, end: End::NotRequested, .. } = state.lifecycle else {
            return;
        };
        let is_so = match input {
            Input::Operate(Request::Pause) => matches!(status, Paused | Hibernated),
            Input::Operate(Request::Resume(_)) => status == Running,
            _ => false,
        };
        if is_so {
            assert_eq!(result.as_ref().unwrap().ignored, Some(Ignored::NothingNew), "{state:?}");
        }
    });
}

#[test]
fn what_another_generation_says_changes_no_live_sandbox() {
    explore(|state, input, result| {
        let (Input::Finished { generation, .. }
        | Input::Exited { generation, .. }
        | Input::NotReported { generation }
        | Input::Reported { generation, .. }) = input
        else {
            return;
        };
        let is_failure_to_remove = state.lifecycle.status == SandboxStatus::Error;
        if *generation != state.lifecycle.generation && !is_failure_to_remove {
            let step = result.as_ref().unwrap();
            assert_eq!(step.next, *state, "{input:?}");
            assert!(step.ignored.is_some());
        }
    });
}

#[test]
fn what_is_only_observed_changes_nothing_while_an_operation_is_in_flight() {
    explore(|state, input, result| {
        let is_observation =
            matches!(input, Input::Exited { .. } | Input::NotReported { .. } | Input::Reported { .. });
        if is_observation && state.lifecycle.operation.is_some() {
            let step = result.as_ref().unwrap();
            assert_eq!(step.next.lifecycle, state.lifecycle);
            assert_eq!(step.ignored, Some(Ignored::OperationInFlight));
        }
    });
}

#[test]
fn a_lost_host_makes_everything_missing_that_has_not_failed_and_keeps_what_is_in_flight() {
    explore(|state, input, result| {
        let old = &state.lifecycle;
        if *input != Input::HostLost || old.status == SandboxStatus::Error || old.end == End::Reached {
            return;
        }
        let missing = Lifecycle { status: SandboxStatus::Missing, ..old.clone() };
        assert_eq!(result.as_ref().unwrap().next.lifecycle, missing);
    });
}

#[test]
fn every_operation_settles_with_each_outcome_of_its_generation() {
    explore(|state, input, result| {
        let Input::Finished { generation, .. } = input else { return };
        if state.lifecycle.operation.is_some() && *generation == state.lifecycle.generation {
            let State { lifecycle: next, observed } = &result.as_ref().unwrap().next;
            if *observed == Observed::RemovalFailed {
                let again = step(&result.as_ref().unwrap().next, &Input::TakeUp).unwrap();
                assert_eq!(again.next.lifecycle.generation, generation.next());
                assert!(again.effects.contains(&Effect::Send(Command::Destroy)));
                return;
            }
            let is_clean_up = next.operation == Some(Operation::Destroying)
                && state.lifecycle.operation != Some(Operation::Destroying);
            assert!(next.operation.is_none() || is_clean_up, "{state:?} + {input:?} → {next:?}");
        }
    });
}

#[test]
fn a_failed_operation_settles_into_what_is_true_and_says_why() {
    explore(|state, input, result| {
        let Input::Finished { generation, outcome: Outcome::Failed { message, machine: Some(machine) } } =
            input
        else {
            return;
        };
        let is_settled_by_it = *generation == state.lifecycle.generation
            && matches!(
                state.lifecycle.operation,
                Some(
                    Operation::Pausing
                        | Operation::Resuming
                        | Operation::Snapshotting
                        | Operation::Flattening
                )
            )
            && !matches!(state.observed, Observed::Ended(..));
        if !is_settled_by_it {
            return;
        }
        let next = &result.as_ref().unwrap().next.lifecycle;
        assert_eq!(next.last_error.as_ref(), Some(message));
        let is_true = match machine {
            Machine::Running => next.status == SandboxStatus::Running,
            Machine::Paused => next.status == SandboxStatus::Paused,
            Machine::Stopped => matches!(next.status, SandboxStatus::Stopped | SandboxStatus::Hibernated),
            Machine::Exited => next.status == SandboxStatus::Error,
            Machine::Starting => next.status == state.lifecycle.status,
        };
        assert!(is_true, "{state:?} + {input:?} → {next:?}");
    });
}

#[test]
fn a_template_is_published_only_by_the_outcome_that_names_it() {
    explore(|state, input, result| {
        let Ok(Step { template: Some(TemplateEffect::Publish { template, .. }), .. }) = result else {
            return;
        };
        let Input::Finished { generation, outcome: Outcome::TemplateMade { template: named, .. } } = input
        else {
            panic!("{input:?} published a template");
        };
        assert_eq!((template, Some(*template)), (named, state.lifecycle.template));
        assert_eq!(*generation, state.lifecycle.generation);
    });
}

/// Applies inputs, each of which must be accepted.
fn run(inputs: &[Input]) -> (State, Vec<Effect>) {
    let mut state = State::loaded(Lifecycle::first());
    let mut effects = Vec::new();
    for input in inputs {
        let step = step(&state, input).unwrap();
        check_step(&state, &step).unwrap();
        effects.extend(step.effects);
        state = step.next;
    }
    (state, effects)
}

fn finished(generation: u64, outcome: Outcome) -> Input {
    Input::Finished { generation: Generation(generation), outcome }
}

#[test]
fn a_start_runs_and_a_request_ends_it_for_ever() {
    let destroy = Input::Operate(Request::Destroy);
    let (state, effects) =
        run(&[Input::TakeUp, finished(1, started()), destroy, finished(2, Outcome::Destroyed)]);
    let (sent_start, sent_destroy) = (Effect::Send(Command::Start), Effect::Send(Command::Destroy));
    assert_eq!(effects, [sent_start, sent_destroy, Effect::Hold(Hold::Nothing)]);
    assert_eq!(state.lifecycle.status, SandboxStatus::Stopped);
    assert_eq!(state.lifecycle.end, End::Reached);
    assert_eq!(state.observed, Observed::Absent);
}

#[test]
fn a_request_overtakes_a_start_whose_late_outcome_is_ignored() {
    let destroy = Input::Operate(Request::Destroy);
    let (state, _) = run(&[Input::TakeUp, destroy, finished(1, started())]);
    assert_eq!(state.lifecycle.operation, Some(Operation::Destroying));
    assert_eq!(state.lifecycle.generation, Generation(2));
    assert_eq!(state.lifecycle.status, SandboxStatus::Starting);
}

#[test]
fn a_failed_start_and_an_exit_end_in_error_after_a_clean_up() {
    for (inputs, generation) in [
        (vec![finished(1, failed(Some(Machine::Exited)))], 2),
        (
            vec![
                finished(1, started()),
                Input::Exited {
                    generation: Generation(1),
                    machine: Machine::Exited,
                    reason: "killed".to_owned(),
                },
            ],
            2,
        ),
    ] {
        let (state, _) = run(&inputs);
        assert_eq!(state.lifecycle.status, SandboxStatus::Error);
        assert_eq!(state.lifecycle.operation, Some(Operation::Destroying));
        assert!(state.lifecycle.stop_reason.is_some());
        let mut inputs = inputs;
        inputs.push(finished(generation, Outcome::Destroyed));
        let (state, effects) = run(&inputs);
        assert_eq!(state.lifecycle.status, SandboxStatus::Error);
        assert_eq!((state.lifecycle.operation, state.lifecycle.end), (None, End::NotRequested));
        assert_eq!(effects.last(), Some(&Effect::Hold(Hold::Nothing)));
    }
}

#[test]
fn a_request_during_a_clean_up_gives_it_another_meaning() {
    let destroy = Input::Operate(Request::Destroy);
    let clean_up = finished(1, failed(Some(Machine::Exited)));
    let (state, effects) = run(&[clean_up, destroy.clone(), destroy, finished(2, Outcome::Destroyed)]);
    assert_eq!(state.lifecycle.end, End::Reached);
    assert_eq!(effects, [Effect::Send(Command::Destroy), Effect::Hold(Hold::Nothing)]);
}

#[test]
fn an_exit_seen_before_the_late_outcome_of_its_start_counts() {
    let exited = Input::Reported {
        generation: Generation(1),
        machine: Machine::Exited,
        reason: "killed".to_owned(),
        activity: Activity::Idle,
    };
    let (state, _) = run(&[exited, Input::TakeUp, finished(1, started())]);
    assert_eq!(state.lifecycle.status, SandboxStatus::Error);
    assert_eq!(state.lifecycle.stop_reason.as_deref(), Some("killed"));
}

#[test]
fn a_lost_host_makes_a_sandbox_missing_until_it_is_reported_again() {
    let (state, _) = run(&[finished(1, started()), Input::HostLost]);
    assert_eq!(state.lifecycle.status, SandboxStatus::Missing);
    let reported = Input::Reported {
        generation: Generation(1),
        machine: Machine::Running,
        reason: String::new(),
        activity: Activity::Idle,
    };
    let back = step(&state, &reported).unwrap().next;
    assert_eq!(back.lifecycle.status, SandboxStatus::Running);
    let absent = Input::NotReported { generation: Generation(1) };
    let gone = step(&state, &absent).unwrap();
    assert_eq!(gone.next.lifecycle.status, SandboxStatus::Error);
    assert_eq!(gone.effects, [Effect::Hold(Hold::Nothing)]);
}

#[test]
fn a_removal_from_a_host_that_never_comes_back_is_done() {
    let destroy = Input::Operate(Request::Destroy);
    let (state, effects) = run(&[finished(1, started()), destroy, Input::HostRetired]);
    assert_eq!(state.lifecycle.end, End::Reached);
    assert_eq!(effects.last(), Some(&Effect::Hold(Hold::Nothing)));
}

#[test]
fn a_sandbox_ends_with_its_host_whatever_is_in_flight() {
    let pause = Input::Operate(Request::Pause);
    let snapshot = Input::Operate(Request::Snapshot(TEMPLATE));
    for inputs in [
        vec![],
        vec![finished(1, started())],
        vec![finished(1, started()), pause],
        vec![finished(1, started()), snapshot],
        vec![finished(1, started()), Input::HostLost],
        vec![finished(1, failed(None)), finished(2, Outcome::Destroyed)],
    ] {
        let (before, _) = run(&inputs);
        let step = step(&before, &Input::HostDeleted).unwrap();
        let after = &step.next.lifecycle;
        assert_eq!((after.end, after.status), (End::Reached, SandboxStatus::Stopped), "{inputs:?}");
        assert_eq!(after.stop_reason.as_deref(), Some("its host was deleted"), "{inputs:?}");
        let discarded = before.lifecycle.template.map(TemplateEffect::Discard);
        assert_eq!(step.template, discarded, "{inputs:?}");
    }
    let destroy = Input::Operate(Request::Destroy);
    let (gone, _) = run(&[finished(1, started()), destroy, finished(2, Outcome::Destroyed)]);
    assert!(step(&gone, &Input::HostDeleted).unwrap().ignored.is_some());
}

#[test]
fn a_removal_that_fails_can_be_asked_for_again() {
    let destroy = Input::Operate(Request::Destroy);
    let failure = finished(2, failed(Some(Machine::Running)));
    let (state, _) = run(&[finished(1, started()), destroy.clone(), failure.clone()]);
    assert_eq!(state.lifecycle.status, SandboxStatus::Running);
    assert_eq!(state.lifecycle.last_error.as_deref(), Some("no space"));
    let (state, _) = run(&[finished(1, started()), destroy.clone(), failure, destroy]);
    assert_eq!(state.lifecycle.generation, Generation(3));
}

#[test]
fn a_removal_that_fails_without_certainty_holds_what_it_had_and_is_begun_anew() {
    let clean_up = finished(1, failed(None));
    for machine in [None, Some(Machine::Running), Some(Machine::Starting)] {
        let (state, effects) = run(&[clean_up.clone(), finished(2, failed(machine))]);
        assert!(state.lifecycle.hold() == Hold::Machine);
        assert!(!effects.contains(&Effect::Hold(Hold::Nothing)));
        for anew in [Input::TakeUp, Input::Operate(Request::Destroy)] {
            let again = step(&state, &anew).unwrap();
            assert_eq!(again.next.lifecycle.generation, Generation(3));
        }
    }
    let (state, effects) = run(&[clean_up, finished(2, failed(Some(Machine::Exited)))]);
    assert_eq!((state.lifecycle.status, state.lifecycle.operation), (SandboxStatus::Error, None));
    assert_eq!(effects.last(), Some(&Effect::Hold(Hold::Nothing)));
}

#[test]
fn a_start_whose_host_was_lost_runs_when_the_host_says_so() {
    let (state, _) = run(&[Input::TakeUp, Input::HostLost, Input::TakeUp, finished(1, started())]);
    assert_eq!((state.lifecycle.status, state.lifecycle.operation), (SandboxStatus::Running, None));
}

fn reported(generation: u64, machine: Machine) -> Input {
    report(Generation(generation), machine, Activity::Idle)
}

#[test]
fn a_pause_and_a_resume_give_back_and_take_what_a_machine_needs() {
    let (pause, resume) = (Input::Operate(Request::Pause), Input::Operate(Request::Resume(Memory::Keep)));
    let (state, effects) =
        run(&[finished(1, started()), pause, finished(2, Outcome::Paused), resume, finished(3, started())]);
    let expected = [
        Effect::Send(Command::Pause),
        Effect::Hold(Hold::Disk),
        Effect::Send(Command::Resume(Memory::Keep)),
        Effect::Hold(Hold::Machine),
    ];
    assert_eq!(effects, expected);
    assert_eq!((state.lifecycle.status, state.lifecycle.operation), (SandboxStatus::Running, None));
}

#[test]
fn a_machine_that_ends_by_itself_keeps_its_disk_and_can_be_booted_again() {
    let exited =
        Input::Exited { generation: Generation(1), machine: Machine::Stopped, reason: "killed".to_owned() };
    let (state, _) = run(&[finished(1, started()), exited]);
    assert_eq!(state.lifecycle.status, SandboxStatus::Stopped);
    assert_eq!(state.lifecycle.stop_reason.as_deref(), Some("killed"));
    let resumed = step(&state, &Input::Operate(Request::Resume(Memory::Keep))).unwrap();
    let resumed = step(&resumed.next, &finished(2, started())).unwrap().next;
    assert_eq!((resumed.lifecycle.status, resumed.lifecycle.stop_reason), (SandboxStatus::Running, None));
}

#[test]
fn dropped_memory_is_dropped_however_often_the_command_is_sent() {
    let drop = Input::Operate(Request::Resume(Memory::Drop));
    let paused = [finished(1, started()), Input::Operate(Request::Pause), finished(2, Outcome::Paused)];
    let (state, effects) = run(&[&paused[..], &[drop, Input::TakeUp]].concat());
    let sent = Effect::Send(Command::Resume(Memory::Drop));
    assert_eq!(effects.iter().filter(|&&effect| effect == sent).count(), 2);
    // The memory is gone, and stays so if the boot fails.
    let stopped = step(&state, &finished(3, failed(Some(Machine::Stopped)))).unwrap().next;
    assert_eq!(stopped.lifecycle.status, SandboxStatus::Hibernated);
    let unchanged = step(&state, &finished(3, failed(Some(Machine::Paused)))).unwrap().next;
    assert_eq!(unchanged.lifecycle.status, SandboxStatus::Paused);
}

#[test]
fn no_look_at_the_host_during_a_snapshot_says_that_the_machine_stopped() {
    let snapshot = Input::Operate(Request::Snapshot(TEMPLATE));
    for machine in MACHINES {
        let looks =
            [reported(1, machine), reported(2, machine), Input::NotReported { generation: Generation(2) }];
        let inputs = [&[finished(1, started()), snapshot.clone()][..], &looks[..1], &looks[2..]].concat();
        let (state, _) = run(&inputs);
        assert_eq!(state.lifecycle.status, SandboxStatus::Running);
        assert_eq!(state.lifecycle.operation, Some(Operation::Snapshotting));
        let end = step(&state, &finished(2, made(TEMPLATE, Some(Machine::Running)))).unwrap();
        assert_eq!((end.next.lifecycle.status, end.next.lifecycle.operation), (SandboxStatus::Running, None));
    }
}

#[test]
fn a_machine_that_dies_after_its_snapshot_has_a_template_and_is_stopped() {
    let snapshot = Input::Operate(Request::Snapshot(TEMPLATE));
    let (state, _) = run(&[finished(1, started()), snapshot, reported(2, Machine::Stopped), Input::TakeUp]);
    let end = step(&state, &finished(2, made(TEMPLATE, Some(Machine::Running)))).unwrap();
    assert_eq!(end.next.lifecycle.status, SandboxStatus::Stopped);
    assert!(matches!(end.template, Some(TemplateEffect::Publish { template: TEMPLATE, .. })));
}

#[test]
fn a_request_for_its_end_overtakes_a_snapshot_whose_template_is_discarded() {
    for request in [Request::Snapshot(TEMPLATE), Request::Flatten(TEMPLATE)] {
        let (state, _) = run(&[finished(1, started()), Input::Operate(request)]);
        let end = step(&state, &Input::Operate(Request::Destroy)).unwrap();
        assert_eq!(end.template, Some(TemplateEffect::Discard(TEMPLATE)));
        let late = step(&end.next, &finished(2, made(TEMPLATE, Some(Machine::Running)))).unwrap();
        assert_eq!(late.ignored, Some(Ignored::OtherGeneration));
    }
}
