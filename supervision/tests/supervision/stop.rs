//! What an actor decides itself is obeyed; what happens at its end is survived.

use std::sync::Arc;

use actix::prelude::*;
use wrenn_supervision::{
    CallError, ChildState, ExitReason, Failure, call, children_snapshot, metrics_snapshot, spawn, spawn_local,
};

use crate::probe::{Do, Hooks, Journal, Probe, Say, hook, panicking_hook, quick, run};

#[test]
fn a_deliberate_stop_is_not_restarted() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("stop"), |_| probe);
        let addr = child.addr();
        call(&addr, Do::new(|_, ctx| ctx.stop())).await.unwrap();
        assert_eq!(child.wait_exit().await, ExitReason::Stopped);
        assert_eq!(journal.entries(), ["started 1", "stopping 1", "stopped 1", "dropped"]);
        assert_eq!(child.snapshot().state, ChildState::Exited(ExitReason::Stopped));
        assert!(child.weak().upgrade().is_none());
        assert_eq!(call(&addr, Say(1)).await, Err(CallError::NotDelivered));
    });
}

#[test]
fn terminating_is_a_deliberate_stop() {
    run(async {
        let child = spawn_local(quick("terminate"), |_| Probe::default());
        call(&child.addr(), Do::new(|_, ctx| ctx.terminate())).await.unwrap();
        assert_eq!(child.wait_exit().await, ExitReason::Stopped);
    });
}

#[test]
fn an_actor_that_stops_in_started_ends_after_one_start() {
    run(async {
        let journal = Journal::default();
        let hooks = Hooks { started: hook(|ctx| ctx.stop()), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("stop-in-started"), |_| probe);
        assert_eq!(child.wait_exit().await, ExitReason::Stopped);
        assert_eq!(journal.entries(), ["started 1", "stopping 1", "stopped 1", "dropped"]);
    });
}

#[test]
fn a_panic_after_the_decision_to_stop_does_not_revoke_it() {
    let stop_and_panic = || {
        Do::new(|_, ctx| {
            ctx.stop();
            panic!("after stop")
        })
    };
    let stop = || Do::new(|_, ctx| ctx.stop());
    let cases = [
        ("panic-after-stop", Hooks::default(), stop_and_panic()),
        ("panic-stopping", Hooks { stopping: panicking_hook(9), ..Hooks::default() }, stop()),
        ("panic-stopped", Hooks { stopped: panicking_hook(9), ..Hooks::default() }, stop()),
    ];
    run(async {
        for (kind, hooks, message) in cases {
            let journal = Journal::default();
            let probe = Probe::with_hooks(&journal, hooks);
            let child = spawn_local(quick(kind), |_| probe);
            let _ = call(&child.addr(), message).await;
            assert_eq!(child.wait_exit().await, ExitReason::Stopped, "{kind}");
            assert_eq!((child.snapshot().panics, child.snapshot().restarts), (1, 0), "{kind}");
            assert_eq!(journal.count("dropped"), 1, "{kind}");
        }
    });
}

#[test]
fn a_panic_on_drop_is_caught_and_counted() {
    run(async {
        let hooks = Hooks { dropped: Some(Arc::new(|| panic!("on drop"))), ..Hooks::default() };
        let probe = Probe::with_hooks(&Journal::default(), hooks.clone());
        let child = spawn_local(quick("panic-drop"), |_| probe);
        call(&child.addr(), Do::new(|_, ctx| ctx.stop())).await.unwrap();
        assert_eq!(child.wait_exit().await, ExitReason::Stopped);
        assert_eq!(child.snapshot().last_failure, Some(Failure::Panic("on drop".to_owned())));

        let probe = Probe::with_hooks(&Journal::default(), hooks);
        let child = spawn_local(quick("panic-drop"), |_| probe);
        child.kill();
        assert_eq!(child.wait_exit().await, ExitReason::Killed);
    });
}

#[test]
fn dropping_every_handle_and_address_does_not_end_the_actor() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("unowned"), |_| probe);
        call(&child.addr(), Say(1)).await.unwrap();
        let (weak, handle) = (child.weak(), child.handle());
        drop(child);
        for _ in 0..20 {
            tokio::task::yield_now().await;
        }
        let addr = weak.upgrade().expect("it lives on");
        assert_eq!(call(&addr, Say(2)).await, Ok(2));
        drop(addr);
        handle.kill();
        assert_eq!(handle.wait_exit().await, ExitReason::Killed);
        assert!(weak.upgrade().is_none());
    });
}

#[test]
fn the_end_of_the_arbiter_is_reported_as_aborted() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let arbiter = Arbiter::new();
        let (reporter, mut reports) = tokio::sync::mpsc::unbounded_channel();
        let spec = quick("aborted").on_exit(move |exited| reporter.send(exited.clone()).unwrap());
        let child = spawn(&arbiter.handle(), spec, move |_| probe);
        call(&child.addr(), Say(1)).await.unwrap();
        arbiter.stop();
        assert_eq!(child.wait_exit().await, ExitReason::Aborted);
        assert_eq!(reports.recv().await.unwrap().reason, ExitReason::Aborted);
        arbiter.join().unwrap();
        assert_eq!(journal.entries(), ["started 1", "say 1", "dropped"]);
    });
}

#[test]
fn an_actor_for_an_arbiter_that_has_ended_is_aborted() {
    run(async {
        let arbiter = Arbiter::new();
        let handle = arbiter.handle();
        arbiter.stop();
        arbiter.join().unwrap();
        let child = spawn(&handle, quick("too-late"), |_| Probe::default());
        assert_eq!(child.wait_exit().await, ExitReason::Aborted);
        assert_eq!(call(&child.addr(), Say(1)).await, Err(CallError::NotDelivered));
        assert_eq!(child.snapshot().incarnation, 0);
    });
}

#[test]
fn a_panicking_factory_is_a_failure_to_start() {
    run(async {
        let child = spawn_local::<Probe, _>(quick("factory"), |_| panic!("no probe"));
        let failure = Failure::Panic("no probe".to_owned());
        assert_eq!(child.wait_exit().await, ExitReason::StartFailed(failure));
        assert_eq!((child.snapshot().panics, child.snapshot().restarts), (1, 0));
    });
}

#[test]
fn a_panicking_exit_callback_does_not_silence_the_others() {
    run(async {
        let journal = Journal::default();
        let called = journal.clone();
        let spec = quick("callbacks").on_exit(|_| panic!("callback")).on_exit(move |_| called.note("called"));
        let child = spawn_local(spec, |_| Probe::default());
        child.kill();
        child.wait_exit().await;
        assert_eq!(journal.entries(), ["called"]);
        let late = journal.clone();
        child.handle().on_exit(move |_| late.note("late"));
        assert_eq!(journal.entries(), ["called", "late"]);
    });
}

#[test]
fn counters_tell_the_whole_story_of_a_kind() {
    run(async {
        let kind = "counted";
        let start = || spawn_local(quick(kind), |_| Probe::default());
        let (stopped, killed, failing) = (start(), start(), start());
        call(&stopped.addr(), Do::new(|_, ctx| ctx.stop())).await.unwrap();
        stopped.wait_exit().await;
        call(&killed.addr(), Say(1)).await.unwrap();
        killed.kill();
        killed.wait_exit().await;
        let _ = call(&failing.addr(), Do::panic()).await;
        call(&failing.addr(), Say(1)).await.unwrap();
        let metrics = metrics_snapshot();
        let counted = metrics.kind(kind).expect("the kind is known");
        assert_eq!((counted.alive, counted.starts, counted.restarts, counted.panics), (1, 3, 1, 1));
        assert_eq!((counted.stops, counted.kills, counted.aborts, counted.escalations), (1, 1, 0, 0));
        let alive: Vec<_> = children_snapshot().into_iter().filter(|child| child.kind == kind).collect();
        assert_eq!(alive, [failing.snapshot()]);
        assert_eq!(metrics.kind("never used"), None);
    });
}
