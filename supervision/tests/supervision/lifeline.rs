//! An actor gives up on itself, and work outside of it learns that its incarnation is over.

use actix::prelude::*;
use tokio::sync::oneshot;
use wrenn_supervision::{CallError, ExitReason, Failure, Lifeline, SupervisedContext, call, spawn_local};
use wrenn_testkit::wait::eventually;

use crate::probe::{Do, Hooks, Journal, Probe, Say, hook, quick, run};

/// Returns the lifeline of the actor's current incarnation.
async fn lifeline_of(addr: &Addr<Probe>) -> Lifeline {
    let (sender, receiver) = oneshot::channel();
    let tell = |_: &mut Probe, ctx: &mut Context<Probe>| drop(sender.send(ctx.lifeline()));
    call(addr, Do::new(tell)).await.unwrap();
    receiver.await.unwrap()
}

#[test]
fn a_handler_that_declares_a_failure_answers_and_is_the_last_of_its_incarnation() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("declared"), |_| probe);
        let addr = child.addr();
        let (failed, said) =
            tokio::join!(call(&addr, Do::new(|_, ctx| ctx.fail("lost the database"))), call(&addr, Say(1)));
        assert_eq!((failed, said), (Ok(()), Ok(1)));
        assert_eq!(journal.entries(), ["started 1", "restarting 2", "started 2", "say 1"]);
        let snapshot = child.snapshot();
        assert_eq!(snapshot.last_failure, Some(Failure::Declared("lost the database".to_owned())));
        assert_eq!((snapshot.declared_failures, snapshot.panics, snapshot.restarts), (1, 0, 1));
    });
}

#[test]
fn a_failure_may_be_declared_in_every_hook_and_in_the_factory() {
    run(async {
        let journal = Journal::default();
        let fail_first = |ctx: &mut Context<Probe>| {
            if ctx.incarnation() <= 2 {
                ctx.fail("not yet");
            }
        };
        let hooks = Hooks { started: hook(fail_first), restarting: hook(fail_first), ..Hooks::default() };
        let probe = Probe::with_hooks(&journal, hooks);
        let child = spawn_local(quick("declared-hooks"), |ctx| {
            ctx.fail("in the factory");
            probe
        });
        call(&child.addr(), Say(1)).await.unwrap();
        assert_eq!(journal.entries(), ["restarting 2", "restarting 3", "started 3", "say 1"]);
        assert_eq!(child.snapshot().declared_failures, 2);
    });
}

#[test]
fn a_stop_in_the_same_handler_wins_over_a_failure() {
    run(async {
        let child = spawn_local(quick("declared-stop"), |_| Probe::default());
        let fail_and_stop = |_: &mut Probe, ctx: &mut Context<Probe>| {
            ctx.fail("failed");
            ctx.stop();
        };
        call(&child.addr(), Do::new(fail_and_stop)).await.unwrap();
        assert_eq!(child.wait_exit().await, ExitReason::Stopped);
    });
}

#[test]
fn a_failure_from_outside_restarts_only_the_incarnation_it_means() {
    run(async {
        let journal = Journal::default();
        let probe = Probe::new(&journal);
        let child = spawn_local(quick("declared-outside"), |_| probe);
        let first = lifeline_of(&child.addr()).await;
        std::thread::spawn({
            let first = first.clone();
            move || first.fail("from a thread")
        });
        first.cancelled().await;
        let second = lifeline_of(&child.addr()).await;
        assert_eq!((first.incarnation(), second.incarnation()), (1, 2));
        assert_eq!((first.is_current(), second.is_current()), (false, true));
        first.fail("stale");
        call(&child.addr(), Say(1)).await.unwrap();
        assert_eq!(child.snapshot().incarnation, 2);
    });
}

#[test]
fn guarded_work_ends_with_its_incarnation() {
    run(async {
        let child = spawn_local(quick("guarded"), |_| Probe::default());
        let lifeline = lifeline_of(&child.addr()).await;
        assert_eq!(lifeline.guard(async { 1 }).await, Some(1));
        let endless = lifeline.guard(std::future::pending::<()>());
        let addr = child.addr();
        let (ended, lost) = tokio::join!(endless, call(&addr, Do::panic()));
        assert_eq!((ended, lost), (None, Err(CallError::MayHaveExecuted)));
        assert_eq!(lifeline.guard(std::future::pending::<()>()).await, None);
    });
}

#[test]
fn the_end_of_the_actor_is_the_end_of_its_lifeline() {
    run(async {
        let child = spawn_local(quick("lifeline-end"), |_| Probe::default());
        let lifeline = lifeline_of(&child.addr()).await;
        child.kill();
        lifeline.cancelled().await;
        assert!(!lifeline.is_current());
        child.wait_exit().await;
        lifeline.fail("too late");
        assert_eq!(child.snapshot().declared_failures, 0);
    });
}

#[test]
fn lifelines_exist_only_inside_of_supervised_actors() {
    run(async {
        assert!(Lifeline::current().is_none());
        let child = spawn_local(quick("lifeline-inside"), |_| {
            assert_eq!(Lifeline::current().map(|lifeline| lifeline.incarnation()), Some(1));
            Probe::default()
        });
        call(&child.addr(), Say(1)).await.unwrap();
        assert!(Lifeline::current().is_none());
    });
}

#[test]
fn without_supervision_a_declared_failure_stops_the_actor() {
    run(async {
        let addr = Probe::default().start();
        let lifeline = lifeline_of(&addr).await;
        assert_eq!((lifeline.incarnation(), lifeline.is_current()), (0, true));
        call(&addr, Do::new(|_, ctx| ctx.fail("alone"))).await.unwrap();
        eventually("the end", async || !addr.connected()).await;
    });
}
