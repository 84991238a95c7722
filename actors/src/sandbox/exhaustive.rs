//! Every state that can be reached, and every input in each of them.

use std::collections::{HashSet, VecDeque};

use wrenn_store::lifecycle::{End, Generation, Lifecycle, Operation, SandboxStatus};

use super::{
    invariants::{check_lifecycle, check_step},
    state::{
        Activity, Command, Effect, Ignored, Input, Machine, Observed, Outcome, Refusal, State, Step, step,
    },
};

/// Generations beyond this one are not explored: nothing depends on how large they are.
const LAST_GENERATION: u64 = 5;

const MACHINES: [Machine; 4] = [Machine::Starting, Machine::Running, Machine::Paused, Machine::Exited];

fn started() -> Outcome {
    Outcome::Started { guest_ip: "172.30.0.2".to_owned(), host_ip: "10.0.0.2".to_owned() }
}

fn failed(machine: Option<Machine>) -> Outcome {
    Outcome::Failed { message: "no space".to_owned(), machine }
}

/// Every input that can reach a sandbox of this generation: current ones, stale ones, and ones from beyond.
fn inputs(current: Generation) -> Vec<Input> {
    let mut inputs: Vec<_> = Operation::ALL.iter().map(|&operation| Input::Operate(operation)).collect();
    inputs.extend([Input::TakeUp, Input::HostLost, Input::HostRetired]);
    let machines = || MACHINES.into_iter().map(Some).chain([None]);
    for generation in [Generation(current.0 - 1), current, current.next()] {
        let outcomes = [started(), Outcome::Destroyed].into_iter().chain(machines().map(failed));
        inputs.extend(outcomes.map(|outcome| Input::Finished { generation, outcome }));
        inputs.push(Input::Exited { generation, reason: "killed".to_owned() });
        inputs.push(Input::NotReported { generation });
        for machine in MACHINES {
            for activity in [Activity::Busy, Activity::Idle] {
                let reason = "killed".to_owned();
                inputs.push(Input::Reported { generation, machine, reason, activity });
            }
        }
    }
    inputs
}

/// Visits everything reachable from a new row, and from rows that another version may have left.
fn explore(mut visit: impl FnMut(&State, &Input, &Result<Step, Refusal>)) -> usize {
    let mut seen = HashSet::new();
    let mut queue: VecDeque<_> = [State::loaded(Lifecycle::first())].into();
    for operation in [Operation::Pausing, Operation::Resuming, Operation::Snapshotting, Operation::Flattening]
    {
        let status = SandboxStatus::Running;
        let operation = Some(operation);
        queue.push_back(State::loaded(Lifecycle { status, operation, ..Lifecycle::first() }));
    }
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
    assert!(states > 50, "only {states} states were explored");
}

#[test]
fn only_requests_are_refused_and_destroying_never_is() {
    explore(|state, input, result| match (input, result) {
        (Input::Operate(Operation::Destroying), refused) => assert!(refused.is_ok(), "{state:?}"),
        (Input::Operate(wanted), Err(Refusal::InvalidState { wanted: named, status, operation })) => {
            assert_eq!(
                (named, status, operation),
                (wanted, &state.lifecycle.status, &state.lifecycle.operation)
            );
            assert!(
                operation.is_some()
                    || state.lifecycle.end == End::Reached
                    || *status == SandboxStatus::Stopped
            );
        }
        (Input::Operate(wanted), Err(Refusal::NotOffered(named))) => {
            assert_eq!(named, wanted);
            assert_eq!(state.lifecycle.operation, None);
        }
        (Input::Operate(_), Ok(_)) => panic!("this version offers nothing else"),
        (_, result) => assert!(result.is_ok(), "{state:?} + {input:?}"),
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
                assert_eq!(again.effects, [Effect::Send(Command::Destroy)]);
                return;
            }
            let is_clean_up = next.operation == Some(Operation::Destroying)
                && state.lifecycle.operation != Some(Operation::Destroying);
            assert!(next.operation.is_none() || is_clean_up, "{state:?} + {input:?} → {next:?}");
        }
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
    let destroy = Input::Operate(Operation::Destroying);
    let (state, effects) =
        run(&[Input::TakeUp, finished(1, started()), destroy, finished(2, Outcome::Destroyed)]);
    let (sent_start, sent_destroy) = (Effect::Send(Command::Start), Effect::Send(Command::Destroy));
    assert_eq!(effects, [sent_start, sent_destroy, Effect::ReleaseReservation]);
    assert_eq!(state.lifecycle.status, SandboxStatus::Stopped);
    assert_eq!(state.lifecycle.end, End::Reached);
    assert_eq!(state.observed, Observed::Absent);
}

#[test]
fn a_request_overtakes_a_start_whose_late_outcome_is_ignored() {
    let destroy = Input::Operate(Operation::Destroying);
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
                Input::Exited { generation: Generation(1), reason: "killed".to_owned() },
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
        assert_eq!(effects.last(), Some(&Effect::ReleaseReservation));
    }
}

#[test]
fn a_request_during_a_clean_up_gives_it_another_meaning() {
    let destroy = Input::Operate(Operation::Destroying);
    let clean_up = finished(1, failed(Some(Machine::Exited)));
    let (state, effects) = run(&[clean_up, destroy.clone(), destroy, finished(2, Outcome::Destroyed)]);
    assert_eq!(state.lifecycle.end, End::Reached);
    assert_eq!(effects, [Effect::Send(Command::Destroy), Effect::ReleaseReservation]);
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
    assert_eq!(gone.effects, [Effect::ReleaseReservation]);
}

#[test]
fn a_removal_from_a_host_that_never_comes_back_is_done() {
    let destroy = Input::Operate(Operation::Destroying);
    let (state, effects) = run(&[finished(1, started()), destroy, Input::HostRetired]);
    assert_eq!(state.lifecycle.end, End::Reached);
    assert_eq!(effects.last(), Some(&Effect::ReleaseReservation));
}

#[test]
fn a_removal_that_fails_can_be_asked_for_again() {
    let destroy = Input::Operate(Operation::Destroying);
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
        assert!(state.lifecycle.holds_resources());
        assert!(!effects.contains(&Effect::ReleaseReservation));
        for anew in [Input::TakeUp, Input::Operate(Operation::Destroying)] {
            let again = step(&state, &anew).unwrap();
            assert_eq!(again.next.lifecycle.generation, Generation(3));
        }
    }
    let (state, effects) = run(&[clean_up, finished(2, failed(Some(Machine::Exited)))]);
    assert_eq!((state.lifecycle.status, state.lifecycle.operation), (SandboxStatus::Error, None));
    assert_eq!(effects.last(), Some(&Effect::ReleaseReservation));
}

#[test]
fn a_start_whose_host_was_lost_runs_when_the_host_says_so() {
    let (state, _) = run(&[Input::TakeUp, Input::HostLost, Input::TakeUp, finished(1, started())]);
    assert_eq!((state.lifecycle.status, state.lifecycle.operation), (SandboxStatus::Running, None));
}
